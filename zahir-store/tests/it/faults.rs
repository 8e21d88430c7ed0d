//! A fault store fails as planned and, as a real one, not again.

use zahir_store::conformance::{self, attempt, run, start};
use zahir_store::{Fault, FaultStore, MemoryStore, Store, StoreErrorKind};

/// Plans a fault for the second append; gives the error, whether a third append works, and how many
/// records a reopened store has.
fn check(fault: Fault) -> (StoreErrorKind, bool, bool, u64) {
    let store = FaultStore::new(MemoryStore::new());
    store.fail_after(1, fault);
    store.append(&[start(1, "order", None)]).unwrap();
    let error = store.append(&[attempt(1, 1)]).unwrap_err();
    let goes_on = store.append(&[start(2, "order", None)]).is_ok();
    let inner = store.into_inner();
    let records = inner.load(run(1)).unwrap().unwrap().head.records;
    (error.kind(), error.is_outcome_unknown(), goes_on, records)
}

#[test]
fn a_fault_store_fails_as_planned() {
    assert_eq!(
        check(Fault::Refuse),
        (StoreErrorKind::Refused, false, true, 1)
    );
    assert_eq!(check(Fault::Stop), (StoreErrorKind::Io, false, false, 1));
    assert_eq!(
        check(Fault::UnknownNotWritten),
        (StoreErrorKind::Io, true, false, 1)
    );
    assert_eq!(
        check(Fault::UnknownWritten),
        (StoreErrorKind::Io, true, false, 2)
    );
}

#[test]
fn without_a_plan_it_keeps_the_contract() {
    conformance::check(|| FaultStore::new(MemoryStore::new()));
}
