//! The rules of the formats one by one: `tests/data/exposition_cases.txt`.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use core::fmt::Write;
use std::path::Path;

use otelpipe_core::number::write_g;
use otelpipe_prom::text::{Entries, Entry, Format, Known, Labels, ParseOptions};

/// Cases are separated by blank lines: a line `MODE input` and the expected
/// entries below. See the head of the file.
fn cases() -> Vec<(ParseOptions, Vec<u8>, Vec<String>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/exposition_cases.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let mut cases = Vec::new();
    for block in text.split("\n\n") {
        let mut lines = block.lines().filter(|line| !line.starts_with("//"));
        let Some(first) = lines.next() else { continue };
        let (mode, input) = first.split_once(' ').unwrap();
        let options = ParseOptions {
            format: if mode.starts_with('T') { Format::Text } else { Format::OpenMetrics },
            strict: false,
            start_timestamps: mode == "O+",
        };
        cases.push((options, unescape(input), lines.map(str::to_owned).collect()));
    }
    cases
}

/// `⏎`, `⇥`, `␍`, `␀` are a newline, a tab, a carriage return and NUL, `¿` is a
/// byte that is no UTF-8; everything else stands for itself.
fn unescape(input: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for char in input.chars() {
        match char {
            '⏎' => bytes.push(b'\n'),
            '⇥' => bytes.push(b'\t'),
            '␍' => bytes.push(b'\r'),
            '␀' => bytes.push(0),
            '¿' => bytes.push(0xff),
            char => bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

fn show_labels(out: &mut String, labels: Labels<'_>) {
    out.push('{');
    for (place, (name, value)) in labels.enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let name = name.replace('\n', "⏎");
        write!(out, "{comma}{name}={value:?}").unwrap();
    }
    out.push('}');
}

fn show(entry: &Entry<'_>) -> String {
    let sample = match entry {
        Entry::Help { name, text } => return format!("HELP {name} {text:?}"),
        Entry::Type { name, kind } => return format!("TYPE {name} {kind}"),
        Entry::Unit { name, unit } => return format!("UNIT {name} {unit:?}"),
        Entry::Comment(text) => return format!("COMMENT {:?}", String::from_utf8_lossy(text)),
        Entry::Sample(sample) => sample,
    };
    let mut out = format!("S {:?} ", sample.name());
    show_labels(&mut out, sample.labels());
    out.push(' ');
    if sample.value().is_nan() {
        write!(out, "{:x}", sample.value().to_bits()).unwrap();
    } else {
        write_g(sample.value(), &mut out);
    }
    if let Some(ms) = sample.timestamp_ms() {
        write!(out, " ts={ms}").unwrap();
    }
    if let Some(ms) = sample.start_ms() {
        write!(out, " st={ms}").unwrap();
    }
    if let Some(exemplar) = sample.exemplar() {
        out.push_str(" # ");
        show_labels(&mut out, exemplar.labels());
        out.push(' ');
        write_g(exemplar.value(), &mut out);
        if let Some(ms) = exemplar.timestamp_ms() {
            write!(out, " ts={ms}").unwrap();
        }
    }
    out
}

fn parse(body: &[u8], options: ParseOptions) -> Vec<String> {
    let line = |entry: Result<Entry<'_>, _>| match entry {
        Ok(entry) => show(&entry),
        Err(error) => format!("E {error}"),
    };
    Entries::new(body, options).map(line).collect()
}

#[test]
fn each_case_gives_its_entries() {
    let cases = cases();
    assert!(cases.len() > 150, "{} cases", cases.len());
    let mut wrong = 0;
    for (options, body, expected) in cases {
        let found = parse(&body, options);
        // An error is compared up to where the expectation ends.
        let matches = found.len() == expected.len()
            && found.iter().zip(&expected).all(|(found, expected)| match expected.strip_prefix("E ") {
                Some(expected) => found.starts_with("E ") && found.contains(expected),
                None => found == expected,
            });
        if !matches {
            wrong += 1;
            println!("{:?}\n  found    {found:#?}\n  expected {expected:#?}", String::from_utf8_lossy(&body));
        }
    }
    assert_eq!(wrong, 0, "cases differ");
}

#[test]
fn asking_for_known_series_gives_the_same_entries_and_errors() {
    for (options, body, _) in cases() {
        let mut entries = Entries::new(&body, options);
        let mut found = Vec::new();
        while let Some(entry) = entries.next_with(|_| None::<()>) {
            found.push(match entry {
                Ok(Known::Not(entry)) => show(&entry),
                Ok(Known::Sample { .. }) => panic!("no series is known"),
                Err(error) => format!("E {error}"),
            });
        }
        assert_eq!(found, parse(&body, options), "{:?}", String::from_utf8_lossy(&body));
    }
}
