//! `race(..)`: the value of the entry that ends first becomes an enum.

use crate::race::{Race2, Race3, Race4, Race5, Race6, Race7, Race8};
use crate::value::Value;
use crate::wire::value::owned;
use crate::wire::{Description, Out, RaceDef, Step};

/// What an entry of a race can give.
#[diagnostic::on_unimplemented(
    message = "this can't be an entry of a race: `{Self}` isn't `Clone`",
    label = "gives a `{Self}`",
    note = "the value of the race owns that of the entry, and others may share it; derive `Clone` \
            for `{Self}`, or end a block with `;` if its value isn't needed"
)]
pub trait Races: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Races for T {}

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

macro_rules! races {
    ($($name:ident $race:ty { $($entry:ident $variant:ident),* })*) => {
        $(
            /// The value of a race of these entries.
            #[must_use]
            pub fn $name<$($entry: Races),*>(_: ($(Out<$entry>,)*)) -> (Out<$race>, Raced) {
                let won = const {
                    let won: &'static [fn(Value) -> Value] =
                        &[$(|value| Value::new(<$race>::$variant(owned(value)))),*];
                    won
                };
                (Out::new(), Raced(RaceDef { won }))
            }
        )*
    };
}

races! {
    race2 Race2<A, B> { A First, B Second }
    race3 Race3<A, B, C> { A First, B Second, C Third }
    race4 Race4<A, B, C, D> { A First, B Second, C Third, D Fourth }
    race5 Race5<A, B, C, D, E> { A First, B Second, C Third, D Fourth, E Fifth }
    race6 Race6<A, B, C, D, E, F> {
        A First, B Second, C Third, D Fourth, E Fifth, F Sixth
    }
    race7 Race7<A, B, C, D, E, F, G> {
        A First, B Second, C Third, D Fourth, E Fifth, F Sixth, G Seventh
    }
    race8 Race8<A, B, C, D, E, F, G, H> {
        A First, B Second, C Third, D Fourth, E Fifth, F Sixth, G Seventh, H Eighth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_has_its_variant() {
        let (_, Raced(race)) = race3((Out::<u8>::new(), Out::<String>::new(), Out::<()>::new()));
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
        let (_, Raced(race)) = race8((out(), out(), out(), out(), out(), out(), out(), out()));
        let last = race.won.last().unwrap()(Value::new(8_u8));
        type Eight = Race8<u8, u8, u8, u8, u8, u8, u8, u8>;
        assert_eq!(last.get::<Eight>(), Some(&Race8::Eighth(8)));
        assert_eq!(race.won.len(), 8);
    }
}
