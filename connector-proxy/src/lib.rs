//! The connector as a library.
