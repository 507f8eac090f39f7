//! Documents of a recorded run of the ADOT Collector v0.49 (see `data/README.md`).
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod eks_stages;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use otelpipe_core::frame::{Frame, Metrics};
use otelpipe_core::otlp_json;
use otelpipe_emf::encoder::EmfEncoder;
use otelpipe_emf::log_event::LogEvent;
use otelpipe_emf::options::EmfOptions;
use serde_json::Value;

/// Texts of documents with their log streams, by node and number of the scrape.
type Events = BTreeMap<(String, u64), Vec<(String, String)>>;

fn data(name: &str) -> String {
    let path = format!("{}/tests/data/eks-stages/{name}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut text = String::new();
    if name.ends_with(".gz") {
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text
}

/// Sorts the lists whose order upstream leaves to chance.
fn canonical(mut document: Value) -> String {
    let sort = |list: &mut Value| {
        list.as_array_mut().unwrap().sort_by_key(ToString::to_string);
    };
    if let Some(measurements) = document.pointer_mut("/_aws/CloudWatchMetrics") {
        for measurement in measurements.as_array_mut().unwrap() {
            measurement["Dimensions"].as_array_mut().unwrap().iter_mut().for_each(sort);
            sort(&mut measurement["Dimensions"]);
            sort(&mut measurement["Metrics"]);
        }
        sort(measurements);
    }
    document.to_string()
}

fn recorded() -> Events {
    let mut events = Events::new();
    for line in data("log_events.jsonl.gz").lines() {
        let mut event: Value = serde_json::from_str(line).unwrap();
        let key = (event["node"].as_str().unwrap().to_string(), event["n"].as_u64().unwrap());
        let place = format!("{} {} {}", event["group"], event["stream"], event["timestamp"]);
        events.entry(key).or_default().push((canonical(event["message"].take()), place));
    }
    events
}

/// Which path of the encoder the batches take.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Path {
    Batches,
    /// Batches that are built alike share a shape.
    Frames,
}

fn encoded(options: EmfOptions, path: Path) -> Events {
    let (mut encoder, warnings) = EmfEncoder::compile(&eks_stages::config(), options).unwrap();
    assert_eq!(warnings, []);
    let mut events = Events::new();
    let mut shapes = BTreeMap::new();
    for (line, scrape) in data("batches.jsonl.gz").lines().zip(data("index.jsonl").lines()) {
        let scrape: Value = serde_json::from_str(scrape).unwrap();
        let batch = otlp_json::read(line).unwrap();
        let mut out = Vec::new();
        let now_ms = scrape["arrived_ms"].as_i64().unwrap();
        let report = if path == Path::Batches {
            encoder.encode(&batch, now_ms, &mut out)
        } else {
            let (shape, columns) = Frame::of(batch).into_parts();
            let shape = shapes.entry(format!("{shape:?}")).or_insert(shape);
            let frame = Metrics::Frame(Frame::new(Arc::clone(shape), columns));
            encoder.encode_frames(&[frame], now_ms, |event| out.push(event.to_owned()))
        };
        assert_eq!(report.points, report.values + report.dropped_count());
        let key = (scrape["node"].as_str().unwrap().to_string(), scrape["n"].as_u64().unwrap());
        let list = events.entry(key).or_default();
        for LogEvent { group, stream, timestamp_ms, message } in out {
            let document = serde_json::from_str(&message).unwrap();
            list.push((canonical(document), format!("{group:?} {stream:?} {timestamp_ms}")));
        }
    }
    let counts = encoder.frame_counts();
    assert_eq!(counts.spliced > 0, path == Path::Frames, "{counts:?}");
    events
}

#[test]
fn with_upstream_options_every_event_equals_the_recorded_one() {
    every_event_equals_the_recorded_one(Path::Batches);
}

#[test]
fn with_upstream_options_every_event_of_frames_equals_the_recorded_one() {
    every_event_equals_the_recorded_one(Path::Frames);
}

fn every_event_equals_the_recorded_one(path: Path) {
    let (mut ours, mut theirs) = (encoded(EmfOptions::upstream(), path), recorded());
    assert_eq!(theirs.values().map(Vec::len).sum::<usize>(), 262);
    for ((key, ours), (other, theirs)) in ours.iter_mut().zip(&mut theirs) {
        assert_eq!(key, other);
        ours.sort();
        theirs.sort();
        for (ours, theirs) in ours.iter().zip(theirs.iter()) {
            assert_eq!(ours, theirs, "{key:?}");
        }
        assert_eq!(ours.len(), theirs.len(), "{key:?}");
    }
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn by_default_the_documents_are_the_same_and_lie_in_the_stream_of_their_pod() {
    let documents = |events: Events| {
        let mut list: Vec<String> = events.into_values().flatten().map(|(document, _)| document).collect();
        list.sort();
        list
    };
    let ours = encoded(EmfOptions::default(), Path::Frames);
    for (document, place) in ours.values().flatten() {
        let document: Value = serde_json::from_str(document).unwrap();
        let stream = document["PodName"].to_string();
        assert!(place.contains(&format!(" {stream} ")), "{place} {stream}");
    }
    assert_eq!(documents(ours), documents(recorded()));
}
