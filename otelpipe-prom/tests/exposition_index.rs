//! Plain lines read with the index of quotes, and every line read byte by byte: the same
//! entries, labels and errors.

use std::io::Read;
use std::path::Path;

use otelpipe_prom::text::{Entries, Entry, Format, ParseOptions};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Everything that can be known about each entry, and the error with its place.
fn read(entries: Entries<'_>) -> Vec<String> {
    let show = |entry| match entry {
        Ok(Entry::Sample(sample)) => {
            let labels: Vec<_> = sample.labels().collect();
            format!("{sample:?} {labels:?} {:?}", sample.value().to_bits())
        }
        other => format!("{other:?}"),
    };
    entries.map(show).collect()
}

fn check(body: &[u8]) {
    for format in [Format::Text, Format::OpenMetrics] {
        let options = ParseOptions { format, ..ParseOptions::default() };
        let fast = read(Entries::new(body, options));
        let slow = read(Entries::new(body, options).without_index());
        for (fast, slow) in fast.iter().zip(&slow) {
            assert_eq!(fast, slow, "{format:?}");
        }
        assert_eq!(fast.len(), slow.len(), "{format:?}");
    }
}

#[test]
fn recorded_bodies_read_the_same_in_both_ways() {
    let bodies = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/textparse/bodies");
    let mut count = 0;
    for file in std::fs::read_dir(bodies).expect("test data") {
        let file = std::fs::File::open(file.expect("test data").path()).expect("test data");
        let mut body = Vec::new();
        flate2::read::GzDecoder::new(file).read_to_end(&mut body).expect("gzip");
        check(&body);
        // Cut anywhere, its last line is another one.
        for cut in (0..body.len().min(20_000)).step_by(997) {
            check(&body[..cut]);
        }
        count += 1;
    }
    assert!(count > 15, "{count} bodies");
}

#[test]
fn lines_longer_than_the_window_read_the_same_in_both_ways() {
    for len in [4_000, 4_090, 4_096, 4_100, 5_000, 9_000] {
        let long = "v".repeat(len);
        check(format!("a{{b=\"{long}\"}} 1\nc 2\na{{b=\"{long}\",c=\"d\"}} 3\n{long} 4\n").as_bytes());
        let labels: String = (0..len / 10).map(|at| format!("l{at}=\"\",")).collect();
        check(format!("a{{{labels}}} 1\na{{b=\"\"}} 2\n").as_bytes());
    }
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => r"[a-z0-9/.:-]{0,80}",
        1 => r#"[a-zé }{,=#]{200,300}"#,
        1 => select(&[r"\\", r#"\""#, r"\n", "x\ny", "}", "} 1", "{", "\0", "é"][..]).prop_map(str::to_owned),
    ]
}

fn label() -> impl Strategy<Value = String> {
    let name =
        select(&["b", "le", "namespace", "_9", "container_image_of_the_pod", "9a", "a:b", "\"q\"", " c"][..]);
    let equal = select(&["=", "=", "=", "=", "=", " = ", ""][..]);
    (name, equal, value()).prop_map(|(name, equal, value)| format!("{name}{equal}\"{value}\""))
}

fn line() -> impl Strategy<Value = String> {
    let name = select(&["a", "container_cpu_usage_seconds_total", "x:y", " a", "", "a b", "é"][..]);
    let usual = select(&["a", "container_cpu_usage_seconds_total"][..]);
    let name = prop_oneof![9 => usual, 1 => name];
    let block = vec(label(), 0..20).prop_map(|labels| match labels.len() {
        0 => String::new(),
        _ => format!("{{{}}}", labels.join(",")),
    });
    let tail = select(
        &[
            " 1",
            " 1.5e3 1700000000000",
            " NaN",
            " 17 9999999999999999999",
            "  2",
            " 1 2 3",
            " 1 # {a=\"b\"} 1",
            " 1\t2",
            "1",
            "",
        ][..],
    );
    let usual = select(&[" 1", " 0.25 1700000000000", " -1e-7"][..]);
    let tail = prop_oneof![30 => usual, 1 => tail];
    let sample = (name, block, tail).prop_map(|(name, block, tail)| format!("{name}{block}{tail}"));
    let other = select(&["# HELP a \"quoted\" text", "# TYPE a histogram", "# x", "", "# EOF"][..]);
    prop_oneof![12 => sample, 1 => other.prop_map(str::to_owned)]
}

/// Mostly good lines, so that many are read before the first error.
fn body() -> impl Strategy<Value = String> {
    let plain = r#"[a-z_]{1,20}\{([a-z_]{1,9}="[a-z0-9/]{0,70}",){0,9}z="[^"\\\n]{0,9}"\} [0-9]{1,9}( 1700000000000)?"#;
    let line = prop_oneof![20 => plain, 1 => line()];
    vec(line, 0..80).prop_map(|lines| lines.join("\n") + "\n")
}

proptest! {
    #[test]
    fn long_bodies_read_the_same_in_both_ways(body in body()) {
        check(body.as_bytes());
    }

    #[test]
    fn odd_lines_read_the_same_in_both_ways(lines in vec(line(), 0..4)) {
        check(lines.join("\n").as_bytes());
    }

    #[test]
    fn changed_bytes_read_the_same_in_both_ways(
        body in body(),
        changes in vec((any::<prop::sample::Index>(), select(&b"\n\"\\{}=, #_:a0\xff\0"[..])), 1..4),
    ) {
        let mut body = body.into_bytes();
        for (place, byte) in changes {
            let place = place.index(body.len());
            body[place] = byte;
        }
        check(&body);
    }
}
