//! Both engines make the same of everything: pipelines from all stages, targets whose
//! series come and go, resets, gaps, types that change, values that are no numbers, stale
//! markers, duplicates. The output is compared byte by byte, and so is what stages tell.
//!
//! `PLAN_HISTORIES` sets how many histories are run (2,000 if it does not).

#![allow(clippy::unwrap_used, clippy::std_instead_of_core, reason = "a test")]

mod dice;
mod history;
mod pipeline;

use dice::Dice;
use history::Target;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::{Frame, Metrics};
use otelpipe_core::otlp_proto;
use otelpipe_core::plan::{Engine, Pipeline, PlanCounts};
use otelpipe_core::time::NS_PER_S;

/// The frames of a target: each has the shape of one before, where there is one like it.
#[derive(Default)]
struct Framer(Vec<Frame>);

impl Framer {
    fn frame(&mut self, batch: MetricBatch) -> Frame {
        let frame = Frame::of(batch);
        let structure = |frame: &Frame| format!("{:?}", frame.shape());
        let known = self.0.iter().find(|known| structure(known) == structure(&frame));
        match known {
            Some(known) => Frame::new(known.shape().clone(), frame.into_parts().1),
            None => {
                self.0.push(frame.clone());
                frame
            }
        }
    }
}

/// What a pipeline made of a batch: everything that shows.
fn outcome(
    pipeline: &mut Pipeline,
    batch: MetricBatch,
    framer: Option<&mut Framer>,
    now_ns: u64,
) -> (String, Vec<u8>) {
    let mut told = String::new();
    let observe = &mut |outcome: &_| told.push_str(&format!("{outcome:?}\n"));
    let done = match framer {
        None => pipeline.consume(batch, now_ns, observe),
        Some(framer) => {
            let frame = framer.frame(batch);
            pipeline.consume_frame(frame, now_ns, observe).map(Metrics::into_batch)
        }
    };
    let mut bytes = Vec::new();
    match &done {
        Ok(batch) => {
            otlp_proto::write(batch, &mut bytes);
            told.push_str(&format!("{batch:?}"));
        }
        Err(error) => told.push_str(&format!("{error:?}")),
    }
    (told, bytes)
}

/// Runs one history through both engines.
fn compare(seed: u64) -> [PlanCounts; 2] {
    let mut dice = Dice(seed);
    let pipeline_seed = dice.roll();
    let make = || Pipeline::new(pipeline::stages(&mut Dice(pipeline_seed)));
    let (mut plan, mut frames) = (make(), make());
    let mut reference = make().with_engine(Engine::Reference);
    let mut targets = vec![Target::new("one", &mut dice)];
    if dice.once_in(2) {
        targets.push(Target::new("two", &mut dice));
    }
    let mut framers = [Framer::default(), Framer::default()];
    let mut now_ns = 1_000 * NS_PER_S;
    for scrape in 0..14 {
        now_ns += dice.pick(&[5, 5, 5, 60]) * NS_PER_S;
        let calm = dice.once_in(3);
        for (target, framer) in targets.iter_mut().zip(&mut framers) {
            if !calm {
                target.change(now_ns, &mut dice);
            }
            let batch = target.scrape(now_ns, &mut dice);
            let theirs = outcome(&mut reference, batch.clone(), None, now_ns);
            let of_batches = outcome(&mut plan, batch.clone(), None, now_ns);
            let of_frames = outcome(&mut frames, batch.clone(), Some(framer), now_ns);
            for (plan, ours) in [("batches", of_batches), ("frames", of_frames)] {
                assert!(
                    ours == theirs,
                    "seed {seed}, scrape {scrape}, {plan}\nbatch: {batch:#?}\nstages: {:#?}\nplan: {}\nreference: {}",
                    reference.stages(),
                    ours.0,
                    theirs.0
                );
            }
        }
    }
    [plan.counts(), frames.counts()]
}

#[test]
fn both_engines_make_the_same_of_every_history() {
    let histories = std::env::var("PLAN_HISTORIES").map_or(2_000, |text| text.parse().unwrap());
    let mut sums = [PlanCounts::default(); 2];
    for seed in 0..histories {
        for (all, counts) in sums.iter_mut().zip(compare(seed)) {
            all.planned += counts.planned;
            all.compiled += counts.compiled;
            all.reference += counts.reference;
        }
    }
    for all in sums {
        // The comparison means something only if plans are made and used again.
        assert!(all.planned > 2 * all.reference, "{all:?}");
        assert!(all.planned > all.compiled + all.compiled / 4, "{all:?}");
        println!("{all:?}");
    }
}
