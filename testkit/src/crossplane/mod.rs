//! Crossplane's part.
mod render;
