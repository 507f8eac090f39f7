//! Exposition parsing: with all labels, by raw series text only, and to compare with in the
//! same run the same without the index of quotes, and a plain line-by-line parser.

use core::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use otelpipe_benches::{ThreadTime, body, criterion};
use otelpipe_prom::text::{Entries, Entry, Known, ParseOptions};

const BODIES: [(&str, &str); 3] = [
    ("cadvisor", "kubernetes-1_33-kubelet-metrics-cadvisor"),
    ("node_exporter", "node_exporter-e2e-output.txt"),
    ("promtestdata", "prometheus-promtestdata.txt"),
];

/// Reads a body; returns how many samples and labels (or bytes of series) there were.
type Reader = fn(&[u8]) -> (usize, usize, f64);

const READERS: [(&str, Reader); 4] = [
    ("labels", all_labels),
    ("labels, byte by byte", byte_by_byte),
    ("series", raw_series),
    ("baseline", baseline),
];

fn all_labels(body: &[u8]) -> (usize, usize, f64) {
    count(Entries::new(body, ParseOptions::default()))
}

fn byte_by_byte(body: &[u8]) -> (usize, usize, f64) {
    count(Entries::new(body, ParseOptions::default()).without_index())
}

#[inline(always)]
fn count(entries: Entries<'_>) -> (usize, usize, f64) {
    let (mut samples, mut labels, mut sum) = (0, 0, 0.0);
    for entry in entries {
        if let Entry::Sample(sample) = entry.expect("the data is valid") {
            samples += 1;
            sum += black_box(sample.value());
            black_box(sample.timestamp_ms());
            for (name, value) in sample.labels() {
                black_box((&*name, &*value));
                labels += 1;
            }
        }
    }
    (samples, labels, sum)
}

fn raw_series(body: &[u8]) -> (usize, usize, f64) {
    let (mut samples, mut bytes, mut sum) = (0, 0, 0.0);
    let mut entries = Entries::new(body, ParseOptions::default());
    while let Some(entry) = entries.next_with(|series| Some(black_box(series).len())) {
        if let Known::Sample { key, sample } = entry.expect("the data is valid") {
            samples += 1;
            bytes += key;
            sum += black_box(sample.value());
            black_box(sample.timestamp_ms());
        }
    }
    (samples, bytes, sum)
}

/// What one would write in an afternoon: split at newlines, look for quotes byte
/// by byte, `str::parse` for numbers. Knows neither escapes nor errors.
fn baseline(body: &[u8]) -> (usize, usize, f64) {
    let (mut samples, mut labels, mut sum) = (0, 0, 0.0);
    for line in body.split(|&byte| byte == b'\n') {
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let mut at = line.iter().position(|&byte| byte == b'{' || byte == b' ').expect("a value");
        black_box(&line[..at]);
        if line[at] == b'{' {
            at += 1;
            while line[at] != b'}' {
                let name = at;
                while line[at] != b'=' {
                    at += 1;
                }
                black_box(&line[name..at]);
                at += 2;
                let value = at;
                while line[at] != b'"' || line[at - 1] == b'\\' {
                    at += 1;
                }
                black_box(core::str::from_utf8(&line[value..at]).expect("the data is UTF-8"));
                labels += 1;
                at += 1;
                if line[at] == b',' {
                    at += 1;
                }
            }
            at += 1;
        }
        let tail = core::str::from_utf8(&line[at..]).expect("the data is UTF-8");
        let mut words = tail.split_ascii_whitespace();
        let value: f64 = words.next().expect("a value").parse().expect("a number");
        black_box(words.next().map(|word| word.parse::<i64>().expect("a timestamp")));
        samples += 1;
        sum += black_box(value);
    }
    (samples, labels, sum)
}

fn parse(criterion: &mut Criterion<ThreadTime>) {
    for (short, name) in BODIES {
        let body = body(name);
        let (samples, labels, _) = all_labels(&body);
        assert_eq!((samples, labels), (baseline(&body).0, baseline(&body).1), "{name}");
        assert_eq!(raw_series(&body).0, samples, "{name}");
        let mut group = criterion.benchmark_group(format!("parse/{short}"));
        group.throughput(Throughput::Bytes(body.len() as u64));
        for (name, read) in READERS {
            group.bench_function(name, |bencher| {
                bencher.iter(|| read(black_box(&body)));
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = parse
}
criterion_main!(benches);
