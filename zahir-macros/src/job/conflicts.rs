//! Options that can't stand beside each other.

use syn::Ident;

use crate::errors::Errors;
use crate::job::options::Options;

const TWICE: &str = "an `at_most_once` job is never started a second time: leave this away, or \
                     `at_most_once`";

const OTHERS: &str = "the result of such a job is that of other runs, too, so none of them may \
                      undo it: leave this away, or what makes it run once";

const PURE: &str = "a `pure` job has no effect that could happen twice: leave this away, or \
                    `pure`; `cache = 1h` gives its results to other runs";

/// What is wrong beside what, and what to say about it.
const EXCLUSIVE: [(&str, &str, &str); 12] = [
    ("retry", "at_most_once", TWICE),
    ("backoff", "at_most_once", TWICE),
    ("retry_if", "at_most_once", TWICE),
    (
        "pure",
        "at_most_once",
        "a `pure` job may run as often as one likes: leave this away, or `at_most_once`",
    ),
    (
        "no_undo",
        "undo",
        "`undo` says how the result is undone: leave this away, or `undo`",
    ),
    (
        "undo",
        "pure",
        "a `pure` job has no effect, so there is nothing to undo: leave this away, or `pure`",
    ),
    ("undo", "once", OTHERS),
    ("undo", "once_by", OTHERS),
    ("once", "pure", PURE),
    ("once_by", "pure", PURE),
    (
        "no_undo",
        "pure",
        "`pure` says that already: there is no effect to undo; leave this away",
    ),
    (
        "once",
        "once_by",
        "`once_by` says what the result is found by, and this that it is the inputs: leave one of \
         them away",
    ),
];

/// Reports what can't be, and takes it away.
pub(crate) fn check(options: &mut Options, errors: &Errors) {
    let wrong = EXCLUSIVE.iter().filter_map(|(key, beside, message)| {
        options.given(beside)?;
        Some((options.given(key)?.clone(), *message))
    });
    let mut wrong: Vec<(Ident, &str)> = wrong.collect();
    if let Some(cache) = options.given("cache")
        && options.given("pure").is_none()
    {
        let message = "only what a `pure` job gives can be cached: add `pure` if it has no effect, \
                       or write `once` if that is to happen once";
        wrong.push((cache.clone(), message));
    }
    for (at, (key, message)) in wrong.iter().enumerate() {
        if wrong.iter().take(at).all(|(earlier, _)| earlier != key) {
            errors.at(key, *message);
            options.forget(&key.to_string());
        }
    }
}
