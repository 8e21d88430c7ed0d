//! `race(..)`: the value of the entry that ends first becomes an enum.

use std::marker::PhantomData;

use crate::race::{Race2, Race3, Race4, Race5, Race6, Race7, Race8};
use crate::value::Value;
use crate::wire::value::owned;
use crate::wire::{ByValue, Description, Out, RaceDef, Step};

/// What an entry of a race can give.
#[diagnostic::on_unimplemented(
    message = "this can't be an entry of a race: `{T}` isn't `Clone`",
    label = "gives a `{T}`",
    note = "the value of the race owns that of the entry, which others may share, too: derive `Clone` \
            for `{T}`, or end a block with `;` if its value isn't needed"
)]
pub trait Races<T> {
    /// The same value.
    #[doc(hidden)]
    fn entry(value: Out<T>) -> Out<T>;
}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Races<T> for ByValue {
    fn entry(value: Out<T>) -> Out<T> {
        value
    }
}

/// How the value of an entry becomes the value of the race.
#[derive(Clone, Copy, Debug)]
pub struct Raced(RaceDef);

impl Raced {
    /// What the node is.
    #[must_use]
    pub fn describe<'e>(self) -> Step<'e> {
        Step::Described(Description::Race(self.0))
    }
}

/// The values of the entries of a race: `T` is a tuple of tokens.
#[derive(Clone, Copy, Debug)]
pub struct Entries<T>(PhantomData<fn() -> T>);

impl<T> Entries<T> {
    /// These.
    #[must_use]
    pub fn of(_: T) -> Self {
        Self(PhantomData)
    }
}

/// For entries of which one can't compete, which [`Races`] has said; has to be in scope. Without it,
/// what `Entries::race` asks of them would be said a second time.
pub trait Unraced: Sized {
    /// The value of the race.
    type Race;

    /// What would be the race.
    #[must_use]
    fn race(self) -> (Out<Self::Race>, Raced) {
        (Out::new(), Raced(RaceDef { won: &[] }))
    }
}

macro_rules! races {
    ($($race:ty { $($entry:ident $variant:ident),* })*) => {
        $(
            impl<$($entry: Clone + Send + Sync + 'static),*> Entries<($(Out<$entry>,)*)> {
                /// The value of the race.
                #[must_use]
                pub fn race(self) -> (Out<$race>, Raced) {
                    let won = const {
                        let won: &'static [fn(Value) -> Value] =
                            &[$(|value| Value::new(<$race>::$variant(owned(value)))),*];
                        won
                    };
                    (Out::new(), Raced(RaceDef { won }))
                }
            }

            impl<$($entry),*> Unraced for Entries<($(Out<$entry>,)*)> {
                type Race = $race;
            }
        )*
    };
}

races! {
    Race2<A, B> { A First, B Second }
    Race3<A, B, C> { A First, B Second, C Third }
    Race4<A, B, C, D> { A First, B Second, C Third, D Fourth }
    Race5<A, B, C, D, E> { A First, B Second, C Third, D Fourth, E Fifth }
    Race6<A, B, C, D, E, F> {
        A First, B Second, C Third, D Fourth, E Fifth, F Sixth
    }
    Race7<A, B, C, D, E, F, G> {
        A First, B Second, C Third, D Fourth, E Fifth, F Sixth, G Seventh
    }
    Race8<A, B, C, D, E, F, G, H> {
        A First, B Second, C Third, D Fourth, E Fifth, F Sixth, G Seventh, H Eighth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_has_its_variant() {
        let (_, Raced(race)) =
            Entries::of((Out::<u8>::new(), Out::<String>::new(), Out::<()>::new())).race();
        let values = [
            Value::new(7_u8),
            Value::new("stop".to_owned()),
            Value::new(()),
        ];
        let outcomes = race.won.iter().zip(values).map(|(won, value)| won(value));
        let outcomes: Vec<Race3<u8, String, ()>> = outcomes.map(owned).collect();
        let expected = [
            Race3::First(7),
            Race3::Second("stop".to_owned()),
            Race3::Third(()),
        ];
        assert_eq!(outcomes, expected);
    }

    #[test]
    fn a_race_has_up_to_eight_entries() {
        let out = Out::<u8>::new;
        let (_, Raced(race)) =
            Entries::of((out(), out(), out(), out(), out(), out(), out(), out())).race();
        let last = race.won.last().unwrap()(Value::new(8_u8));
        type Eight = Race8<u8, u8, u8, u8, u8, u8, u8, u8>;
        assert_eq!(last.get::<Eight>(), Some(&Race8::Eighth(8)));
        assert_eq!(race.won.len(), 8);
    }
}
