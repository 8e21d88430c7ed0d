//! The values of races: one variant for each entry.

use serde::{Deserialize, Serialize};

macro_rules! races {
    ($(
        $(#[$attribute:meta])*
        $race:ident ($($entry:ident $variant:ident $place:literal),*);
    )*) => {
        $(
            $(#[$attribute])*
            #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
            #[expect(clippy::exhaustive_enums, reason = "one variant for each entry")]
            pub enum $race<$($entry),*> {
                $(
                    #[doc = concat!("The ", $place, " entry ended before the others, with this value.")]
                    $variant($entry),
                )*
            }
        )*
    };
}

races! {
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
    /// workflow! {
    ///     pub async fn find(words: String) -> usize {
    ///         let first = race((search(&words), sleep(30s)));
    ///         match first {
    ///             Race2::First(found) => found.len(),
    ///             Race2::Second(()) => 0,
    ///         }
    ///     }
    /// }
    ///
    /// assert_eq!(Find::graph().nodes().len(), 5);
    /// ```
    ///
    /// [`Race3`] to [`Race8`] are the same for more entries. The entries that did not end first are
    /// cancelled.
    Race2(A First "first", B Second "second");
    /// The value of a `race(..)` with three entries, as [`Race2`] is for two.
    Race3(A First "first", B Second "second", C Third "third");
    /// The value of a `race(..)` with four entries, as [`Race2`] is for two.
    Race4(A First "first", B Second "second", C Third "third", D Fourth "fourth");
    /// The value of a `race(..)` with five entries, as [`Race2`] is for two.
    Race5(
        A First "first", B Second "second", C Third "third", D Fourth "fourth", E Fifth "fifth"
    );
    /// The value of a `race(..)` with six entries, as [`Race2`] is for two.
    Race6(
        A First "first", B Second "second", C Third "third", D Fourth "fourth", E Fifth "fifth",
        F Sixth "sixth"
    );
    /// The value of a `race(..)` with seven entries, as [`Race2`] is for two.
    Race7(
        A First "first", B Second "second", C Third "third", D Fourth "fourth", E Fifth "fifth",
        F Sixth "sixth", G Seventh "seventh"
    );
    /// The value of a `race(..)` with eight entries, as [`Race2`] is for two.
    Race8(
        A First "first", B Second "second", C Third "third", D Fourth "fourth", E Fifth "fifth",
        F Sixth "sixth", G Seventh "seventh", H Eighth "eighth"
    );
}
