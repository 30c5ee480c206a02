//! Random sequences of operations.

use anyhow::Result;

use crate::case::Difference;
use crate::world::World;

pub(crate) async fn run(_world: &World, _filter: &str) -> Result<Vec<Difference>> {
    Ok(Vec::new())
}
