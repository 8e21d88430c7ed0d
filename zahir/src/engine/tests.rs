//! The engine against a simulated world.
//!
//! [`plans`] makes random plans, [`reference`] says what a run of one must give, and [`world`] runs
//! it with crashes, lost and late reports, and every order of events that a seed picks. Nothing here
//! knows how the engine works; everything is checked from outside.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names what it is about, and lets the rest pass"
)]

mod children;
mod effects;
mod facts;
mod families;
mod migrations;
mod plans;
mod reference;
mod repairs;
mod rng;
mod rules;
mod schedules;
mod scripts;
mod traces;
mod versions;
mod world;
