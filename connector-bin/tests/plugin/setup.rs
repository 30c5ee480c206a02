//! What most tests start from.
