//! Whole programs: what users see of a runtime, its file, and its end.

mod bad_inputs;
mod control;
mod crash;
mod crash_control;
mod guide;
mod kill;
mod language;
mod limits;
mod many;
mod registered;
