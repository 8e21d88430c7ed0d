//! Whole programs: what users see of a runtime, its file, and its end.

mod bad_inputs;
mod blocks;
mod branches;
mod children;
mod control;
mod crash;
mod failure;
mod guide;
mod kill;
mod language;
mod ledger;
mod limits;
mod many;
mod poison;
mod registered;
mod repair;
mod repair_children;
mod shared;
mod upgrade;
mod waits;
mod watched;
