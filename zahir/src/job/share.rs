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
use crate::value::{self, CodecError};
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

/// What a result is found by, and for how long if not for ever.
pub(crate) type Key = (u128, Option<Duration>);

/// The key of a call; `None` if its result is not shared.
pub(crate) fn key<J: Job>(args: &J::Args<'_>) -> Result<Option<Key>, Failed> {
    let unwritable = |error: CodecError| {
        let text = format!("what the result is to be found by can't be stored: {error}");
        Failed::last(failure(FailureKind::Unencodable, text))
    };
    // Keys of different kinds are never the same.
    let (whose, seed, time) = match J::OPTIONS.sharing() {
        Sharing::None => return Ok(None),
        Sharing::ByInputs(time) => (JobDef::fingerprint::<J>().to_le_bytes().to_vec(), 1, time),
        Sharing::ByKey => (J::name().as_bytes().to_vec(), 2, None),
    };
    let mut bytes = J::key(args).map_err(unwritable)?;
    bytes.extend(&whose);
    bytes.extend(whose.len().to_le_bytes());
    Ok(Some((xxh3_128_with_seed(&bytes, seed), time)))
}

/// The result of another run, as that of this attempt; `None` if there is none.
pub(crate) async fn recall<J: Job>(key: u128, context: &Context) -> Option<Outcome> {
    let encoded = match context.shared()?.recall(key).await {
        Ok(Some(encoded)) => encoded,
        Ok(None) => return None,
        Err(failure) => return Some(failure.into()),
    };
    match (J::CODEC.codec.decode)(&encoded) {
        Ok(value) => Some(Outcome::Produced(Produced {
            value,
            encoded,
            extra: None,
        })),
        // What is pure can as well be computed again.
        Err(_) if J::OPTIONS.is_pure() => None,
        Err(error) => {
            let job = J::name();
            let text = format!(
                "the result of `{job}` that another run has stored can't be decoded as {error}"
            );
            Some(Failed::last(failure(FailureKind::Undecodable, text)).into())
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
