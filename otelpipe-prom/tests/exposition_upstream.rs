//! What Prometheus's own parser makes of real bodies and of the OpenMetrics
//! corpus. See `tests/data/README.md`.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use otelpipe_core::number::write_g;
use otelpipe_prom::text::{Entries, Entry, Exemplar, Format, Known, Labels, ParseOptions, Sample};
use serde_json::{Map, Value, json};

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

fn gunzip(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn json_lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

const OPENMETRICS: ParseOptions =
    ParseOptions { format: Format::OpenMetrics, strict: false, start_timestamps: false };

fn g(value: f64) -> Value {
    let mut text = String::new();
    write_g(value, &mut text);
    Value::String(text)
}

fn labels(labels: Labels<'_>, name: Option<&str>) -> Value {
    let mut pairs: Vec<[String; 2]> = labels.map(|(name, value)| [name.into(), value.into()]).collect();
    pairs.extend(name.map(|name| ["__name__".into(), name.into()]));
    pairs.sort();
    json!(pairs)
}

fn exemplar(exemplar: Exemplar<'_>) -> Value {
    let mut dump = Map::new();
    dump.insert("labels".into(), labels(exemplar.labels(), None));
    dump.insert("value".into(), g(exemplar.value()));
    if let Some(ms) = exemplar.timestamp_ms() {
        dump.insert("ts".into(), ms.into());
    }
    dump.into()
}

fn sample(sample: &Sample<'_>) -> Value {
    let mut dump = Map::new();
    dump.insert("kind".into(), "series".into());
    dump.insert("series".into(), sample.series().into());
    dump.insert("labels".into(), labels(sample.labels(), Some(&sample.name())));
    dump.insert("value".into(), g(sample.value()));
    if let Some(ms) = sample.timestamp_ms() {
        dump.insert("ts".into(), ms.into());
    }
    if let Some(ms) = sample.start_ms() {
        dump.insert("st".into(), ms.into());
    }
    if let Some(found) = sample.exemplar() {
        dump.insert("exemplars".into(), json!([exemplar(found)]));
    }
    dump.into()
}

fn entry(entry: &Entry<'_>) -> Value {
    match entry {
        Entry::Help { name, text } => json!({"kind": "help", "name": name, "help": text}),
        Entry::Type { name, kind } => json!({"kind": "type", "name": name, "type": kind.name()}),
        Entry::Unit { name, unit } => json!({"kind": "unit", "name": name, "unit": unit}),
        Entry::Comment(text) => json!({"kind": "comment", "text": core::str::from_utf8(text).unwrap()}),
        Entry::Sample(found) => sample(found),
    }
}

struct Dump {
    name: String,
    body: Vec<u8>,
    options: ParseOptions,
    expected: Vec<Value>,
}

fn dumps() -> Vec<Dump> {
    let index = fs::read_to_string(data("textparse/index.jsonl")).unwrap();
    json_lines(&index)
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            let body = gunzip(&data("textparse/bodies").join(text("body") + ".gz"));
            let expected = gunzip(&data("textparse/expected").join(text("expected")));
            let is_openmetrics = text("content_type").starts_with("application/openmetrics-text");
            Dump {
                name: text("expected"),
                body,
                options: ParseOptions {
                    format: if is_openmetrics { Format::OpenMetrics } else { Format::Text },
                    strict: false,
                    start_timestamps: row["skip_start_timestamp_series"].as_bool().unwrap(),
                },
                expected: json_lines(core::str::from_utf8(&expected).unwrap()).collect(),
            }
        })
        .collect()
}

#[test]
fn real_bodies_give_the_entries_that_prometheus_finds() {
    let dumps = dumps();
    assert_eq!(dumps.len(), 22);
    for dump in dumps {
        let mut found = Entries::new(&dump.body, dump.options).map(|entry| entry.unwrap());
        for (number, expected) in dump.expected.iter().enumerate() {
            let found = found.next().unwrap_or_else(|| panic!("{}: {number} entries only", dump.name));
            assert_eq!(&entry(&found), expected, "{}, entry {number}", dump.name);
        }
        assert!(found.next().is_none(), "{}: more entries than expected", dump.name);
    }
}

#[test]
fn a_known_series_gives_the_value_and_time_of_the_full_parse() {
    for dump in dumps() {
        let mut known = Entries::new(&dump.body, dump.options);
        for expected in Entries::new(&dump.body, dump.options) {
            let expected = expected.unwrap();
            let mut asked = None;
            let found = known.next_with(|series| {
                asked = Some(series);
                Some(())
            });
            match (found.unwrap().unwrap(), expected) {
                (Known::Sample { sample, .. }, Entry::Sample(expected)) => {
                    assert_eq!(sample.series(), expected.series().as_bytes());
                    assert_eq!(asked, Some(expected.series().as_bytes()));
                    assert_eq!(sample.value().to_bits(), expected.value().to_bits());
                    assert_eq!(sample.timestamp_ms(), expected.timestamp_ms());
                    assert_eq!(sample.start_ms(), expected.start_ms());
                    assert_eq!(sample.exemplar().map(exemplar), expected.exemplar().map(exemplar));
                }
                (Known::Not(found), expected) => assert_eq!(entry(&found), entry(&expected)),
                (Known::Sample { sample, .. }, expected) => panic!("{sample:?} instead of {expected:?}"),
            }
        }
        assert!(known.next_with(|_| Some(())).is_none());
    }
}

struct Case {
    name: String,
    body: String,
    should_parse: bool,
    prometheus_accepts: bool,
    error: Option<String>,
}

fn corpus() -> Vec<Case> {
    let text = fs::read_to_string(data("openmetrics.jsonl")).unwrap();
    json_lines(&text)
        .map(|row| Case {
            name: row["case"].as_str().unwrap().into(),
            body: row["body"].as_str().unwrap().into(),
            should_parse: row["accept"].as_bool().unwrap(),
            prometheus_accepts: row["prometheus"].as_bool().unwrap(),
            error: row["error"].as_str().map(str::to_owned),
        })
        .collect()
}

/// The part of an upstream message that users search for: what was expected, or
/// the message up to the text of the line.
fn expected_words(error: &str) -> &str {
    let end = error.find(", got ").or(error.find(" while parsing: "));
    error.split_at(end.unwrap_or(error.len())).0
}

#[test]
fn the_openmetrics_corpus_is_accepted_and_refused_as_prometheus_does() {
    let (mut refused, mut accepted_bad) = (0, 0);
    for case in corpus() {
        let result = Entries::new(case.body.as_bytes(), OPENMETRICS).find_map(Result::err);
        assert_eq!(result.is_none(), case.prometheus_accepts, "{}: {result:?}", case.name);
        if let (Some(found), Some(expected)) = (&result, &case.error) {
            let words = expected_words(expected);
            assert!(found.to_string().contains(words), "{}: {found} lacks {words}", case.name);
        }
        refused += u32::from(result.is_some());
        accepted_bad += u32::from(result.is_none() && !case.should_parse);
    }
    assert_eq!((refused, accepted_bad), (87, 80));
}

#[test]
fn a_strict_parse_accepts_and_refuses_what_the_specification_does() {
    let strict = ParseOptions { strict: true, ..OPENMETRICS };
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for case in corpus() {
        let result = Entries::new(case.body.as_bytes(), strict).find_map(Result::err);
        refused += u32::from(result.is_some());
        if result.is_none() != case.should_parse {
            wrong.push(format!("{}: {result:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(refused, 167);
}
