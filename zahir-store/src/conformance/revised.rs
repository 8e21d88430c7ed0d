//! A run that is over goes on with a revision.

use super::sample::{attempt, finish, more, revise, run, start};
use super::{append, refuse};
use crate::{Ending, Record, RunId, RunStatus, Store, Timestamp};

pub(super) fn a_revised_run_is_unfinished_again(store: &dyn Store) {
    append(store, &[start(1, "order", Some("a")), finish(1, 1)]);
    append(store, &[revise(1, 2)]);
    let head = store.runs(None, 1).unwrap().remove(0);
    assert_eq!((head.status, head.records), (RunStatus::Running, 3));
    assert_eq!(head.started_at, Timestamp::from_millis(1_000));
    assert_eq!(head.updated_at, Timestamp::from_millis(1_002));
    assert_eq!(store.unfinished().unwrap(), [run(1)]);
    refuse(store, &[attempt(1, 2)]);
    append(store, &[attempt(1, 3)]);
    let record = Record::RunFinished(Ending::Cancelled);
    append(store, &[more(1, 4, vec![record])]);
    assert_eq!(store.unfinished().unwrap(), []);
    let stored = store.load(run(1)).unwrap().unwrap();
    assert_eq!(stored.head, store.runs(None, 1).unwrap().remove(0));
    assert_eq!(stored.head.status, RunStatus::Cancelled);
    assert_eq!((stored.head.records, stored.steps.len()), (5, 5));
    assert_eq!(stored.steps[2].records, revise(1, 2).records);
    refuse(store, &[attempt(1, 5)]);
}

pub(super) fn a_revised_run_stays_where_it_was(store: &dyn Store) {
    append(store, &[start(9, "order", Some("a")), finish(9, 1)]);
    append(store, &[start(1, "order", None), start(5, "order", None)]);
    append(store, &[finish(1, 1), revise(9, 2)]);
    append(store, &[revise(1, 2)]);
    assert_eq!(store.unfinished().unwrap(), [run(9), run(1), run(5)]);
    let heads = store.runs(None, 9).unwrap();
    let ids: Vec<RunId> = heads.into_iter().map(|head| head.id).collect();
    assert_eq!(ids, [run(9), run(1), run(5)]);
    assert_eq!(store.find("order", "a").unwrap(), Some(run(9)));
    refuse(store, &[start(2, "order", Some("a"))]);
    refuse(store, &[start(9, "order", None)]);
}

pub(super) fn a_run_may_be_revised_at_any_time_and_again(store: &dyn Store) {
    append(store, &[start(1, "order", None), revise(1, 1)]);
    append(store, &[revise(1, 2)]);
    append(store, &[finish(1, 3), revise(1, 4), finish(1, 5)]);
    assert_eq!(store.unfinished().unwrap(), []);
    append(store, &[revise(1, 6), finish(1, 7), revise(1, 8)]);
    assert_eq!(store.unfinished().unwrap(), [run(1)]);
    let mut records = [finish(1, 9), revise(1, 10), attempt(1, 11), finish(1, 12)]
        .map(|append| append.records)
        .concat();
    append(store, &[more(1, 9, records.clone())]);
    assert_eq!(store.unfinished().unwrap(), []);
    records.remove(0);
    append(store, &[more(1, 13, records)]);
    assert_eq!(store.unfinished().unwrap(), []);
    let stored = store.load(run(1)).unwrap().unwrap();
    assert_eq!(stored.head.status, RunStatus::Succeeded);
    assert_eq!((stored.head.records, stored.steps.len()), (16, 11));
}

pub(super) fn a_refused_revision_leaves_the_run_over(store: &dyn Store) {
    append(store, &[start(1, "order", Some("a")), finish(1, 1)]);
    refuse(store, &[revise(1, 2), attempt(1, 4)]);
    refuse(store, &[revise(1, 2), finish(1, 3), attempt(9, 9)]);
    refuse(store, &[attempt(1, 2)]);
    append(store, &[revise(1, 2), finish(1, 3)]);
    assert_eq!(store.unfinished().unwrap(), []);
}
