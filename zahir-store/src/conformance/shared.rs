//! Results that are found by a key.

use super::sample::{attempt, finish, more, position, revise, run, share, shared, start};
use super::{append, refuse};
use crate::{Attempt, Record, Store, Timestamp};

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

pub(super) fn what_is_over_is_removed(store: &dyn Store) {
    append(store, &[start(1, "order", None)]);
    let untils = [
        (0, Some(5)),
        (3, None),
        (1 << 90, Some(6)),
        (u128::MAX, Some(5)),
    ];
    for (first, (key, until)) in (1..).step_by(2).zip(untils) {
        append(store, &[share(1, first, key, shared(b"it", until))]);
    }
    let left = |store: &dyn Store| {
        let keys = untils.iter().map(|(key, _)| *key);
        keys.filter(|key| store.shared(*key).unwrap().is_some())
            .collect::<Vec<_>>()
    };
    let remove = |now| {
        store
            .remove_expired(Timestamp::from_millis(now), None, 10)
            .unwrap()
    };
    let records = store.load(run(1)).unwrap();
    assert_eq!(remove(4), None);
    assert_eq!(left(store).len(), 4);
    assert_eq!(remove(5), None);
    assert_eq!(left(store), [3, 1 << 90]);
    assert_eq!(remove(u64::MAX), None);
    assert_eq!(left(store), [3]);
    assert_eq!(store.load(run(1)).unwrap(), records, "records stay");
    append(store, &[share(1, 9, 0, shared(b"anew", Some(7)))]);
    assert_eq!(store.shared(0).unwrap(), Some(shared(b"anew", Some(7))));
}

pub(super) fn as_many_are_looked_at_as_asked_for(store: &dyn Store) {
    let now = Timestamp::from_millis(1);
    assert_eq!(store.remove_expired(now, None, 2).unwrap(), None);
    append(store, &[start(1, "order", None)]);
    for (first, key) in (1..).step_by(2).zip(0..5) {
        let until = Some(1).filter(|_| key != 2);
        append(store, &[share(1, first, key, shared(b"it", until))]);
    }
    let is_there = |key| store.shared(key).unwrap().is_some();
    assert_eq!(store.remove_expired(now, None, 2).unwrap(), Some(1));
    assert_eq!(
        [0, 1, 2, 3, 4].map(is_there),
        [false, false, true, true, true]
    );
    assert_eq!(store.remove_expired(now, Some(1), 2).unwrap(), Some(3));
    assert_eq!([2, 3, 4].map(is_there), [true, false, true]);
    assert_eq!(store.remove_expired(now, Some(3), 2).unwrap(), None);
    assert_eq!([2, 3, 4].map(is_there), [true, false, false]);
    assert_eq!(store.remove_expired(now, Some(u128::MAX), 2).unwrap(), None);
}
