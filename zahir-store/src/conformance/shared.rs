//! Results that are found by a key.

use super::sample::{attempt, finish, more, position, revise, share, shared, start};
use super::{append, refuse};
use crate::{Attempt, Record, Store};

pub(super) fn a_shared_result_is_found_by_its_key(store: &dyn Store) {
    let results = [
        (0, shared(b"nought", None)),
        (u128::MAX, shared(b"", Some(u64::MAX))),
        (1 << 64, shared(b"middle", Some(0))),
    ];
    append(store, &[start(1, "order", None)]);
    assert_eq!(store.shared(0).unwrap(), None);
    for (first, (key, result)) in (1..).step_by(2).zip(&results) {
        append(store, &[share(1, first, *key, result.clone())]);
    }
    append(store, &[finish(1, 7), revise(1, 8)]);
    for (key, result) in results {
        assert_eq!(store.shared(key).unwrap(), Some(result));
    }
    for key in [1, u128::MAX - 1, 1 << 63, 1 << 65] {
        assert_eq!(store.shared(key).unwrap(), None);
    }
}

pub(super) fn the_last_result_that_was_shared_with_a_key_is_found(store: &dyn Store) {
    append(store, &[start(1, "order", None), start(2, "order", None)]);
    let first = shared(b"first", Some(9));
    append(store, &[share(1, 1, 8, first)]);
    let second = shared(b"second", None);
    append(store, &[share(2, 1, 8, second.clone())]);
    assert_eq!(store.shared(8).unwrap(), Some(second));
    let batch = [(2, 3, &b"third"[..]), (1, 3, b"fourth"), (2, 5, b"fifth")];
    let batch = batch.map(|(run, first, output)| share(run, first, 8, shared(output, Some(3))));
    append(store, &batch);
    assert_eq!(store.shared(8).unwrap(), Some(shared(b"fifth", Some(3))));
    let mut two = share(1, 5, 8, shared(b"sixth", None));
    two.records
        .extend(share(1, 7, 8, shared(b"seventh", Some(1))).records);
    two.records
        .extend(share(1, 9, 9, shared(b"other", None)).records);
    append(store, &[two]);
    assert_eq!(store.shared(8).unwrap(), Some(shared(b"seventh", Some(1))));
    assert_eq!(store.shared(9).unwrap(), Some(shared(b"other", None)));
}

pub(super) fn a_result_is_shared_with_the_record_before_it(store: &dyn Store) {
    append(store, &[start(1, "order", None)]);
    let whole = share(1, 1, 8, shared(b"eight", None)).records;
    let [says, result] = [whole[0].clone(), whole[1].clone()];
    let elsewhere = Record::AttemptSucceeded {
        at: position(4),
        attempt: Attempt::FIRST,
        output: Vec::new(),
    };
    for records in [
        vec![says.clone()],
        vec![result.clone(), says.clone()],
        vec![says.clone(), elsewhere],
        vec![says.clone(), attempt(1, 2).records.remove(0)],
        vec![says.clone(), says.clone(), result.clone()],
    ] {
        refuse(store, &[more(1, 1, records)]);
    }
    let says_alone = more(1, 1, vec![says.clone()]);
    refuse(store, &[says_alone, more(1, 2, vec![result])]);
    assert_eq!(store.shared(8).unwrap(), None);

    let recovered = Record::AttemptRecovered {
        at: position(3),
        attempt: Attempt::FIRST,
        output: b"recovered".to_vec(),
    };
    append(store, &[more(1, 1, vec![says, recovered])]);
    assert_eq!(store.shared(8).unwrap(), Some(shared(b"recovered", None)));
}

pub(super) fn what_is_not_appended_is_not_shared(store: &dyn Store) {
    append(store, &[start(1, "order", None)]);
    let eight = |first| share(1, first, 8, shared(b"eight", None));
    refuse(store, &[eight(1), attempt(9, 9)]);
    assert_eq!(store.shared(8).unwrap(), None);
    append(store, &[eight(1)]);
    refuse(
        store,
        &[
            share(1, 3, 8, shared(b"", Some(1))),
            start(2, "order", None),
            start(1, "order", None),
        ],
    );
    assert_eq!(store.shared(8).unwrap(), Some(shared(b"eight", None)));
}
