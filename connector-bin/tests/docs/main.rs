//! The commands of the pages in `docs/`, run as they are written, on real clusters. What a page shows under a command must be in what it prints.

mod page;
mod world;

use anyhow::{Context, Result};

use crate::page::Page;
use crate::world::World;

#[tokio::test]
async fn install() -> Result<()> {
    let world = World::start().await?;
    world.run(&Page::read("install.md")?).await
}

#[tokio::test]
async fn operations() -> Result<()> {
    let world = World::start().await?;
    world.install().await?;
    world.run(&Page::read("operations.md")?).await
}

#[tokio::test]
async fn migrating() -> Result<()> {
    let world = World::start().await?;
    world.install_another_product().await?;
    world.make_claim("team-a", "db").await?;
    world.run(&Page::read("migrating.md")?).await
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
