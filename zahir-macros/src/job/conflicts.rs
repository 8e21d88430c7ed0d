//! Options that can't stand beside each other.

use crate::errors::Errors;
use crate::job::options::Options;

const TWICE: &str = "such a job is never started a second time; leave one of the two away";

const OTHERS: &str = "the result is that of other runs, too, so none of them may undo it; leave one \
                      of the two away";

const PURE: &str = "such a job has no effect that could happen twice; leave one of the two away, or \
                    write `cache = 1h` to give its results to other runs";

const CHILDREN: &str = "other runs would be given the result without what is spawned for it; leave \
                        one of the two away";

/// What can't stand beside what, and why.
const EXCLUSIVE: [(&str, &str, &str); 16] = [
    ("retry", "at_most_once", TWICE),
    ("backoff", "at_most_once", TWICE),
    ("retry_if", "at_most_once", TWICE),
    (
        "pure",
        "at_most_once",
        "what is pure may run as often as one likes; leave one of the two away",
    ),
    (
        "no_undo",
        "undo",
        "that says how the result is undone; leave one of the two away",
    ),
    (
        "undo",
        "pure",
        "such a job has no effect, so there is nothing to undo; leave one of the two away",
    ),
    ("undo", "once", OTHERS),
    ("undo", "once_by", OTHERS),
    ("once", "pure", PURE),
    ("once_by", "pure", PURE),
    (
        "no_undo",
        "pure",
        "that says already that there is nothing to undo; leave `no_undo` away",
    ),
    (
        "pure",
        "spawns",
        "what a job spawns is an effect; leave one of the two away",
    ),
    ("once", "spawns", CHILDREN),
    ("once_by", "spawns", CHILDREN),
    (
        "at_most_once",
        "spawns",
        "a job that waited for what it spawned is started again after a restart, to be told of it; \
         leave one of the two away",
    ),
    (
        "once",
        "once_by",
        "that says by what the result is found, and `once` that it is the inputs; leave one of the \
         two away",
    ),
];

/// Reports what can't be, and takes it away.
pub(crate) fn check(options: &mut Options, errors: &Errors) {
    let mut reported = Vec::new();
    for (key, beside, why) in EXCLUSIVE {
        if !reported.contains(&key)
            && options.given(beside).is_some()
            && let Some(at) = options.given(key)
        {
            reported.push(key);
            errors.at(at, format!("`{key}` can't stand beside `{beside}`: {why}"));
            options.forget(key);
        }
    }
    if let Some(cache) = options.given("cache")
        && options.given("pure").is_none()
    {
        let message = "only what a `pure` job gives can be cached: add `pure` if it has no effect, \
                       or write `once` if that is to happen once";
        errors.at(cache, message);
        options.forget("cache");
    }
}
