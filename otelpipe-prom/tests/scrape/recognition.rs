//! Lines recognised by what they were last time mean what they mean to a scraper that reads
//! them for the first time.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::bench::{Bench, body_of};
use crate::check;

/// Lines that begin alike, or are nearly a known line. The one with a time is of a series of
/// its own: see `a_line_dropped_for_its_time_is_seen_once_its_series_is_known`.
const LINES: [&str; 24] = [
    "a 1",
    "t 2 1000",
    "a  3",
    "a\t4",
    "a5 6",
    "aa 7",
    "a{} 8",
    "a {} 9",
    "a{b=\"c\"} 10",
    "a {b=\"c\"} 11",
    "a{b=\"c\"}12",
    "a{b=\"c\"}x 13",
    "a{b=\"c\",} 14",
    "a{b=\"}\"} 15",
    "a{b=\"} 16",
    "a{b=\"c}\"} 17",
    " a 18",
    "{\"a\"} 19",
    "{\"a\",b=\"c\"} 20",
    "a_long_name{with=\"a long value, of more than sixteen bytes\"} 21",
    "a_long_name{with=\"a long value, of more than sixteen Bytes\"} 22 5000",
    "a 1 # {t=\"}\"} 1 5",
    "# a comment",
    "",
];

fn body() -> impl Strategy<Value = String> {
    let usual = select(vec![0, 4, 8, 9, 13, 19, 20]);
    let line = prop_oneof![12 => usual, 1 => 0..LINES.len()];
    let end = prop_oneof![9 => Just("\n"), 1 => Just("")];
    (vec(line, 0..8), end)
        .prop_map(|(lines, end)| lines.into_iter().map(|at| LINES[at]).collect::<Vec<_>>().join("\n") + end)
}

/// What one body gives, without the markers of series that ended.
fn read(bench: &mut Bench, body: &str, content_type: &'static str) -> (Vec<String>, String, u64, [u64; 2]) {
    let report = bench.scrape(body_of(body, content_type));
    let mut lines: Vec<_> = bench.lines().into_iter().filter(|line| !line.ends_with("stale")).collect();
    lines.sort();
    let dropped = [report.dropped.duplicate, report.dropped.inconsistent_time];
    (lines, report.error.map(|error| error.to_string()).unwrap_or_default(), report.scraped, dropped)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_body_means_the_same_whatever_was_read_before(
        bodies in vec((body(), any::<bool>(), prop::bool::weighted(0.2)), 1..8),
    ) {
        let mut known = Bench::new("{}");
        for (body, again, is_openmetrics) in &bodies {
            let (body, content_type) = match is_openmetrics {
                true => (format!("{body}# EOF\n"), "application/openmetrics-text"),
                false => (body.clone(), "text/plain"),
            };
            for _ in 0..1 + usize::from(*again) {
                let wanted = read(&mut Bench::new("{}"), &body, content_type);
                prop_assert_eq!(read(&mut known, &body, content_type), wanted, "{:?}", body);
            }
        }
    }
}

/// The one thing that depends on what was read before, as upstream: its cache takes a series
/// in when a sample of it was taken, and only the cache knows what came already.
///
/// Source: Prometheus `scrape/scrape.go` (`append` asks the cache what came already, and adds
/// what has a reference), contrib `receiver/prometheusreceiver/internal/transaction.go` (a
/// sample that fits no point has none).
#[test]
fn a_line_dropped_for_its_time_is_seen_once_its_series_is_known() {
    let mut bench = Bench::new("{}");
    let body = "a{} 8\na 2 1000\na 1\n";
    check(&mut bench, &[body], &["a gauge = 1"]);
    check(&mut bench, &[body], &["a gauge = 8"]);
}

#[test]
fn a_type_line_counts_each_time_it_comes() {
    let mut bench = Bench::new("{}");
    let twice = "# TYPE a counter\n# TYPE a gauge\na 1\n";
    for _ in 0..3 {
        check(&mut bench, &[twice], &["a gauge = 1"]);
    }
    check(&mut bench, &["# TYPE a counter\na 1\n"], &["a sum = 1"]);
    check(&mut bench, &[twice], &["a gauge = 1"]);
    // The type of the last line decides how `le` is spelt, whatever its name.
    let mut bench = Bench::new("{}");
    let wanted = ["h_bucket gauge{le=1.0} = 3"];
    check(&mut bench, &["# TYPE x histogram\nh_bucket{le=\"1\"} 3\n"], &wanted);
    let more = ["h_bucket gauge{le=1.0} = 3", "g_bucket gauge{le=2.0} = 4"];
    check(&mut bench, &["# TYPE x histogram\nh_bucket{le=\"1\"} 3\ng_bucket{le=\"2\"} 4\n"], &more);
}

#[test]
fn known_metadata_lines_keep_a_family_remembered() {
    let mut bench = Bench::new("{}");
    let body = "# TYPE c counter\nc 1\n";
    for _ in 0..30 {
        check(&mut bench, &[body], &["c sum = 1"]);
    }
    assert_eq!(bench.scraper.cached_series(), 1, "a metadata line is no series");
    for _ in 0..10 {
        check(&mut bench, &["c 2"], &["c sum = 2"]);
    }
    check(&mut bench, &["c 3", "c 4"], &["c gauge = 4"]);
    check(&mut bench, &[body], &["c sum = 1"]);
}

#[test]
fn a_metadata_line_that_ends_with_the_body_may_go_on_in_the_next() {
    let mut bench = Bench::new("{}");
    let help = |bench: &Bench| bench.batch.metrics().next().map(|metric| metric.description.to_string());
    bench.text("c 1\n# HELP c one");
    bench.text("# HELP c one\nc 1\n");
    assert_eq!(help(&bench).as_deref(), Some("one"));
    bench.text("# HELP c one more\nc 1\n");
    assert_eq!(help(&bench).as_deref(), Some("one more"));
}
