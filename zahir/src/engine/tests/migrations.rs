//! Runs that go on with other versions of their program, cut wherever a seed picks, changed, and gone
//! on with; cut, changed and repaired again.
//!
//! `ZAHIR_MIGRATIONS` sets how many random runs are migrated, each up to four times (default 300,
//! beside every cut of 60 programs).

use std::collections::BTreeSet;

use zahir_store::Position;

use super::plans;
use super::rng::Rng;
use super::schedules::{crash, drive_at_random, drive_for, drive_in_order, for_seeds, knob};
use super::versions::{Meaning, Version};
use super::world::{World, inputs};
use crate::history::revise::{Again, Named, Refused, Wish};
use crate::plan::PlanKind;

/// What became of a run that was to go on with another version.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    GoesOn,
    Refused,
}

/// Lets a run that is not under way go on with another version, and checks that what was to be kept is
/// kept, and what was to run again will.
fn migrate<'a>(world: &mut World<'a>, wish: &Wish, (was, now): (&'a Version, &'a Version)) -> Fate {
    if was.definition.id == now.definition.id && matches!(wish, Wish::GoOn) {
        return Fate::GoesOn;
    }
    let mut meaning = Meaning::new(was, now);
    let before: Vec<Position> = world.succeeded_on_disk().into_iter().collect();
    let tried = world.tried();
    let translated = |at: &Position| was.translated(at, now);
    let once: Vec<Position> = tried.iter().filter_map(translated).collect();
    let once: Vec<Position> = once
        .into_iter()
        .filter(|at| now.program.plan.node(at.node).policy.at_most_once)
        .collect();
    let change = (was.definition.id != now.definition.id).then_some((was, now));
    let was_over = world.is_over_on_disk();
    match world.revise(wish, change) {
        Ok(()) => {}
        Err(Refused::Twice(_)) => {
            let mut again = once.iter().filter(|at| {
                let is_loose = !matches!(wish, Wish::GoOn) || is_last(now, at);
                is_loose || meaning.runs_again(at) || meaning.is_in_a_changed_race(at)
            });
            assert!(again.next().is_some(), "nothing would run twice");
            return Fate::Refused;
        }
        Err(Refused::Undoing(_)) => return Fate::Refused,
        Err(
            Refused::NothingFailed
            | Refused::Succeeded(_)
            | Refused::NeverRan(_)
            | Refused::Replaced(_),
        ) if !matches!(wish, Wish::GoOn) => {
            return Fate::Refused;
        }
        Err(refused) => panic!("{refused:?}"),
    }
    if let Wish::Again(again) = wish {
        // What is named may be started again, whatever it is.
        for at in again.nodes.iter().flat_map(|named| &named.nodes) {
            world.executions.remove(at);
        }
    }
    let after: BTreeSet<Position> = world.succeeded_on_disk();
    for at in &after {
        assert!(!meaning.runs_again(at), "{at:?} is kept");
    }
    if matches!(wish, Wish::GoOn) && !was_over {
        for at in before.iter().filter_map(translated) {
            let is_loose = is_last(now, &at) || meaning.is_in_a_changed_race(&at);
            assert!(
                is_loose || meaning.runs_again(&at) || after.contains(&at),
                "{at:?} is not kept"
            );
        }
        let tried: BTreeSet<Position> = world.tried().into_iter().collect();
        for at in &once {
            assert!(tried.contains(at), "{at:?} would be started twice");
        }
    }
    Fate::GoesOn
}

/// Whether a node instance is in a `finally`, which may have to run again behind its block.
fn is_last(version: &Version, at: &Position) -> bool {
    at.frames.iter().any(|step| {
        step.index == 1 && version.program.plan.node(step.node).kind == PlanKind::Finally
    })
}

/// What somebody may want of a run that is over, with the version that is deployed now.
fn wish(world: &World<'_>, rng: &mut Rng, (was, now): (&Version, &Version)) -> Wish {
    let tried = world.tried();
    let known: Vec<Position> = tried
        .iter()
        .filter_map(|at| was.translated(at, now))
        .collect();
    if known.is_empty() || rng.chance(2, 3) {
        return Wish::RetryFailed;
    }
    let named = Named {
        name: String::new(),
        nodes: vec![known[rng.below(known.len())].clone()],
    };
    Wish::Again(Again {
        nodes: vec![named],
        even_if_done: true,
        arguments: None,
    })
}

/// Whatever is changed and whenever: results that rest on nothing that was changed are kept and never
/// made again, everything else is made by the new program, and the run ends as that says.
#[test]
fn a_run_that_goes_on_with_another_program_ends_as_that_says() {
    let count = knob("ZAHIR_MIGRATIONS", 300);
    let migrations = for_seeds(count, |seed| {
        let rng = &mut Rng::new(seed);
        let program = plans::random(rng);
        let mut versions = vec![Version::first(&program)];
        for _ in 0..3 {
            let next = versions[versions.len() - 1].changed(rng);
            versions.push(next);
        }
        let inputs = inputs(&versions[0].program, rng);
        let mut world = World::of(&versions[0], &inputs, 1 + rng.below(4));
        let (mut at, mut migrations) = (0, 0);
        for _ in 0..4 {
            let faults = u32::try_from(rng.below(300)).unwrap();
            let events = u32::try_from(rng.below(250)).unwrap();
            drive_for(&mut world, rng, faults, events);
            if world.is_running() && !world.is_finished() {
                crash(&mut world, rng);
            }
            // The next one, or the one before is taken back.
            let next = if at > 0 && rng.chance(1, 5) {
                at - 1
            } else {
                (at + 1).min(3)
            };
            let pair = (&versions[at], &versions[next]);
            let wish = if world.is_over_on_disk() {
                wish(&world, rng, pair)
            } else {
                Wish::GoOn
            };
            if world.appends_on_disk() > 0 && migrate(&mut world, &wish, pair) == Fate::GoesOn {
                at = next;
                migrations += 1;
            }
        }
        drive_at_random(&mut world, rng, 100);
        world.judge();
        migrations
    });
    println!("{count} runs, {migrations} migrations");
}

/// The same with one change, at every place where a run can be cut.
#[test]
fn a_run_can_be_migrated_at_any_record() {
    let cuts = for_seeds(knob("ZAHIR_PROGRAMS", 600) / 10, |seed| {
        let rng = &mut Rng::new(seed);
        let program = plans::random(rng);
        let first = Version::first(&program);
        let second = first.changed(rng);
        let inputs = inputs(&first.program, rng);
        let slots = 1 + rng.below(3);
        let mut undisturbed = World::of(&first, &inputs, slots);
        undisturbed.boot();
        drive_in_order(&mut undisturbed, usize::MAX);
        let appends = undisturbed.appends_on_disk();
        for cut in 1..appends {
            let mut world = World::of(&first, &inputs, slots);
            world.boot();
            drive_in_order(&mut world, cut);
            world.crash(0);
            migrate(&mut world, &Wish::GoOn, (&first, &second));
            world.boot();
            drive_in_order(&mut world, usize::MAX);
            world.judge();
        }
        u64::try_from(appends).unwrap()
    });
    println!("{cuts} cuts");
}
