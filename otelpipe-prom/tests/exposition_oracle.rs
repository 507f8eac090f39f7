//! The parser against the slow one in `oracle`, on generated bodies.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod oracle;

use otelpipe_prom::text::{Entries, Format, Known, ParseOptions};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// The place of a line and column in the body.
fn place(body: &[u8], line: u32, column: u32) -> usize {
    let newlines = body.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place + 1);
    let start = core::iter::once(0).chain(newlines).nth(line as usize - 1).unwrap();
    start + column as usize - 1
}

fn check(body: &[u8], format: Format) -> Result<(), TestCaseError> {
    let expected = oracle::parse(body, format == Format::OpenMetrics);
    let options = ParseOptions { format, ..ParseOptions::default() };
    let (mut entries, mut error) = (Vec::new(), None);
    for entry in Entries::new(body, options) {
        match entry {
            Ok(entry) => entries.push(oracle::show(&entry)),
            Err(found) => error = Some(found),
        }
    }
    let shown = String::from_utf8_lossy(body);
    prop_assert_eq!(&entries, &expected.entries, "{}\n{:?}", shown, error);
    let error_at = error.as_ref().map(|error| place(body, error.line(), error.column()));
    prop_assert_eq!(error_at, expected.error_at, "{}\n{:?}", shown, error);

    // The cheap way must say the same, whatever part of the series is known.
    for known in 0..3 {
        let (mut cheap, mut cheap_error, mut number) = (Vec::new(), None, 0);
        let series: Vec<&[u8]> = Entries::new(body, options)
            .filter_map(|entry| match entry {
                Ok(otelpipe_prom::text::Entry::Sample(sample)) => Some(sample.series().as_bytes()),
                _ => None,
            })
            .collect();
        let mut reader = Entries::new(body, options);
        while let Some(entry) = reader.next_with(|text| {
            number += 1;
            (series.contains(&text) && number % 3 >= known).then_some(())
        }) {
            match entry {
                Ok(Known::Sample { sample, .. }) => {
                    cheap.push((String::from_utf8_lossy(sample.series()).into(), sample.value().to_bits()));
                }
                Ok(Known::Not(otelpipe_prom::text::Entry::Sample(sample))) => {
                    cheap.push((sample.series().to_owned(), sample.value().to_bits()));
                }
                Ok(Known::Not(_)) => {}
                Err(found) => cheap_error = Some(found),
            }
        }
        let full: Vec<(String, u64)> = Entries::new(body, options)
            .filter_map(|entry| match entry {
                Ok(otelpipe_prom::text::Entry::Sample(sample)) => {
                    Some((sample.series().to_owned(), sample.value().to_bits()))
                }
                _ => None,
            })
            .collect();
        prop_assert_eq!(cheap, full, "{}", shown);
        prop_assert_eq!(&cheap_error, &error, "{}", shown);
    }
    Ok(())
}

fn name() -> impl Strategy<Value = &'static str> {
    select(&["a", "foo_total", "foo_bucket", "foo_created", "x:y", "_9", "process_cpu_seconds_total"][..])
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        select(&["0", "1", "-1", "1e3", "NaN", "+Inf", "-inf", "1e400", "5.", ".5", "1.7e-320", "00012"][..])
            .prop_map(str::to_owned),
        any::<i32>().prop_map(|value| value.to_string()),
        any::<f64>().prop_map(|value| value.to_string()),
        any::<f64>().prop_map(|value| format!("{value:e}")),
        r"[-+]?[0-9]{1,22}(\.[0-9]{0,20})?([eE][-+]?[0-9]{1,3})?",
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        r#"[a-z0-9é }{,=#]{0,40}"#,
        select(&[r"\\", r#"\""#, r"\n", r"\q", "1", "1e3", "+inf", "0.5", "1_000", "} 1", "x\ny", "\0"][..])
            .prop_map(str::to_owned),
    ]
}

fn label() -> impl Strategy<Value = String> {
    let name = select(&["b", "le", "quantile", "pod_name_long", "\"x y\"", "\"le\"", "\"q\\\"\"", "c"][..]);
    let equal = select(&["=", "=", "=", " = "][..]);
    (name, equal, value()).prop_map(|(name, equal, value)| format!("{name}{equal}\"{value}\""))
}

fn block() -> impl Strategy<Value = String> {
    let comma = select(&[",", ",", ",", " , ", " "][..]);
    let quoted_name = prop_oneof![4 => Just(""), 1 => Just("\"u.v\",")];
    (quoted_name, vec(label(), 0..5), comma, any::<bool>()).prop_map(|(name, labels, comma, trailing)| {
        format!("{{{name}{}{}}}", labels.join(comma), if trailing { "," } else { "" })
    })
}

fn line() -> impl Strategy<Value = String> {
    let block = prop_oneof![1 => Just(String::new()), 4 => block()];
    let bare = prop_oneof![8 => name(), 1 => Just(""), 1 => Just("  a")];
    let time = prop_oneof![
        Just(String::new()),
        any::<u32>().prop_map(|ms| format!(" {ms}")),
        number().prop_map(|seconds| format!(" {seconds}")),
    ];
    let exemplar = prop_oneof![
        3 => Just(String::new()),
        1 => (label(), number()).prop_map(|(label, value)| format!(" # {{{label}}} {value}")),
        1 => (label(), number(), number())
            .prop_map(|(label, value, time)| format!(" # {{{label}}} {value} {time}")),
    ];
    let sample = (bare, block, number(), time, exemplar)
        .prop_map(|(name, block, value, time, exemplar)| format!("{name}{block} {value}{time}{exemplar}"));
    let kind = select(&["counter", "histogram", "summary", "untyped", "unknown", "info", "gauge "][..]);
    let metadata = prop_oneof![
        (name(), kind).prop_map(|(name, kind)| format!("# TYPE {name} {kind}")),
        (name(), value()).prop_map(|(name, text)| format!("# HELP {name} {text}")),
        Just("# UNIT a_s s".to_owned()),
        Just("# HELP \"a b\" text".to_owned()),
        Just("# comment".to_owned()),
        Just(String::new()),
    ];
    prop_oneof![4 => sample, 1 => metadata]
}

/// Lines of the two formats mixed; what one of them refuses ends it early.
fn body() -> impl Strategy<Value = Vec<u8>> {
    (vec(line(), 1..6), any::<bool>())
        .prop_map(|(lines, eof)| (lines.join("\n") + if eof { "\n# EOF\n" } else { "\n" }).into_bytes())
}

/// A body with some bytes deleted, replaced or inserted.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let byte = select(&b" \t\n\r\"\\{},=#0159.-+eENanIif_:\0\xff\xc3"[..]);
    let mutation = (any::<prop::sample::Index>(), 0..3, byte);
    (body(), vec(mutation, 1..4)).prop_map(|(mut body, mutations)| {
        for (place, kind, byte) in mutations {
            let place = place.index(body.len() + 1);
            match kind {
                0 => body.insert(place, byte),
                _ if place == body.len() => {}
                1 => body[place] = byte,
                _ => drop(body.remove(place)),
            }
        }
        body
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn well_formed_bodies_read_the_same_in_both_parsers(body in body()) {
        check(&body, Format::Text)?;
        check(&body, Format::OpenMetrics)?;
    }

    #[test]
    fn mutated_bodies_read_the_same_in_both_parsers(body in mutated()) {
        check(&body, Format::Text)?;
        check(&body, Format::OpenMetrics)?;
    }
}
