//! The kubectl plugin against real clusters: what it does, what it prints, and the code that it ends with.

mod adopt;
mod claims;
mod doctor;
mod frame;
mod install;
mod pair;
mod setup;
mod space;
mod stage;
mod status;
mod uninstall;
