//! Runs that have ended, repaired in every way that a seed picks, and gone on with.
//!
//! `ZAHIR_REPAIRS` sets how many random runs are repaired, up to three times each (default 6,000).

use super::plans;
use super::rng::Rng;
use super::schedules::{drive_at_random, drive_in_order, for_seeds, knob};
use super::world::{World, inputs};
use crate::history::revise::{Again, Named, Refused, Wish};

/// Something that somebody may want of a run.
fn wish(world: &World<'_>, rng: &mut Rng) -> Wish {
    let tried = world.tried();
    if tried.is_empty() || rng.chance(1, 2) {
        return Wish::RetryFailed;
    }
    let count = 1 + rng.below(2);
    let nodes = (0..count).map(|_| Named {
        name: String::new(),
        nodes: vec![tried[rng.below(tried.len())].clone()],
    });
    Wish::Again(Again {
        nodes: nodes.collect(),
        even_if_done: rng.chance(2, 3),
        arguments: None,
    })
}

/// Whatever of a run is kept: it goes on with that, runs nothing of it again, and ends as it must.
#[test]
fn a_repaired_run_ends_as_the_reference_says() {
    let count = knob("ZAHIR_REPAIRS", 6_000);
    let repairs = for_seeds(count, |seed| {
        let rng = &mut Rng::new(seed);
        let program = plans::random(rng);
        let inputs = inputs(&program, rng);
        let slots = 1 + rng.below(4);
        let mut world = World::new(&program, &inputs, slots);
        let faults = u32::try_from(rng.below(400)).unwrap();
        drive_at_random(&mut world, rng, faults);
        let mut repairs = 0;
        for _ in 0..3 {
            let wish = wish(&world, rng);
            match world.repair(&wish) {
                Ok(()) => {}
                Err(
                    Refused::NothingFailed
                    | Refused::Twice(_)
                    | Refused::Succeeded(_)
                    | Refused::Replaced(_),
                ) => continue,
                Err(refused) => panic!("{refused:?}"),
            }
            repairs += 1;
            if rng.chance(1, 2) {
                world.boot();
                drive_in_order(&mut world, usize::MAX);
            } else {
                drive_at_random(&mut world, rng, faults);
            }
            world.judge();
        }
        repairs
    });
    println!("{count} runs, {repairs} repairs");
}
