//! What values are handed over as, gone over, and collected into.

use std::fmt;
use std::marker::PhantomData;

use crate::value::Value;
use crate::wire::{Description, Lend, Out, Step};

/// What a node's value can be handed over as.
#[diagnostic::on_unimplemented(
    message = "`{T}` can't be passed by value: it isn't `Clone`",
    label = "passing a node's value hands over a copy of it",
    note = "the value may be needed again, by another node, a retry or a restart",
    note = "lend it with `&` and let the job take a reference, or derive `Clone` for `{T}`"
)]
pub trait Copies<T> {
    /// A copy of a node's value. (A tuple keeps an expected type from flowing in, so that a
    /// mismatch is reported at the user's token.)
    #[doc(hidden)]
    fn own(value: &T) -> (T,);
}

/// Not the value itself: or rustc would offer `&value`, which is `Clone`, and drop the explanation.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a name for the compiler")]
pub struct ByValue;

#[diagnostic::do_not_recommend]
impl<T: Clone> Copies<T> for ByValue {
    fn own(value: &T) -> (T,) {
        (value.clone(),)
    }
}

/// What a `for` can go over.
#[diagnostic::on_unimplemented(
    message = "`for` can't go over `{Self}`",
    label = "not something to iterate over",
    note = "a `for` in a workflow runs its body once for each item, all at the same time"
)]
pub trait Items {
    /// One item.
    type Item: 'static;
    #[doc(hidden)]
    fn batch(self) -> Batch<Self::Item>;
}

/// The items of a `for`, with the type of one of them.
pub struct Batch<T: ?Sized>(Vec<Value>, PhantomData<fn() -> *const T>);

impl<T: ?Sized> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Batch").field(&self.0.len()).finish()
    }
}

#[diagnostic::do_not_recommend]
impl<I: IntoIterator> Items for I
where
    I::Item: Send + Sync + 'static,
{
    type Item = I::Item;

    fn batch(self) -> Batch<I::Item> {
        Batch(self.into_iter().map(Value::new).collect(), PhantomData)
    }
}

/// What the rounds of a `for` can give.
#[diagnostic::on_unimplemented(
    message = "the results of this `for` can't be collected: `{T}` isn't `Clone`",
    label = "each round gives a `{T}`",
    note = "derive `Clone` for `{T}`, or end the body with `;` if its value isn't needed"
)]
pub trait Collects<T> {
    /// The value of a `for` whose rounds give `T`.
    #[doc(hidden)]
    fn collect(round: Out<T>) -> (Out<Vec<T>>, Join);
}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Collects<T> for ByValue {
    fn collect(_: Out<T>) -> (Out<Vec<T>>, Join) {
        (Out::new(), Join(join::<T>))
    }
}

fn join<T: Clone + Send + Sync + 'static>(values: Vec<Value>) -> Value {
    let results = values.into_iter().map(owned::<T>);
    Value::new(results.collect::<Vec<T>>())
}

/// The `T` that a value is, or, if others share it, a copy of it.
pub(super) fn owned<T: Clone + Send + Sync + 'static>(value: Value) -> T {
    value
        .try_into_inner::<T>()
        .unwrap_or_else(|shared| T::lend(Some(&shared)).clone())
}

/// What a pure value can be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a node's value: it can't be shared between threads",
    label = "not `Send + Sync + 'static`",
    note = "several nodes may read a value at the same time"
)]
pub trait Shared: Sized {
    #[doc(hidden)]
    fn value<'e>(self, _: Out<Self>) -> Step<'e>;
}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> Shared for T {
    fn value<'e>(self, _: Out<Self>) -> Step<'e> {
        Step::Value(Value::new(self))
    }
}

/// How the results of a `for` become one value.
#[derive(Debug)]
pub struct Join(fn(Vec<Value>) -> Value);

impl Join {
    /// What the node is.
    #[must_use]
    pub fn describe<'e>(self) -> Step<'e> {
        Step::Described(Description::Each { join: self.0 })
    }
}

fn join_unit(_: Vec<Value>) -> Value {
    Value::new(())
}

/// The items of a `for`, whose variable is `item`.
#[must_use]
pub fn items_of<'e, T: ?Sized>(_: Out<T>, batch: Batch<T>) -> Step<'e> {
    Step::Items(batch.0)
}

/// What a `for` without results is.
#[must_use]
pub fn describe_unit<'e>() -> Step<'e> {
    Step::Described(Description::Each { join: join_unit })
}
