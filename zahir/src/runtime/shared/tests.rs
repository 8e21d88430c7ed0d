//! Tickets and what is kept in memory. Whole runs that share results are in `runtime::tests`.

use std::pin::Pin;

use futures_util::FutureExt as _;
use zahir_store::{
    Append, Attempt, DefinitionId, MemoryStore, NodeId, Position, RunId, RunStart, Store as _,
};

use super::*;
use crate::runtime::reader::Questions;

const KEY: u128 = 7;
const HOUR: Duration = Duration::from_secs(3600);

fn audience(clock: Arc<Clock>) -> Audience {
    let hub = Arc::default();
    Audience { hub, clock }
}

fn in_memory() -> (Arc<Shared>, Arc<Slots>, Arc<Clock>) {
    let slots = Arc::new(Slots::new(2));
    let clock = Arc::new(Clock::steady());
    let shared = Shared::new(None, audience(Arc::clone(&clock)), Arc::clone(&slots));
    (Arc::new(shared), slots, clock)
}

type Asking = Pin<Box<dyn Future<Output = Result<Recalled, Failure>> + Send>>;

/// Asks for a result; the second is what came of it at once.
fn ask(shared: &Arc<Shared>, key: u128) -> (Asking, Option<Recalled>) {
    let shared = Arc::clone(shared);
    let mut asking: Asking = Box::pin(async move { shared.recall(key).await });
    let answer = poll(&mut asking);
    (asking, answer)
}

fn poll(asking: &mut Asking) -> Option<Recalled> {
    asking.now_or_never().map(Result::unwrap)
}

#[track_caller]
fn ticket(answer: Option<Recalled>) -> Ticket {
    match answer {
        Some(Recalled::Unknown(ticket)) => ticket,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn known(answer: Option<Recalled>) -> Vec<u8> {
    match answer {
        Some(Recalled::Known(result)) => result.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn one_makes_it_and_all_have_it() {
    let (shared, slots, _) = in_memory();
    let (_, first) = ask(&shared, KEY);
    let first = ticket(first);
    let mut waiting: Vec<_> = (0..5).map(|_| ask(&shared, KEY)).collect();
    assert!(waiting.iter().all(|(_, answer)| answer.is_none()));
    assert_eq!(slots.free(), 7, "they have lent their slots");
    drop(ticket(ask(&shared, KEY + 1).1));
    first.land(&[1, 2].into(), None);
    for (asking, _) in &mut waiting {
        assert_eq!(known(poll(asking)), [1, 2]);
    }
    assert_eq!(known(ask(&shared, KEY).1), [1, 2], "from here on, too");
}

#[tokio::test(start_paused = true)]
async fn a_ticket_that_is_dropped_goes_to_who_has_waited_longest() {
    let (shared, ..) = in_memory();
    let first = ticket(ask(&shared, KEY).1);
    let mut waiting: Vec<_> = (0..3).map(|_| ask(&shared, KEY).0).collect();
    drop(first);
    assert!(poll(&mut waiting[1]).is_none());
    let second = ticket(poll(&mut waiting[0]));
    drop(waiting.remove(1));
    drop(second);
    let third = ticket(poll(&mut waiting[1]));
    drop(third);
    drop(ticket(ask(&shared, KEY).1));
    assert!(lock(&shared.state).taken.is_empty());
}

#[tokio::test(start_paused = true)]
async fn any_number_of_those_who_wait_may_be_gone() {
    let (shared, ..) = in_memory();
    let first = ticket(ask(&shared, KEY).1);
    let gone: Vec<_> = (0..100_000).map(|_| ask(&shared, KEY).0).collect();
    let mut last = ask(&shared, KEY).0;
    drop(gone);
    drop(first);
    // tokio lets nobody go on for ever.
    tokio::task::yield_now().await;
    drop(ticket(poll(&mut last)));
}

#[tokio::test(start_paused = true)]
async fn who_is_gone_with_the_ticket_hands_it_on() {
    let (shared, slots, _) = in_memory();
    let first = ticket(ask(&shared, KEY).1);
    let (second, mut third) = (ask(&shared, KEY).0, ask(&shared, KEY).0);
    drop(first);
    // It has been sent the ticket, and was not polled since.
    drop(second);
    drop(ticket(poll(&mut third)));
    assert_eq!(slots.free(), 2, "one was taken back, one paid");
}

#[tokio::test(start_paused = true)]
async fn who_gets_the_ticket_goes_on_when_it_has_its_slot_again() {
    let (shared, slots, _) = in_memory();
    let first = ticket(ask(&shared, KEY).1);
    let mut second = ask(&shared, KEY).0;
    let mut others = crate::runtime::slots::Held::none(slots);
    others.take(9);
    drop(first);
    assert!(poll(&mut second).is_none());
    others.keep(2);
    drop(ticket(poll(&mut second)));
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_in_memory_ends_when_it_is_due() {
    let (shared, ..) = in_memory();
    let mut landings = Landings::default();
    landings.take_in(ticket(ask(&shared, KEY).1), &[3], Some(HOUR));
    tokio::time::advance(HOUR - Duration::from_millis(1)).await;
    assert_eq!(known(ask(&shared, KEY).1), [3]);
    tokio::time::advance(Duration::from_millis(1)).await;
    let again = ticket(ask(&shared, KEY).1);
    assert_eq!(lock(&shared.state).kept.bytes, 0);
    landings.take_in(again, &[4], None);
    tokio::time::advance(HOUR * 24 * 365).await;
    assert_eq!(known(ask(&shared, KEY).1), [4]);
}

#[test]
fn memory_keeps_the_last_ones() {
    let mut kept = Kept::default();
    let now = Timestamp::default();
    let found = |kept: &mut Kept, key| kept.find(key, now).map(|result| result.len());
    for key in 0..=u128::try_from(KEPT_MAX).unwrap() {
        kept.insert(key, Arc::from([1]), None);
    }
    assert_eq!((found(&mut kept, 0), found(&mut kept, 1)), (None, Some(1)));
    kept.insert(1, Arc::from([1, 1]), None);
    kept.insert(0, Arc::from([1]), None);
    let renewed = (found(&mut kept, 1), found(&mut kept, 2));
    assert_eq!(renewed, (Some(2), None), "what is renewed is the last one");
    let half: Arc<[u8]> = vec![0; KEPT_BYTES_MAX / 2].into();
    kept.insert(5, Arc::clone(&half), None);
    assert_eq!(kept.results.len(), KEPT_MAX);
    kept.insert(6, half, None);
    assert_eq!(kept.results.len(), 2);
    kept.insert(7, vec![0; KEPT_BYTES_MAX + 1].into(), None);
    assert_eq!((kept.results.len(), kept.order.len()), (0, 0));
    assert_eq!(kept.bytes, 0);
}

fn on_record(key: u128, output: u8) -> [Record; 2] {
    let at = Position {
        frames: Vec::new(),
        node: NodeId::new(1),
    };
    let result = Record::AttemptSucceeded {
        at: at.clone(),
        attempt: Attempt::FIRST,
        output: vec![output],
    };
    let until = None;
    [Record::ResultShared { at, key, until }, result]
}

/// Answers what the store was asked.
async fn answer(questions: &Questions, store: &MemoryStore) {
    while let Ok(question) = questions.try_recv() {
        question(store);
    }
    tokio::task::yield_now().await;
}

/// The ticket of a key that has no result in the store.
async fn answered(shared: &Arc<Shared>, questions: &Questions) -> Ticket {
    let (mut asking, _) = ask(shared, KEY);
    answer(questions, &MemoryStore::new()).await;
    ticket(poll(&mut asking))
}

/// A store in which this key has a result.
fn store_with(output: u8) -> MemoryStore {
    let mut records = vec![Record::RunStarted(RunStart {
        workflow: "w".to_owned(),
        key: None,
        definition: DefinitionId::from_u128(1),
        input: Vec::new(),
    })];
    let [shared, result] = on_record(KEY, output);
    let at = Position {
        frames: Vec::new(),
        node: NodeId::new(1),
    };
    let attempt = Attempt::FIRST;
    records.extend([Record::AttemptStarted { at, attempt }, shared, result]);
    let append = Append {
        run: RunId::from_u128(1),
        first: 0,
        at: Timestamp::default(),
        records,
        definition: Some(Arc::from([1])),
    };
    let store = MemoryStore::new();
    store.append(&[append]).unwrap();
    store
}

#[tokio::test(start_paused = true)]
async fn who_has_waited_in_vain_looks_at_the_store_first() {
    let (reader, questions) = Reader::new();
    let (_, slots, clock) = in_memory();
    let shared = Arc::new(Shared::new(Some(Arc::new(reader)), audience(clock), slots));
    let first = answered(&shared, &questions).await;
    let (mut second, mut third) = (ask(&shared, KEY).0, ask(&shared, KEY).0);
    // Its run was left with the result on its way.
    drop(first);
    assert!(poll(&mut second).is_none());
    answer(&questions, &store_with(5)).await;
    assert_eq!(known(poll(&mut second)), [5]);
    assert_eq!(known(poll(&mut third)), [5]);
}

#[tokio::test(start_paused = true)]
async fn a_result_is_somebody_elses_when_it_is_durable() {
    let (reader, questions) = Reader::new();
    let (_, slots, clock) = in_memory();
    let shared = Arc::new(Shared::new(Some(Arc::new(reader)), audience(clock), slots));
    let mut landings = Landings::default();
    landings.take_in(answered(&shared, &questions).await, &[9], None);
    let (mut asking, _) = ask(&shared, KEY);
    landings.append(4, &on_record(KEY + 1, 1));
    landings.append(5, &on_record(KEY, 2));
    landings.settle();
    landings.land(4);
    assert!(poll(&mut asking).is_none());
    landings.land(5);
    assert_eq!(known(poll(&mut asking)), [2], "what was written");
}

#[tokio::test(start_paused = true)]
async fn a_result_that_the_engine_did_not_take_is_nobodys() {
    let (reader, questions) = Reader::new();
    let (_, slots, clock) = in_memory();
    let shared = Arc::new(Shared::new(Some(Arc::new(reader)), audience(clock), slots));
    let mut landings = Landings::default();
    landings.take_in(answered(&shared, &questions).await, &[9], None);
    landings.append(5, &on_record(KEY + 1, 1));
    landings.settle();
    answered(&shared, &questions).await;
}
