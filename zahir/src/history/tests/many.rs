//! A run with many children: nothing that is done with it grows faster than their number.
//!
//! `ZAHIR_CHILDREN` sets how many there are (default 3,000). What each step takes is printed.

use std::sync::Arc;
use std::time::Instant;

use zahir_store::FrameStep;

use super::children::{Shelf, ShelfMore};
use super::*;
use crate::engine::Engine;
use crate::history::facts::Facts;

fn count() -> u32 {
    let count = std::env::var("ZAHIR_CHILDREN");
    count.map_or(3_000, |text| text.parse().expect("a number"))
}

/// A run whose one job has spawned so many children, which have all run, and then failed.
fn many(count: u32) -> Run {
    let mut run = Run::of(Shelf::graph(), &["head ok", "made open"]);
    let at = run.at("made");
    let kind = run.kind(&at, "page");
    let child = |number: u32| SpawnedChild {
        kind,
        call: ChildCall::Number(number),
        bond: Bond::Held,
        arguments: number.to_be_bytes().to_vec(),
        fan: None,
        limits: ChildLimits::default(),
    };
    for first in (0..count).step_by(1024) {
        let numbers = first..count.min(first + 1024);
        let attempt = Attempt::FIRST;
        run.records.push(Record::ChildrenSpawned {
            at: at.clone(),
            children: numbers.clone().map(child).collect(),
        });
        for index in numbers {
            let node = at.node;
            let at = Position {
                frames: vec![FrameStep { node, index }],
                node: kind,
            };
            let started = at.clone();
            run.records.push(Record::AttemptStarted {
                at: started,
                attempt,
            });
            let output = vec![1];
            run.records.push(Record::AttemptSucceeded {
                at,
                attempt,
                output,
            });
        }
    }
    run
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long it takes is printed, and decides nothing"
)]
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = work();
    println!("{what}: {:?}", began.elapsed());
    result
}

#[test]
fn many_children_are_gone_over_a_few_times() {
    let mut run = many(count());
    let stored = run.stored();
    timed("replayed as it is", || {
        assert!(entries::is_plain(&stored));
        let plan = Arc::clone(&run.program.plan);
        let decode = &mut |_, _, _: &[u8]| Ok(0_u64);
        Engine::recover(plan, &stored, vec![5], 0, decode).unwrap()
    });
    let read = timed("read", || entries::entries(stored));
    let facts = timed("facts", || Facts::of(&read));
    assert_eq!(facts.families.len(), 1);
    drop((read, facts));
    run.tell("made breaks");
    run.tell("made fails");
    let revised = timed("tried again", || run.revised(&Wish::RetryFailed)).unwrap();
    let told = format!("made[..]/page ({} times)", grouped(count()));
    assert!(revised.changes.kept().contains(&told), "{told}");
    drop(revised);
    let all = run.again(&["made/page"]);
    let revised = timed("all run again", || run.revised(&all)).unwrap();
    assert!(revised.changes.runs_again().contains(&told));
    drop(revised);
    // Nothing of it changed, and what comes behind it did.
    let now = revisions::version(ShelfMore::graph(), Shelf::graph());
    let revised = timed("migrated", || run.revised_for(&now, &Wish::RetryFailed)).unwrap();
    assert!(revised.changes.kept().contains(&told));
}

fn grouped(count: u32) -> String {
    match (count / 1_000_000, count / 1000 % 1000, count % 1000) {
        (0, thousands, ones) => format!("{thousands},{ones:03}"),
        (millions, thousands, ones) => format!("{millions},{thousands:03},{ones:03}"),
    }
}
