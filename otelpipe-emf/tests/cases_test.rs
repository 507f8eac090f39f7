//! The exporter's cases: configuration and batches in, exact events out.
//!
//! `data/cases.txt` holds for each case its number in the project's reference of
//! awsemf v0.156, the configuration (over `NoDimensionRollup`), the batches in the
//! notation of `otelpipe-core/tests/notation`, and after each batch the events
//! (`event GROUP STREAM TIMESTAMP MESSAGE`) and what was dropped.
//!
//! With `BLESS=1` the file is written anew; read the difference before you keep it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../otelpipe-core/tests/notation/mod.rs"]
mod notation;

use core::fmt::Write as _;

use otelpipe_emf::config::EmfConfig;
use otelpipe_emf::encoder::EmfEncoder;
use otelpipe_emf::options::EmfOptions;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/cases.txt");

fn config(overrides: &str) -> EmfConfig {
    let mut config: serde_json::Value = serde_json::from_str(overrides).unwrap();
    let rollup = &mut config["dimension_rollup_option"];
    if rollup.is_null() {
        *rollup = "NoDimensionRollup".into();
    }
    serde_json::from_value(config).unwrap()
}

/// The case's text with the outcome that we see.
fn run(case: &str) -> String {
    let mut out = String::new();
    let (mut overrides, mut options, mut encoder) = ("{}", EmfOptions::default(), None);
    let mut now_ms = 200_000;
    for line in case.lines() {
        let (word, rest) = line.split_once(' ').unwrap();
        match word {
            "case" => {}
            "config" => overrides = rest,
            "options" => options = EmfOptions::upstream(),
            "push" => {
                now_ms += 60_000;
                let encoder = encoder.get_or_insert_with(|| {
                    EmfEncoder::compile(&config(overrides), options.clone()).unwrap().0
                });
                writeln!(out, "{line}").unwrap();
                let report = encoder.encode_with(&notation::batch(rest), now_ms, |event| {
                    writeln!(
                        out,
                        "event {} {} {} {}",
                        event.group, event.stream, event.timestamp_ms, event.message
                    )
                    .unwrap();
                });
                for (reason, dropped) in report.drops() {
                    writeln!(out, "dropped {} {reason}, such as {}", dropped.count, dropped.example).unwrap();
                }
                assert_eq!(report.points + report.parts, report.values + report.dropped_count(), "{line}");
                continue;
            }
            "event" | "dropped" => continue,
            other => panic!("what is {other}?"),
        }
        writeln!(out, "{line}").unwrap();
    }
    out
}

#[test]
fn every_case_gives_the_events_that_upstream_gives() {
    let expected = std::fs::read_to_string(FILE).unwrap();
    let cases: Vec<String> = expected.trim_end().split("\n\n").map(run).collect();
    assert!(cases.len() > 60);
    let seen = cases.join("\n");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(FILE, &seen).unwrap();
    }
    for (seen, expected) in seen.split("\n\n").zip(expected.split("\n\n")) {
        assert_eq!(seen.trim_end(), expected.trim_end());
    }
}
