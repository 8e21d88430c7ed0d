//! What can go wrong with a signal.

use std::error::Error as StdError;
use std::fmt;

use zahir_store::RunId;

use super::Halted;

/// A signal that a run did not take.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SignalError {
    /// The workflow waits for no signal of this name.
    Unknown {
        /// The workflow's name.
        workflow: &'static str,
        /// What was sent.
        signal: String,
        /// What it waits for.
        known: Vec<String>,
    },
    /// The payload can't be stored, or is not what the workflow waits for.
    Unfit {
        /// The workflow's name.
        workflow: &'static str,
        /// The signal's name.
        signal: String,
        /// The type that is waited for, and why this is none.
        reason: String,
    },
    /// The payload is larger than `value_bytes_max`.
    TooLarge {
        /// The workflow's name.
        workflow: &'static str,
        /// The signal's name.
        signal: String,
        /// How large the payload is.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The run is over.
    Over {
        /// The run.
        run: RunId,
        /// The workflow's name.
        workflow: &'static str,
    },
    /// The run keeps as many signals that it has not waited for as it can.
    Full {
        /// The run.
        run: RunId,
        /// The workflow's name.
        workflow: &'static str,
        /// The signal's name.
        signal: String,
        /// How many it keeps at most.
        signals_max: usize,
    },
    /// The runtime was shut down first. The signal may be on record or not.
    ShutDown,
    /// The runtime halted first. The signal may be on record or not.
    Halted(Halted),
    /// zahir has a bug. The signal may be on record or not.
    Bug {
        /// The run.
        run: RunId,
        /// What was seen.
        reason: String,
    },
}

impl fmt::Display for SignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown {
                workflow,
                signal,
                known,
            } => {
                write!(f, "`{workflow}` waits for no signal `{signal}`")?;
                if let Some(meant) = nearest(signal, known) {
                    write!(f, "; did you mean `{meant}`?")?;
                }
                if known.is_empty() {
                    return f.write_str(", nor for any other");
                }
                write!(f, " (it waits for `{}`)", known.join("`, `"))
            }
            Self::Unfit {
                workflow,
                signal,
                reason,
            } => write!(
                f,
                "this is no payload of the signal `{signal}` of `{workflow}`: {reason}"
            ),
            Self::TooLarge {
                workflow,
                signal,
                bytes,
                bytes_max,
            } => write!(
                f,
                "the signal `{signal}` for `{workflow}` has {bytes} bytes; `value_bytes_max` \
                 allows {bytes_max}: raise it, or pass a reference to where the data is"
            ),
            Self::Over { run, workflow } => {
                write!(f, "run {run} of `{workflow}` is over, and takes no signals")
            }
            Self::Full {
                run,
                workflow,
                signal,
                signals_max,
            } => write!(
                f,
                "run {run} of `{workflow}` keeps {signals_max} signals that it has not waited for, \
                 and no more: send `{signal}` again when it has"
            ),
            Self::ShutDown => f.write_str(
                "the runtime shut down before it took the signal, which may be on record or not",
            ),
            Self::Halted(_) => f.write_str(
                "the runtime halted before it took the signal, which may be on record or not",
            ),
            Self::Bug { run, reason } => {
                write!(
                    f,
                    "run {run} met a bug in zahir, please report it: {reason}"
                )
            }
        }
    }
}

impl StdError for SignalError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Halted(halted) => Some(halted),
            Self::Unknown { .. }
            | Self::Unfit { .. }
            | Self::TooLarge { .. }
            | Self::Over { .. }
            | Self::Full { .. }
            | Self::ShutDown
            | Self::Bug { .. } => None,
        }
    }
}

/// The closest of `names`, if it is close enough to be a slip.
fn nearest<'n>(word: &str, names: &'n [String]) -> Option<&'n str> {
    names
        .iter()
        .map(|name| (distance(word, name), name.as_str()))
        .filter(|(distance, name)| *distance <= (word.len().max(name.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many letters to insert, drop or replace.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (count, letter) in from.chars().enumerate() {
        let mut row = vec![count + 1];
        for (column, other) in to.iter().enumerate() {
            let replaced = above[column] + usize::from(letter != *other);
            row.push(replaced.min(above[column + 1] + 1).min(row[column] + 1));
        }
        above = row;
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(signal: &str, known: &[&str]) -> String {
        let error = SignalError::Unknown {
            workflow: "onboard",
            signal: signal.to_owned(),
            known: known.iter().map(|name| (*name).to_owned()).collect(),
        };
        error.to_string()
    }

    #[test]
    fn an_unknown_signal_names_the_known_ones() {
        assert_eq!(
            unknown("aprove", &["stop", "approve"]),
            "`onboard` waits for no signal `aprove`; did you mean `approve`? (it waits for `stop`, \
             `approve`)"
        );
        assert_eq!(
            unknown("color", &["approve"]),
            "`onboard` waits for no signal `color` (it waits for `approve`)"
        );
        assert_eq!(
            unknown("color", &[]),
            "`onboard` waits for no signal `color`, nor for any other"
        );
    }
}
