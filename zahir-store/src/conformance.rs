//! The contract of [`Store`] as functions that any store must pass: one per sentence.
//!
//! ```
//! zahir_store::conformance::check(zahir_store::MemoryStore::new);
//! ```
//!
//! A function that finds a sentence broken panics and says which.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "to panic is how a test kit reports"
)]

mod revised;
mod sample;
mod shared;

use std::sync::Arc;

pub use self::sample::{
    attempt, definition, finish, inner_records, more, revise, run, share, start,
};
use self::sample::{endings, position, revise_to, shared};
use crate::{
    Append, Attempt, CancelRequest, PAYLOAD_BYTES_MAX, Record, RunId, RunStatus, Store, StoreError,
    StoreErrorKind, StoredStep, TEXT_BYTES_MAX, Timestamp,
};

/// Checks everything but what concerns opening a store again; `make` gives a store without runs.
pub fn check<S: Store>(make: impl Fn() -> S) {
    let sentences: [fn(&dyn Store); 31] = [
        what_was_appended_is_loaded,
        every_kind_of_record_is_loaded_as_it_was,
        an_unknown_run_is_none,
        a_batch_is_all_or_nothing,
        a_batch_may_go_on_with_a_run_it_starts,
        an_empty_batch_changes_nothing,
        records_must_go_on_where_the_last_ones_ended,
        a_run_starts_with_run_started_and_only_once,
        nothing_but_a_revision_follows_run_finished,
        revised::a_revised_run_is_unfinished_again,
        revised::a_revised_run_stays_where_it_was,
        revised::a_run_may_be_revised_at_any_time_and_again,
        revised::a_refused_revision_leaves_the_run_over,
        an_append_has_a_record,
        a_key_belongs_to_one_run_of_a_workflow,
        a_refused_key_stays_free,
        unfinished_runs_come_in_the_order_of_their_start,
        runs_come_in_the_order_of_their_start_and_in_pages,
        a_head_tells_how_the_run_ended,
        a_definition_is_stored_once,
        a_definition_that_is_named_is_stored_or_given,
        a_definition_belongs_to_one_record,
        shared::a_shared_result_is_found_by_its_key,
        shared::the_last_result_that_was_shared_with_a_key_is_found,
        shared::a_result_is_shared_with_the_record_before_it,
        shared::what_is_not_appended_is_not_shared,
        shared::what_is_over_is_removed,
        shared::as_many_are_looked_at_as_asked_for,
        what_is_too_large_is_refused,
        long_texts_are_cut,
        a_fresh_store_is_attached,
    ];
    for sentence in sentences {
        sentence(&make());
    }
}

/// Checks that what was appended is there when a store is opened again: `reopen` closes the one it
/// is given and opens the same again.
pub fn check_reopened<S: Store>(make: impl Fn() -> S, reopen: impl Fn(S) -> S) {
    let store = make();
    append(
        &store,
        &[start(1, "order", Some("a")), start(2, "order", None)],
    );
    append(&store, &[attempt(1, 1), finish(2, 1)]);
    append(&store, &[start(5, "order", Some("c")), finish(5, 1)]);
    append(&store, &[revise(5, 2), attempt(5, 3)]);
    append(&store, &[share(1, 2, 8, shared(b"eight", Some(9)))]);
    let all = |store: &S| [1, 2, 5].map(|number| store.load(run(number)).unwrap());
    let before = all(&store);
    let heads = store.runs(None, 10).unwrap();

    let store = reopen(store);
    assert_eq!(all(&store), before);
    assert_eq!(store.runs(None, 10).unwrap(), heads);
    assert_eq!(store.unfinished().unwrap(), [run(1), run(5)]);
    assert_eq!(store.find("order", "a").unwrap(), Some(run(1)));
    assert_eq!(store.find("order", "c").unwrap(), Some(run(5)));
    assert_eq!(
        store.definition(definition(7)).unwrap().unwrap(),
        b"definition"
    );
    assert_eq!(store.shared(8).unwrap(), Some(shared(b"eight", Some(9))));
    assert_eq!(store.shared(9).unwrap(), None);

    append(&store, &[share(1, 4, 8, shared(b"again", None))]);
    append(&store, &[finish(1, 6), start(3, "order", None)]);
    refuse(&store, &[start(4, "order", Some("a"))]);
    refuse(&store, &[attempt(2, 2)]);
    append(&store, &[revise(2, 2), finish(5, 4)]);
    let store = reopen(store);
    assert_eq!(store.unfinished().unwrap(), [run(2), run(3)]);
    assert_eq!(records(&store, 1), 7);
    assert_eq!(store.shared(8).unwrap(), Some(shared(b"again", None)));
    append(&store, &[finish(2, 3), revise(5, 5)]);
    let store = reopen(store);
    assert_eq!(store.unfinished().unwrap(), [run(5), run(3)]);
    assert_eq!((records(&store, 2), records(&store, 5)), (4, 6));

    append(&store, &[share(3, 1, 9, shared(b"nine", Some(9)))]);
    let now = Timestamp::from_millis(9);
    assert_eq!(store.remove_expired(now, None, 10).unwrap(), None);
    let store = reopen(store);
    assert_eq!(store.shared(8).unwrap(), Some(shared(b"again", None)));
    assert_eq!(store.shared(9).unwrap(), None);
    assert_eq!(records(&store, 3), 3);
    append(&store, &[share(3, 3, 9, shared(b"nine again", Some(9)))]);
    let store = reopen(store);
    assert_eq!(
        store.shared(9).unwrap(),
        Some(shared(b"nine again", Some(9)))
    );
}

fn records(store: &dyn Store, number: u128) -> u64 {
    store.load(run(number)).unwrap().unwrap().head.records
}

fn append(store: &dyn Store, batch: &[Append]) {
    store.append(batch).unwrap();
}

/// Checks that a batch is refused and that nothing of it is there afterwards.
fn refuse(store: &dyn Store, batch: &[Append]) -> StoreError {
    let runs = store.runs(None, usize::MAX).unwrap();
    let unfinished = store.unfinished().unwrap();
    let Err(error) = store.append(batch) else {
        panic!("the store took a batch that breaks the contract: {batch:?}");
    };
    assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
    assert!(!error.is_outcome_unknown(), "{error}");
    assert_eq!(store.runs(None, usize::MAX).unwrap(), runs);
    assert_eq!(store.unfinished().unwrap(), unfinished);
    error
}

fn what_was_appended_is_loaded(store: &dyn Store) {
    let appends = [start(1, "order", Some("a")), attempt(1, 1), finish(1, 2)];
    for one in &appends {
        append(store, std::slice::from_ref(one));
    }
    let stored = store.load(run(1)).unwrap().unwrap();
    let steps = appends.map(|append| StoredStep {
        at: append.at,
        records: append.records,
    });
    assert_eq!(stored.steps, steps);
    assert_eq!(stored.head.records, 3);
}

fn every_kind_of_record_is_loaded_as_it_was(store: &dyn Store) {
    for (number, (ending, status)) in (1..).zip(endings()) {
        append(store, &[start(number, "order", None)]);
        let mut records = inner_records();
        records.push(Record::RunFinished(ending));
        append(store, &[more(number, 1, records.clone())]);
        let stored = store.load(run(number)).unwrap().unwrap();
        assert_eq!(stored.steps[1].records, records);
        assert_eq!(stored.head.status, status);
    }
}

fn an_unknown_run_is_none(store: &dyn Store) {
    append(store, &[start(1, "order", Some("a"))]);
    assert_eq!(store.load(run(2)).unwrap(), None);
    assert_eq!(store.find("order", "b").unwrap(), None);
    assert_eq!(store.find("orde", "ra").unwrap(), None);
    assert_eq!(store.find("", "").unwrap(), None);
    assert_eq!(store.definition(definition(8)).unwrap(), None);
    let error = store.runs(Some(run(2)), 1).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
}

fn a_batch_is_all_or_nothing(store: &dyn Store) {
    append(store, &[start(1, "order", None)]);
    refuse(
        store,
        &[start(2, "order", Some("k")), attempt(1, 1), attempt(1, 1)],
    );
    assert_eq!(store.load(run(2)).unwrap(), None);
    assert_eq!(store.find("order", "k").unwrap(), None);
    assert_eq!(store.load(run(1)).unwrap().unwrap().steps.len(), 1);
    append(store, &[attempt(1, 1), start(2, "order", Some("k"))]);
}

fn a_batch_may_go_on_with_a_run_it_starts(store: &dyn Store) {
    append(
        store,
        &[
            start(1, "order", None),
            start(2, "order", None),
            attempt(1, 1),
            finish(1, 2),
            attempt(2, 1),
        ],
    );
    assert_eq!(store.load(run(1)).unwrap().unwrap().steps.len(), 3);
    assert_eq!(store.unfinished().unwrap(), [run(2)]);
    refuse(store, &[finish(2, 2), finish(2, 3)]);
}

fn an_empty_batch_changes_nothing(store: &dyn Store) {
    append(store, &[]);
    assert_eq!(store.runs(None, 1).unwrap(), []);
}

fn records_must_go_on_where_the_last_ones_ended(store: &dyn Store) {
    refuse(store, &[attempt(1, 1)]);
    append(store, &[start(1, "order", None)]);
    refuse(store, &[attempt(1, 2)]);
    append(store, &[attempt(1, 1)]);
    refuse(store, &[attempt(1, 1)]);
    refuse(store, &[attempt(1, u64::MAX)]);
    append(store, &[attempt(1, 2)]);
}

fn a_run_starts_with_run_started_and_only_once(store: &dyn Store) {
    refuse(store, &[attempt(1, 0)]);
    append(store, &[start(1, "order", None)]);
    refuse(store, &[start(1, "order", None)]);
    refuse(store, &[more(1, 1, start(1, "order", None).records)]);
    append(store, &[finish(1, 1)]);
    refuse(store, &[start(1, "order", None)]);
    refuse(store, &[start(2, "order", None), start(2, "order", None)]);
}

fn nothing_but_a_revision_follows_run_finished(store: &dyn Store) {
    append(store, &[start(1, "order", None)]);
    let mut records = finish(1, 1).records;
    records.extend(attempt(1, 1).records);
    refuse(store, &[more(1, 1, records)]);
    append(store, &[finish(1, 1)]);
    refuse(store, &[attempt(1, 2)]);
    refuse(store, &[finish(1, 2)]);
    let mut records = attempt(1, 2).records;
    records.extend(revise(1, 3).records);
    refuse(store, &[more(1, 2, records)]);
    for first in [0, 1, 3, u64::MAX] {
        refuse(store, &[revise(1, first)]);
    }
    refuse(store, &[revise(2, 1)]);
    append(store, &[revise(1, 2)]);
    refuse(store, &[revise(1, 2)]);
}

fn an_append_has_a_record(store: &dyn Store) {
    refuse(store, &[more(1, 0, Vec::new())]);
    append(store, &[start(1, "order", None)]);
    refuse(store, &[more(1, 1, Vec::new())]);
}

fn a_key_belongs_to_one_run_of_a_workflow(store: &dyn Store) {
    append(
        store,
        &[
            start(1, "order", Some("a")),
            start(2, "refund", Some("a")),
            start(3, "order", Some("")),
        ],
    );
    let error = refuse(store, &[start(4, "order", Some("a"))]);
    assert_eq!(error.run(), Some(run(4)));
    append(store, &[finish(1, 1)]);
    refuse(store, &[start(4, "order", Some("a"))]);
    refuse(
        store,
        &[start(5, "order", Some("b")), start(6, "order", Some("b"))],
    );
    assert_eq!(store.find("order", "a").unwrap(), Some(run(1)));
    assert_eq!(store.find("refund", "a").unwrap(), Some(run(2)));
    assert_eq!(store.find("order", "").unwrap(), Some(run(3)));
}

fn a_refused_key_stays_free(store: &dyn Store) {
    refuse(store, &[start(1, "order", Some("a")), attempt(9, 9)]);
    append(store, &[start(2, "order", Some("a"))]);
    assert_eq!(store.find("order", "a").unwrap(), Some(run(2)));
}

fn unfinished_runs_come_in_the_order_of_their_start(store: &dyn Store) {
    append(store, &[start(9, "order", None), start(1, "order", None)]);
    append(store, &[start(5, "order", None), start(0, "order", None)]);
    append(store, &[finish(1, 1)]);
    assert_eq!(store.unfinished().unwrap(), [run(9), run(5), run(0)]);
}

fn runs_come_in_the_order_of_their_start_and_in_pages(store: &dyn Store) {
    append(
        store,
        &[
            start(9, "order", None),
            start(1, "order", None),
            start(5, "order", None),
        ],
    );
    append(store, &[finish(1, 1)]);
    let ids = |after, limit| -> Vec<RunId> {
        let heads = store.runs(after, limit).unwrap();
        heads.into_iter().map(|head| head.id).collect()
    };
    assert_eq!(ids(None, usize::MAX), [run(9), run(1), run(5)]);
    assert_eq!(ids(None, 2), [run(9), run(1)]);
    assert_eq!(ids(Some(run(9)), 1), [run(1)]);
    assert_eq!(ids(Some(run(1)), 5), [run(5)]);
    assert_eq!(ids(Some(run(5)), 5), []);
    assert_eq!(ids(None, 0), []);
}

fn a_head_tells_how_the_run_ended(store: &dyn Store) {
    append(store, &[start(1, "order", Some("a"))]);
    let head = store.runs(None, 1).unwrap().remove(0);
    assert_eq!(
        (head.id, head.workflow.as_str(), head.key.as_deref()),
        (run(1), "order", Some("a"))
    );
    assert_eq!((head.status, head.records), (RunStatus::Running, 1));
    assert_eq!(head.updated_at, head.started_at);
    append(store, &[finish(1, 1)]);
    let ended = store.runs(None, 1).unwrap().remove(0);
    assert_eq!((ended.status, ended.records), (RunStatus::Succeeded, 2));
    assert_eq!(ended.started_at, Timestamp::from_millis(1_000));
    assert_eq!(ended.updated_at, Timestamp::from_millis(1_001));
    assert_eq!(store.load(run(1)).unwrap().unwrap().head, ended);
}

fn a_definition_is_stored_once(store: &dyn Store) {
    append(store, &[start(1, "order", None), start(2, "order", None)]);
    let mut again = start(3, "order", None);
    again.definition = Some(Arc::from(&b"another"[..]));
    append(store, &[again]);
    assert_eq!(
        store.definition(definition(7)).unwrap().unwrap(),
        b"definition"
    );
}

fn a_definition_that_is_named_is_stored_or_given(store: &dyn Store) {
    let mut unknown = start(1, "order", Some("a"));
    unknown.definition = None;
    refuse(store, std::slice::from_ref(&unknown));
    assert_eq!(store.load(run(1)).unwrap(), None);
    append(store, &[start(2, "order", None), unknown, finish(2, 1)]);

    refuse(store, &[revise_to(2, 2, definition(8), None)]);
    refuse(
        store,
        &[
            revise_to(1, 1, definition(9), Some(b"nine")),
            revise_to(2, 2, definition(8), None),
        ],
    );
    assert_eq!(store.definition(definition(9)).unwrap(), None);
    append(
        store,
        &[
            revise_to(1, 1, definition(8), None),
            revise_to(2, 2, definition(8), Some(b"eight")),
        ],
    );
    append(store, &[revise_to(1, 2, definition(8), Some(b"another"))]);
    append(store, &[revise_to(2, 3, definition(7), None)]);
    let stored = store.definition(definition(8)).unwrap();
    assert_eq!(stored.as_deref(), Some(&b"eight"[..]));
    assert_eq!(store.definition(definition(9)).unwrap(), None);
}

fn a_definition_belongs_to_one_record(store: &dyn Store) {
    append(store, &[start(1, "order", None)]);
    let bytes = Some(Arc::from(&b"eight"[..]));
    let none = Append {
        definition: bytes.clone(),
        ..attempt(1, 1)
    };
    refuse(store, &[none]);
    let mut two = revise_to(1, 1, definition(8), None);
    two.records.extend(revise(1, 2).records);
    two.definition = bytes;
    refuse(store, &[two.clone()]);
    assert_eq!(store.definition(definition(8)).unwrap(), None);
    append(store, &[revise_to(1, 1, definition(8), Some(b"eight"))]);
    (two.first, two.definition) = (2, None);
    append(store, &[two]);
}

fn what_is_too_large_is_refused(store: &dyn Store) {
    append(store, &[start(1, "order", None)]);
    let output = |bytes| {
        let record = Record::AttemptSucceeded {
            at: position(0),
            attempt: Attempt::FIRST,
            output: vec![7; bytes],
        };
        more(1, 1, vec![record])
    };
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    let error = vec![7; PAYLOAD_BYTES_MAX + 1];
    let error = Record::ErrorKept {
        at: position(0),
        error,
    };
    let signal = |name: &str, bytes| {
        let (name, payload) = (name.to_owned(), vec![7; bytes]);
        more(1, 1, vec![Record::SignalReceived { name, payload }])
    };
    let mut definition = start(2, "order", None);
    definition.definition = Some(vec![0; PAYLOAD_BYTES_MAX + 1].into());
    for batch in [
        output(PAYLOAD_BYTES_MAX + 1),
        more(1, 1, vec![error]),
        signal("paid", PAYLOAD_BYTES_MAX + 1),
        signal(&long, 0),
        start(2, &long, None),
        start(2, "order", Some(&long)),
        definition,
    ] {
        let error = store.append(&[batch]).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::TooLarge, "{error}");
        assert!(!error.is_outcome_unknown());
    }
    let mut five = output(PAYLOAD_BYTES_MAX);
    five.records = vec![five.records.remove(0); 5];
    let error = store.append(&[five]).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge, "{error}");
    append(store, &[output(PAYLOAD_BYTES_MAX)]);
    assert_eq!(
        store.load(run(1)).unwrap().unwrap().steps[1].records,
        output(PAYLOAD_BYTES_MAX).records
    );
    assert_eq!(store.load(run(2)).unwrap(), None);
}

fn long_texts_are_cut(store: &dyn Store) {
    append(store, &[start(1, "order", None)]);
    let reason = "€".repeat(TEXT_BYTES_MAX);
    append(
        store,
        &[more(
            1,
            1,
            vec![Record::CancelRequested(CancelRequest { reason })],
        )],
    );
    let kept = "€".repeat(TEXT_BYTES_MAX / 3);
    let stored = store.load(run(1)).unwrap().unwrap();
    assert_eq!(
        stored.steps[1].records,
        [Record::CancelRequested(CancelRequest { reason: kept })]
    );
}

fn a_fresh_store_is_attached(store: &dyn Store) {
    store.check_attached().unwrap();
}
