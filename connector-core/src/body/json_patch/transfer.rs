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

    /// What the user sees at a path, as JSON; `None` where that is not known here.
    fn visible(&self, path: &Pointer) -> Result<Option<String>, BodyError> {
        let segments: Vec<&str> = path.segments().collect();
        let map = |which: Which| match self.view.map(which) {
            Map::Absent => Err(BodyError::Inapplicable),
            Map::Unknown => Ok(None),
            Map::Present(map) => Ok(Some(map)),
        };
        match segments.as_slice() {
            ["metadata", "name"] => Ok(self.target.name.map(quote)),
            ["metadata", "namespace"] => Ok(Some(quote(self.target.namespace))),
            _ if self.target.is_scale() => Ok(None),
            ["metadata", key @ ("labels" | "annotations")] => {
                let which = if *key == "labels" { Which::Labels } else { Which::Annotations };
                Ok(map(which)?.map(|map| Members::of_texts(map).render()))
            }
            ["metadata", parent @ ("labels" | "annotations"), key] => {
                let which = if *parent == "labels" { Which::Labels } else { Which::Annotations };
                let Some(map) = map(which)? else { return Ok(None) };
                map.get(*key).map(|value| Some(quote(value))).ok_or(BodyError::Inapplicable)
            }
            ["metadata", "ownerReferences", ..] => {
                lookup(&self.view.owners, path).map(|value| Some(value.to_string())).ok_or(BodyError::Inapplicable)
            }
            ["spec", REF, "name"] => {
                self.view.local_secret().map(|name| Some(quote(name))).ok_or(BodyError::Inapplicable)
            }
            _ => Ok(None),
        }
    }
}
