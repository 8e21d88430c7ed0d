//! Results that other runs are given, too: `once`, `once_by` and `cache`.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128_with_seed;
use zahir_store::{Failure, FailureKind};

use crate::job::attempt::failure;
use crate::job::context::Context;
use crate::job::options::Sharing;
use crate::job::{BoxFuture, Job, JobDef};
use crate::value::{self, Codec, CodecError};
use crate::wire::{Failed, Outcome, Produced};

/// Where the results of other runs are found.
pub(crate) trait Recall: Send + Sync {
    /// The encoded result of this key, if there is one.
    fn recall(&self, key: u128) -> BoxFuture<'_, Result<Option<Vec<u8>>, Failure>>;
}

impl fmt::Debug for dyn Recall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recall(..)")
    }
}

/// A result that is shared.
pub(crate) struct Shared {
    /// What it is found by.
    pub(crate) key: u128,
    /// For how long, if not for ever.
    pub(crate) time: Option<Duration>,
    pub(crate) known: Known,
}

/// What has to be known of a job to read what another run has computed.
pub(crate) struct Known {
    job: fn() -> &'static str,
    output: Codec,
    is_pure: bool,
}

/// How the result of a call is shared; `None` if it is not.
pub(crate) fn key<J: Job>(args: &J::Args<'_>) -> Result<Option<Shared>, Failed> {
    // Keys of different kinds are never the same.
    let (whose, seed, time) = match J::OPTIONS.sharing() {
        Sharing::None => return Ok(None),
        Sharing::ByInputs(time) => (JobDef::fingerprint::<J>().to_le_bytes().to_vec(), 1, time),
        Sharing::ByKey => (J::name().as_bytes().to_vec(), 2, None),
    };
    let bytes = J::key(args).map_err(|error| unwritable(&error))?;
    Ok(Some(Shared {
        key: hashed(bytes, &whose, seed),
        time,
        known: Known {
            job: J::name,
            output: J::CODEC.codec,
            is_pure: J::OPTIONS.is_pure(),
        },
    }))
}

/// What a result is found by: the same on every machine, as files are carried from one to another.
fn hashed(mut bytes: Vec<u8>, whose: &[u8], seed: u64) -> u128 {
    bytes.extend(whose);
    let length = u64::try_from(whose.len()).unwrap_or(u64::MAX);
    bytes.extend(length.to_le_bytes());
    xxh3_128_with_seed(&bytes, seed)
}

fn unwritable(error: &CodecError) -> Failed {
    let text = format!("what the result is to be found by can't be stored: {error}");
    Failed::last(failure(FailureKind::Unencodable, text))
}

impl Known {
    /// The result of another run, as that of this attempt; `None` if there is none.
    pub(crate) async fn recall(&self, key: u128, context: &Context) -> Option<Outcome> {
        let encoded = match context.shared()?.recall(key).await {
            Ok(Some(encoded)) => encoded,
            Ok(None) => return None,
            Err(failure) => return Some(failure.into()),
        };
        match (self.output.decode)(&encoded) {
            Ok(value) => Some(Outcome::Produced(Produced {
                value,
                encoded,
                extra: None,
            })),
            // What is pure can as well be computed again.
            Err(_) if self.is_pure => None,
            Err(error) => {
                let job = (self.job)();
                let text = format!(
                    "the result of `{job}` that another run has stored can't be decoded as {error}"
                );
                Some(Failed::last(failure(FailureKind::Undecodable, text)).into())
            }
        }
    }
}

/// What `once_by` can give.
#[diagnostic::on_unimplemented(
    message = "a result can't be found by `{Self}`: it can't be stored",
    label = "not `Serialize`",
    note = "`once_by` gives text, a number, or whatever else is `serde::Serialize`"
)]
pub trait SharingKey: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> SharingKey for T {}

/// The bytes of what `once_by` gives.
///
/// # Errors
///
/// If it can't be written.
pub fn key_bytes<K: SharingKey>(key: K) -> Result<Vec<u8>, CodecError> {
    value::encode(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length of what a key belongs to was hashed as a `usize`, which differs between machines.
    #[test]
    fn a_key_is_the_same_on_every_machine() {
        let bytes = [7, b'j', b'o', b'b', 3, 0, 0, 0, 0, 0, 0, 0];
        let expected = xxh3_128_with_seed(&bytes, 2);
        assert_eq!(hashed(vec![7], b"job", 2), expected);
        assert_eq!(expected, 96_193_406_952_476_367_067_841_086_232_016_947_193);
    }
}
