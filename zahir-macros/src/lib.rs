//! The macros of zahir.
