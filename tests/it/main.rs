//! Whole programs: what users see of a runtime, its file, and its end.

mod bad_inputs;
mod kill;
mod language;
