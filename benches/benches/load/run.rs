//! One program between the targets and a sink.

use core::time::Duration;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use otelpipe_benches::eks;
use otelpipe_benches::process::Running;

use crate::report::Cost;
use crate::sink::Sink;
use crate::target::Targets;

/// What to run, and what must come of it.
pub(crate) struct Run<'a> {
    pub(crate) command: Command,
    /// Where the program's own words go.
    pub(crate) log: PathBuf,
    pub(crate) targets: &'a Targets,
    pub(crate) sink: &'a Sink,
    /// The points that each scrape of each node makes; the last one stands for all after it.
    pub(crate) expected: Vec<Vec<u64>>,
    /// Points of the first scrapes that may be lost.
    pub(crate) lost_at_start: u64,
}

impl Run<'_> {
    /// Runs the program and measures as many scrapes of every node.
    pub(crate) fn measure(mut self, warm_up: usize, scrapes: usize) -> io::Result<Cost> {
        let log = File::create(&self.log)?;
        self.command.env_clear().envs(eks::ENV).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut running = Running::new(self.command.spawn()?);
        let outcome = self.watch(&mut running, warm_up, scrapes);
        drop(running);
        outcome.map_err(|error| {
            let words = std::fs::read_to_string(&self.log).unwrap_or_default();
            let from = words.lines().count().saturating_sub(20);
            let last: Vec<&str> = words.lines().skip(from).collect();
            io::Error::other(format!("{error}\n{}", last.join("\n")))
        })
    }

    fn watch(&self, running: &mut Running, warm_up: usize, scrapes: usize) -> io::Result<Cost> {
        let rounds = u32::try_from(warm_up.max(scrapes) + 2).expect("a few");
        let patience = self.targets.size.interval * rounds + Duration::from_secs(20);
        // The window begins and ends with a scrape of the same node: what is not yet done at
        // its begin is as much as what is not yet done at its end.
        self.targets.wait(warm_up, patience)?;
        let begin = (Instant::now(), running.worked()?, self.targets.samples(), self.sink.taken()?);
        self.targets.wait(warm_up + scrapes, patience)?;
        let end = (Instant::now(), running.worked()?, self.targets.samples(), self.sink.taken()?);
        let memory = running.memory()?;

        self.targets.hold();
        let expected = self.expected();
        let all = self.sink.wait(expected, Duration::from_secs(15))?;
        running.worked()?; // it still runs
        let least = expected - self.lost_at_start;
        if !(least..=expected).contains(&all.points) {
            return Err(io::Error::other(format!("{} points came of {expected}", all.points)));
        }
        let worked = end.1.since(begin.1);
        Ok(Cost {
            seconds: (end.0 - begin.0).as_secs_f64(),
            samples: end.2 - begin.2,
            user_seconds: worked.user.as_secs_f64(),
            system_seconds: worked.system.as_secs_f64(),
            peak_kib: memory.peak_kib,
            rss_kib: memory.rss_kib,
            anonymous_kib: memory.anonymous_kib,
            requests: end.3.requests - begin.3.requests,
            bytes: end.3.bytes - begin.3.bytes,
            events: end.3.events - begin.3.events,
            points_expected: expected,
            points_delivered: all.points,
        })
    }

    /// The points of all that was served.
    fn expected(&self) -> u64 {
        let nodes = self.targets.served().into_iter().zip(&self.expected);
        nodes
            .flat_map(|(scrapes, points)| (0..scrapes).map(|scrape| points[scrape.min(points.len() - 1)]))
            .sum()
    }
}
