//! One JSON schema, taken apart only where schemas lie in it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

/// A schema: members in the order of the document, everything that is not a schema as it was written.
#[derive(Default)]
pub(super) struct Schema<'a>(pub(super) Vec<(String, Member<'a>)>);

pub(super) enum Member<'a> {
    /// `items`, `not`, `additionalProperties`.
    One(Schema<'a>),
    /// `allOf`, `anyOf`, `oneOf`.
    Many(Vec<Schema<'a>>),
    /// `properties`.
    Named(Vec<(String, Schema<'a>)>),
    /// Anything else: a user's words and numbers among it.
    Raw(Raw<'a>),
}

pub(super) enum Raw<'a> {
    Borrowed(&'a RawValue),
    Owned(Box<RawValue>),
}

impl<'a> Schema<'a> {
    pub(super) fn get(&self, name: &str) -> Option<&Member<'a>> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, member)| member)
    }

    /// A member that is text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.read(name)
    }

    /// Whether a member is `true`.
    pub(super) fn is(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Member::Raw(raw)) if raw.get() == "true")
    }

    /// A member read as a type; `None` if it is not there or not of the type.
    pub(super) fn read<'s, T: Deserialize<'s>>(&'s self, name: &str) -> Option<T> {
        match self.get(name)? {
            Member::Raw(raw) => serde_json::from_str(raw.get()).ok(),
            _ => None,
        }
    }

    /// Replaces a member where it stands, or takes it out.
    pub(super) fn put<T: Serialize + ?Sized>(&mut self, name: &str, value: Option<&T>) {
        let Some(at) = self.0.iter().position(|(key, _)| key == name) else { return };
        match value.and_then(|value| serde_json::value::to_raw_value(value).ok()) {
            Some(raw) => self.0[at].1 = Member::Raw(Raw::Owned(raw)),
            None => drop(self.0.remove(at)),
        }
    }

    pub(super) fn remove(&mut self, names: &[&str]) {
        self.0.retain(|(key, _)| !names.contains(&key.as_str()));
    }

    /// The schemas directly in this one.
    pub(super) fn children(&self) -> Box<dyn Iterator<Item = &Self> + '_> {
        Box::new(self.0.iter().flat_map(|(_, member)| -> Box<dyn Iterator<Item = &Self> + '_> {
            match member {
                Member::One(schema) => Box::new(std::iter::once(schema)),
                Member::Many(schemas) => Box::new(schemas.iter()),
                Member::Named(schemas) => Box::new(schemas.iter().map(|(_, schema)| schema)),
                Member::Raw(_) => Box::new(std::iter::empty()),
            }
        }))
    }

    /// As [`Schema::children`].
    pub(super) fn children_mut(&mut self) -> Box<dyn Iterator<Item = &mut Self> + '_> {
        Box::new(self.0.iter_mut().flat_map(|(_, member)| -> Box<dyn Iterator<Item = &mut Self> + '_> {
            match member {
                Member::One(schema) => Box::new(std::iter::once(schema)),
                Member::Many(schemas) => Box::new(schemas.iter_mut()),
                Member::Named(schemas) => Box::new(schemas.iter_mut().map(|(_, schema)| schema)),
                Member::Raw(_) => Box::new(std::iter::empty()),
            }
        }))
    }

    /// Every `$ref` in this schema and those in it.
    pub(super) fn references(&self, found: &mut Vec<String>) {
        found.extend(self.text("$ref"));
        for child in self.children() {
            child.references(found);
        }
    }
}

impl Raw<'_> {
    pub(super) fn get(&self) -> &str {
        match self {
            Self::Borrowed(raw) => raw.get(),
            Self::Owned(raw) => raw.get(),
        }
    }
}

impl<'de> Deserialize<'de> for Schema<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Schema<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a schema")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                read_schema(map)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

fn read_schema<'de, A: MapAccess<'de>>(mut map: A) -> Result<Schema<'de>, A::Error> {
    let mut members = Vec::new();
    while let Some(key) = map.next_key::<String>()? {
        let member = match &*key {
            "items" | "additionalItems" | "additionalProperties" | "not" | "allOf" | "anyOf" | "oneOf" => {
                map.next_value()?
            }
            "properties" | "patternProperties" | "definitions" => Member::Named(map.next_value::<Ordered<_>>()?.0),
            _ => Member::Raw(Raw::Borrowed(map.next_value()?)),
        };
        members.push((key, member));
    }
    Ok(Schema(members))
}

/// Where schemas are expected: one, a list of them, or a boolean in place of one.
impl<'de> Deserialize<'de> for Member<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Schemas;
        impl<'de> Visitor<'de> for Schemas {
            type Value = Member<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a schema, a list of schemas or a boolean")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                read_schema(map).map(Member::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut schemas = Vec::new();
                while let Some(schema) = seq.next_element()? {
                    schemas.push(schema);
                }
                Ok(Member::Many(schemas))
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Member::Raw(Raw::Borrowed(if value { RawValue::TRUE } else { RawValue::FALSE })))
            }
        }
        deserializer.deserialize_any(Schemas)
    }
}

/// An object in the order of the document.
pub(super) struct Ordered<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl Serialize for Schema<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Named<'s, 'a>(&'s [(String, Schema<'a>)]);
        impl Serialize for Named<'_, '_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|(key, schema)| (key, schema)))
            }
        }

        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, member) in &self.0 {
            match member {
                Member::One(schema) => map.serialize_entry(key, schema)?,
                Member::Many(schemas) => map.serialize_entry(key, schemas)?,
                Member::Named(schemas) => map.serialize_entry(key, &Named(schemas))?,
                Member::Raw(Raw::Borrowed(raw)) => map.serialize_entry(key, raw)?,
                Member::Raw(Raw::Owned(raw)) => map.serialize_entry(key, raw)?,
            }
        }
        map.end()
    }
}
