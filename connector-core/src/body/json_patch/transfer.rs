//! Copies and moves: done with values as the user sees them.

use super::super::error::BodyError;
use super::super::members::{Members, quote};
use super::super::secret::REF;
use super::pointer::{Pointer, lookup};
use super::view::{Map, Which};
use super::{COPIED_MAX, Kind, Patch, untranslatable};

impl Patch<'_> {
    /// A copy, or a move, which is a copy and a removal. What is hidden is copied as the user sees it.
    pub(super) fn transfer(&mut self, moves: bool, from: &Pointer, path: &Pointer, raw: &str) -> Result<(), BodyError> {
        let scale = self.target.is_scale();
        if !from.is_translated(scale) && !path.is_translated(scale) {
            self.push(raw);
            return Ok(());
        }
        let value =
            self.visible(from)?.ok_or_else(|| untranslatable(if from.is_translated(scale) { from } else { path }))?;
        self.copied += value.len();
        if self.copied > COPIED_MAX {
            return Err(BodyError::Inapplicable);
        }
        if moves {
            self.single(Kind::Remove, from, "null", None)?;
        }
        self.single(Kind::Add, path, &value, None)
    }

    /// What the user sees at a path, as JSON, `null` for nothing; `None` where that is not known here.
    fn visible(&self, path: &Pointer) -> Result<Option<String>, BodyError> {
        let segments: Vec<&str> = path.segments().collect();
        let which = |name: &str| if name == "labels" { Which::Labels } else { Which::Annotations };
        let null = "null".to_owned();
        match segments.as_slice() {
            ["metadata", "name"] => Ok(self.target.name.map(quote)),
            ["metadata", "namespace"] => Ok(Some(quote(self.target.namespace))),
            _ if self.target.is_scale() => Ok(None),
            ["metadata", name @ ("labels" | "annotations")] => match self.view.map(which(name)) {
                Map::Absent | Map::Null => Ok(Some(null)),
                Map::Present(map) => Ok(Some(Members::of_texts(map).render())),
                Map::Unknown => Ok(None),
            },
            ["metadata", name @ ("labels" | "annotations"), key] => match self.view.map(which(name)) {
                Map::Absent | Map::Null => Err(BodyError::Inapplicable),
                Map::Present(map) => Ok(Some(map.get(*key).map_or(null, |value| quote(value)))),
                Map::Unknown => Ok(None),
            },
            ["metadata", "ownerReferences", ..] => {
                lookup(&self.view.owners, path).map(|value| Some(value.to_string())).ok_or(BodyError::Inapplicable)
            }
            ["spec", REF, "name"] => Ok(self.view.local_secret().map(quote)),
            _ => Ok(None),
        }
    }
}
