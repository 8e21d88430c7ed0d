//! The values of races: one variant for each entry.
//!
//! Written out, so that rustc shows the variant when a `match` forgets one.

use serde::{Deserialize, Serialize};

/// The value of a `race(..)` with two entries: which one ended first, and its value.
///
/// ```
/// use zahir::{Race2, job, workflow};
///
/// #[job]
/// async fn search(words: &str) -> Vec<String> {
///     words.split(' ').map(str::to_owned).collect()
/// }
///
/// #[job]
/// async fn report(found: &[String]) -> String {
///     found.join(", ")
/// }
///
/// workflow! {
///     pub async fn find(words: String) -> String {
///         let first = race((search(&words), sleep(30s)));
///         match first {
///             Race2::First(found) => report(&found),
///             Race2::Second(()) => "took too long".to_owned(),
///         }
///     }
/// }
/// # let _ = Find::graph();
/// ```
///
/// The entry that did not end first is cancelled. [`Race3`] to [`Race8`] are the same for more
/// entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "one variant for each entry")]
pub enum Race2<A, B> {
    /// The first entry ended before the others, with this value.
    First(A),
    /// The second entry ended before the others, with this value.
    Second(B),
}

/// The value of a `race(..)` with three entries, as [`Race2`] is for two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "one variant for each entry")]
pub enum Race3<A, B, C> {
    /// The first entry ended before the others, with this value.
    First(A),
    /// The second entry ended before the others, with this value.
    Second(B),
    /// The third entry ended before the others, with this value.
    Third(C),
}

/// The value of a `race(..)` with four entries, as [`Race2`] is for two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "one variant for each entry")]
pub enum Race4<A, B, C, D> {
    /// The first entry ended before the others, with this value.
    First(A),
    /// The second entry ended before the others, with this value.
    Second(B),
    /// The third entry ended before the others, with this value.
    Third(C),
    /// The fourth entry ended before the others, with this value.
    Fourth(D),
}

/// The value of a `race(..)` with five entries, as [`Race2`] is for two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "one variant for each entry")]
pub enum Race5<A, B, C, D, E> {
    /// The first entry ended before the others, with this value.
    First(A),
    /// The second entry ended before the others, with this value.
    Second(B),
    /// The third entry ended before the others, with this value.
    Third(C),
    /// The fourth entry ended before the others, with this value.
    Fourth(D),
    /// The fifth entry ended before the others, with this value.
    Fifth(E),
}

/// The value of a `race(..)` with six entries, as [`Race2`] is for two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "one variant for each entry")]
pub enum Race6<A, B, C, D, E, F> {
    /// The first entry ended before the others, with this value.
    First(A),
    /// The second entry ended before the others, with this value.
    Second(B),
    /// The third entry ended before the others, with this value.
    Third(C),
    /// The fourth entry ended before the others, with this value.
    Fourth(D),
    /// The fifth entry ended before the others, with this value.
    Fifth(E),
    /// The sixth entry ended before the others, with this value.
    Sixth(F),
}

/// The value of a `race(..)` with seven entries, as [`Race2`] is for two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "one variant for each entry")]
pub enum Race7<A, B, C, D, E, F, G> {
    /// The first entry ended before the others, with this value.
    First(A),
    /// The second entry ended before the others, with this value.
    Second(B),
    /// The third entry ended before the others, with this value.
    Third(C),
    /// The fourth entry ended before the others, with this value.
    Fourth(D),
    /// The fifth entry ended before the others, with this value.
    Fifth(E),
    /// The sixth entry ended before the others, with this value.
    Sixth(F),
    /// The seventh entry ended before the others, with this value.
    Seventh(G),
}

/// The value of a `race(..)` with eight entries, as [`Race2`] is for two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "one variant for each entry")]
pub enum Race8<A, B, C, D, E, F, G, H> {
    /// The first entry ended before the others, with this value.
    First(A),
    /// The second entry ended before the others, with this value.
    Second(B),
    /// The third entry ended before the others, with this value.
    Third(C),
    /// The fourth entry ended before the others, with this value.
    Fourth(D),
    /// The fifth entry ended before the others, with this value.
    Fifth(E),
    /// The sixth entry ended before the others, with this value.
    Sixth(F),
    /// The seventh entry ended before the others, with this value.
    Seventh(G),
    /// The eighth entry ended before the others, with this value.
    Eighth(H),
}
