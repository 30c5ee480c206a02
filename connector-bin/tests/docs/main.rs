//! The commands of the pages in `docs/`, run as they are written, on real clusters. What a page shows under a command must be in what it prints.

mod page;
mod world;

use anyhow::{Context, Result};

use crate::page::Page;
use crate::world::World;

const MOVING: &str = "A cluster that is lost, and moving a cluster";
const LOCAL_CROSSPLANE: &str = "From a Crossplane in the app cluster";

#[tokio::test]
async fn install() -> Result<()> {
    let world = World::start().await?;
    world.run(&Page::read("install.md")?).await
}

#[tokio::test]
async fn configuration() -> Result<()> {
    let world = World::start().await?;
    world.install().await?;
    world.have_secret_conflict("default", "db").await?;
    world.run(&Page::read("configuration.md")?).await
}

#[tokio::test]
async fn operations() -> Result<()> {
    let world = World::start().await?;
    world.install().await?;
    world.run(&Page::read("operations.md")?.split(MOVING)?.1).await
}

#[tokio::test]
async fn moving_a_cluster() -> Result<()> {
    let world = World::start().await?;
    world.have_claims_of("old-cluster", "old-claims", "team-a", "db").await?;
    world.run(&Page::read("operations.md")?.split(MOVING)?.0).await
}

#[tokio::test]
async fn migrating() -> Result<()> {
    let world = World::start().await?;
    world.install_another_product().await?;
    world.make_claim("team-a", "db").await?;
    world.run(&Page::read("migrating.md")?.split(LOCAL_CROSSPLANE)?.1).await
}

#[tokio::test]
async fn migrating_from_a_local_crossplane() -> Result<()> {
    let world = World::start().await?;
    world.have_local_crossplane("team-a", "db").await?;
    world.run(&Page::read("migrating.md")?.split(LOCAL_CROSSPLANE)?.0).await
}

#[tokio::test]
async fn troubleshooting() -> Result<()> {
    let world = World::start().await?;
    world.install().await?;
    world.run(&Page::read("troubleshooting.md")?).await
}

/// The commands of a runbook are for a connector that is ill; here it is well, so they need not find anything.
#[tokio::test]
async fn runbooks() -> Result<()> {
    let world = World::start().await?;
    world.install().await?;
    for (name, page) in Page::all("runbooks")? {
        world.look(&page).await.with_context(|| name)?;
    }
    Ok(())
}
