//! Every promise of the store, by file:
//!
//! | file | promise |
//! |---|---|
//! | `contract` | both stores keep the contract of `Store` |
//! | `codec` | no record is lost on the way to bytes, no bytes harm the decoder |
//! | `corruption` | damage is reported, never read as if it were right |
//! | `crash` | a process killed at any moment loses nothing that was acknowledged |
//! | `faults` | a fault store fails as planned |
//! | `golden` | a file of an older format stays readable |
//! | `io_errors` | a disk that fails or is full costs no acknowledged record |
//! | `refusals` | what is no store is refused by name and left as it was |
//! | `layout` | a record is its tag and its fields in order |
//! | `power_loss` | what was acknowledged survives loss of power |
//! | `surgery` | rows that are lost, old or in the wrong place are noticed |

#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what helps a test may do what a test may do"
)]

mod codec;
mod contract;
mod corruption;
mod crash;
mod faults;
mod golden;
mod io_errors;
mod layout;
mod power_loss;
mod refusals;
mod support;
mod surgery;
