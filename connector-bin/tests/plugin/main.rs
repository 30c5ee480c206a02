//! The kubectl plugin against real clusters: what it does, what it prints, and the code that it ends with.

mod claims;
mod frame;
mod install;
mod setup;
mod space;
mod stage;
mod uninstall;
