//! The `connector` command.
fn main() {}
