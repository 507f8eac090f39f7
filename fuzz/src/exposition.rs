//! The exposition parser: no panic, and its two ways of reading agree.

use otelpipe_prom::text::{Entries, Entry, Format, Known, KnownSample, ParseError, ParseOptions, Sample};

/// Reads `data` as a body; the first byte says in which format and how.
///
/// # Panics
///
/// If the parser breaks a promise of its documentation.
pub fn run(data: &[u8]) {
    let Some((&mode, body)) = data.split_first() else { return };
    let options = ParseOptions {
        format: if mode & 1 == 0 { Format::Text } else { Format::OpenMetrics },
        strict: mode & 2 != 0,
        start_timestamps: mode & 4 != 0,
    };
    let (samples, error) = read(Entries::new(body, options));
    let (slow, slow_error) = read(Entries::new(body, options).without_index());
    assert_eq!((&slow, &slow_error), (&samples, &error), "byte by byte");
    if let Some(error) = &error {
        check_place(body, error);
    }
    let (unknown, unknown_error) = read_with(body, options, |_| false);
    assert_eq!((&unknown, &unknown_error), (&samples, &error), "no series known");
    let (known, known_error) =
        read_with(body, options, |text| samples.iter().any(|sample| sample.series == text));
    assert_eq!((&known, &known_error), (&samples, &error), "all series known");
    let (taken, taken_error) = read_taking(body, options, &samples);
    assert_eq!((&taken, &taken_error), (&samples, &error), "all series recognised by their bytes");
    if options.strict && error.is_none() {
        let (_, lenient) = read(Entries::new(body, ParseOptions { strict: false, ..options }));
        assert_eq!(lenient, None, "strict accepts, lenient refuses");
    }
    if options.start_timestamps {
        let (all, plain) = read(Entries::new(body, ParseOptions { start_timestamps: false, ..options }));
        assert_eq!(plain, error, "start times change an error");
        let mut all = all.iter();
        assert!(samples.iter().all(|sample| all.any(|other| other == sample)), "start times change a sample");
    }
}

/// What both ways of reading must agree on.
#[derive(Debug, PartialEq)]
struct Seen<'a> {
    series: &'a [u8],
    value: u64,
    timestamp_ms: Option<i64>,
    exemplar: Option<u64>,
}

fn seen<'a>(sample: &Sample<'a>) -> Seen<'a> {
    let _ = sample.name();
    for (name, value) in sample.labels() {
        // Decoding only ever shortens, and a bound is respelt in a few bytes.
        assert!(name.len() + value.len() <= sample.series().len() + 32);
    }
    Seen {
        series: sample.series().as_bytes(),
        value: sample.value().to_bits(),
        timestamp_ms: sample.timestamp_ms(),
        exemplar: sample.exemplar().map(|exemplar| {
            assert!(exemplar.labels().count() < usize::MAX);
            exemplar.value().to_bits()
        }),
    }
}

fn read(mut entries: Entries<'_>) -> (Vec<Seen<'_>>, Option<ParseError>) {
    let (mut samples, mut error) = (Vec::new(), None);
    for entry in entries.by_ref() {
        assert!(error.is_none(), "an entry after an error");
        match entry {
            Ok(Entry::Sample(sample)) => samples.push(seen(&sample)),
            Ok(_) => {}
            Err(found) => error = Some(found),
        }
    }
    assert!(entries.next().is_none(), "an entry after the end");
    (samples, error)
}

fn read_with<'a>(
    body: &'a [u8],
    options: ParseOptions,
    is_known: impl Fn(&[u8]) -> bool,
) -> (Vec<Seen<'a>>, Option<ParseError>) {
    let (mut samples, mut error) = (Vec::new(), None);
    let mut entries = Entries::new(body, options);
    while let Some(entry) = entries.next_with(|text| is_known(text).then_some(())) {
        match entry {
            Ok(Known::Sample { sample, .. }) => samples.push(seen_known(&sample)),
            Ok(Known::Not(Entry::Sample(sample))) => samples.push(seen(&sample)),
            Ok(Known::Not(_)) => {}
            Err(found) => error = Some(found),
        }
    }
    (samples, error)
}

/// Recognises every line that begins with a series of `known`, whether it goes on as one or
/// not.
fn read_taking<'a>(
    body: &'a [u8],
    options: ParseOptions,
    known: &[Seen<'_>],
) -> (Vec<Seen<'a>>, Option<ParseError>) {
    let (mut samples, mut error) = (Vec::new(), None);
    let mut entries = Entries::new(body, options);
    loop {
        let rest = entries.rest().unwrap_or_default();
        let mut begins = known.iter().filter(|seen| rest.starts_with(seen.series));
        if let Some(sample) = begins.find_map(|seen| entries.take_series(seen.series.len())) {
            samples.push(seen_known(&sample));
            continue;
        }
        match entries.next() {
            Some(Ok(Entry::Sample(sample))) => samples.push(seen(&sample)),
            Some(Ok(_)) => {}
            Some(Err(found)) => error = Some(found),
            None => return (samples, error),
        }
    }
}

fn seen_known<'a>(sample: &KnownSample<'a>) -> Seen<'a> {
    Seen {
        series: sample.series(),
        value: sample.value().to_bits(),
        timestamp_ms: sample.timestamp_ms(),
        exemplar: sample.exemplar().map(|exemplar| exemplar.value().to_bits()),
    }
}

/// Line and column must name a byte of the body, or the one behind it.
fn check_place(body: &[u8], error: &ParseError) {
    let line = body.split(|&byte| byte == b'\n').nth(error.line() as usize - 1);
    let line = line.unwrap_or_else(|| panic!("{error}: no such line"));
    assert!((1..=line.len() + 1).contains(&(error.column() as usize)), "{error}: no such column");
    assert!(error.to_string().starts_with("exposition line "), "{error}");
}
