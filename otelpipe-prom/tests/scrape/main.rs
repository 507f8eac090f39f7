//! Scrape semantics, case by case. Numbers in comments are those of the list of cases
//! that were checked against a running contrib v0.156.
#![cfg(feature = "serde")]

mod bench;
mod conversion;
mod frames;
mod model;
mod recognition;
mod targets;
mod time_line;

use bench::Bench;

/// Scrapes bodies in turn, and compares the points of the last one.
#[track_caller]
fn check(bench: &mut Bench, bodies: &[&str], wanted: &[&str]) {
    for body in bodies {
        if body.ends_with("# EOF") {
            bench.open_metrics(body);
        } else {
            bench.text(body);
        }
    }
    assert_eq!(bench.lines(), wanted, "{bodies:?}");
}
