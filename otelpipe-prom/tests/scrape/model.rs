//! Random histories of scrapes against a model too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::bench::Bench;

/// One line of a body: series number, spelling, value, seconds of an explicit timestamp.
type Line = (u8, bool, u8, Option<u8>);

#[derive(Clone, Debug)]
enum Step {
    Body(Vec<Line>),
    /// A body with a bad line behind these.
    Broken(Vec<Line>),
    Failed,
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let timestamp = prop_oneof![4 => Just(None), 1 => (1..3_u8).prop_map(Some)];
    prop::collection::vec((0..6_u8, prop::bool::weighted(0.8), 0..9_u8, timestamp), 0..8)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => lines().prop_map(Step::Body),
        1 => lines().prop_map(Step::Broken),
        1 => Just(Step::Failed),
    ];
    prop::collection::vec(step, 1..12)
}

/// Series 5 is dropped by a rule; the others are gauges `m0` to `m4`.
fn text(lines: &[Line]) -> String {
    let mut body = String::new();
    for (series, plain, value, timestamp) in lines {
        let comma = if *plain { "" } else { "," };
        body += &format!("m{series}{{a=\"{series}\"{comma}}} {value}");
        if let Some(seconds) = timestamp {
            body += &format!(" {seconds}000");
        }
        body += "\n";
    }
    body
}

const DROPPED: u8 = 5;

#[derive(Default)]
struct Model {
    limit: usize,
    track_timestamps: bool,
    /// Series that the last scrape gave without timestamp.
    alive: BTreeSet<u8>,
    /// Series texts that the cache knows as samples.
    known: BTreeSet<(u8, bool)>,
}

/// What a scrape shows: series to value (`None`: stale) and time, and the counts.
#[derive(Debug, Default, PartialEq)]
struct Shown {
    points: BTreeMap<u8, (Option<u8>, Option<u8>)>,
    up: bool,
    scraped: u64,
    post_relabel: u64,
    added: u64,
    duplicates: u64,
}

impl Model {
    fn scrape(&mut self, step: &Step) -> Shown {
        let mut shown = Shown { up: true, ..Shown::default() };
        let mut alive = BTreeSet::new();
        let mut texts = BTreeSet::new();
        let mut admitted = 0;
        let lines = match step {
            Step::Body(lines) | Step::Broken(lines) => lines.as_slice(),
            Step::Failed => &[],
        };
        for (series, plain, value, timestamp) in lines {
            shown.scraped += 1;
            if *series == DROPPED {
                continue;
            }
            shown.post_relabel += 1;
            let key = (*series, *plain);
            if texts.contains(&key) && timestamp.is_none() {
                shown.duplicates += 1;
                continue;
            }
            admitted += 1;
            if self.limit > 0 && admitted > self.limit {
                shown.up = false;
                if self.known.contains(&key) {
                    texts.insert(key);
                }
                continue;
            }
            let is_new = !self.known.contains(&key);
            let point = shown.points.entry(*series).or_insert((Some(*value), *timestamp));
            if point.1 != *timestamp {
                // Another time for the same point: refused, and not remembered if new.
                shown.added += u64::from(is_new);
                if !is_new {
                    texts.insert(key);
                }
                continue;
            }
            point.0 = Some(*value);
            shown.added += u64::from(is_new);
            self.known.insert(key);
            texts.insert(key);
            if timestamp.is_none() || self.track_timestamps {
                alive.insert(*series);
            }
        }
        shown.up &= matches!(step, Step::Body(_));
        if !shown.up {
            shown.points.clear();
            alive.clear();
            shown.duplicates = 0;
        }
        for series in self.alive.difference(&alive) {
            // A point with an explicit time has no room for the marker.
            let point = shown.points.entry(*series).or_insert((None, None));
            if point.1.is_none() {
                point.0 = None;
            }
        }
        if shown.up && !lines.is_empty() {
            self.known.retain(|key| texts.contains(key));
        }
        self.alive = alive;
        shown
    }
}

/// What the scraper shows, read from its lines: `m1 gauge{a=1} = 3 @2000`.
fn shown(bench: &Bench, report: &otelpipe_prom::scrape::ScrapeReport) -> Shown {
    let mut points = BTreeMap::new();
    for line in bench.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let series = words[0].trim_start_matches('m').parse().expect("a series number");
        let after = |mark: &str| words.iter().position(|word| *word == mark).map(|at| words[at + 1]);
        let value = after("=").map(|value| value.parse().expect("a value"));
        assert_eq!(value.is_none(), words.contains(&"stale"), "{line}");
        let time = words.iter().find_map(|word| word.strip_prefix('@'));
        let time = time.map(|ms| u8::try_from(ms.parse::<u64>().expect("a time") / 1_000).expect("seconds"));
        assert!(points.insert(series, (value, time)).is_none(), "two points: {line}");
    }
    Shown {
        points,
        up: report.up,
        scraped: report.scraped,
        post_relabel: report.post_relabel,
        added: report.added,
        duplicates: report.dropped.duplicate,
    }
}

proptest! {
    #[test]
    fn histories_of_scrapes_are_those_of_the_model(
        steps in steps(),
        limit in prop_oneof![3 => Just(0_usize), 1 => 2..6_usize],
        track_timestamps in any::<bool>(),
    ) {
        let job = format!(
            r#"{{"sample_limit": {limit}, "track_timestamps_staleness": {track_timestamps}, "metric_relabel_configs":
                [{{"source_labels": ["__name__"], "regex": "m{DROPPED}", "action": "drop"}}]}}"#
        );
        let mut bench = Bench::new(&job);
        let mut model = Model { limit, track_timestamps, ..Model::default() };
        for (at, step) in steps.iter().enumerate() {
            let wanted = model.scrape(step);
            let report = match step {
                Step::Body(lines) => bench.text(&text(lines)),
                Step::Broken(lines) => bench.text(&(text(lines) + "{\n")),
                Step::Failed => bench.fail("no route to host"),
            };
            prop_assert_eq!(shown(&bench, &report), wanted, "step {}", at);
            let dropped = report.dropped;
            let all = report.points + dropped.relabel + dropped.duplicate + dropped.inconsistent_time
                + dropped.failed_scrape;
            prop_assert_eq!(all, report.scraped, "every sample is a point or counted as dropped");
        }
    }
}
