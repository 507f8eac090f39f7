//! Frames say what batches say. [`Bench`] drives both scrapers and compares them scrape by
//! scrape; here are histories that have all that may change between two scrapes.

use core::cell::Cell;

use otelpipe_core::frame::{Columns, Metrics};
use otelpipe_prom::scrape::Answer;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

use crate::bench::{Bench, T0_MS, body_of};

/// Metadata lines and series of a target, in the order in which it shows them.
const LINES: [&str; 58] = [
    "# HELP c_total A counter.",
    "# TYPE c_total counter",
    "c_total{a=\"1\"}",
    "c_created{a=\"1\"}",
    "c_total{a=\"2\"}",
    "c_total{a=\"2\",}",
    "# TYPE c counter",
    "# TYPE d counter",
    "d_created",
    "d_total",
    "d_total{a=\"1\"}",
    "d_created{a=\"1\"}",
    "d_created{a=\"2\"}",
    "# TYPE g gauge",
    "# UNIT g bytes",
    "g",
    "g{}",
    "g{a=\"1\",b=\"2\"}",
    "g{b=\"2\",a=\"1\"}",
    "# TYPE h histogram",
    "h_bucket{le=\"1\"}",
    "h_bucket{le=\"+Inf\"}",
    "h_bucket{le=\"0.5\"}",
    "h_bucket{le=\"1.0\"}",
    "h_bucket{}",
    "h_sum",
    "h_count",
    "h_created",
    "h_bucket{a=\"1\",le=\"2\"}",
    "h_sum{a=\"1\"}",
    "h_count{a=\"1\"}",
    "h_count{a=\"1\",}",
    "# TYPE h gauge",
    "# TYPE s summary",
    "s{quantile=\"0.9\"}",
    "s{quantile=\"0.5\"}",
    "s_sum",
    "s_count",
    "s_created",
    "s_count{a=\"1\"}",
    "# TYPE i info",
    "i_info{version=\"1\"}",
    "untyped{a=\"a long value of a label, longer than a few words\"}",
    "dropped",
    "dropped{a=\"1\"}",
    "up",
    "up{a=\"1\"}",
    "scrape_samples_scraped",
    "target_info{a=\"1\"}",
    "target_info{a=\"2\",b=\"3\"}",
    "of_another{job=\"k\",instance=\"10.0.0.6:80\"}",
    "g{job=\"k\",a=\"1\"}",
    "scoped{otel_scope_name=\"n\",a=\"1\"}",
    "g{otel_scope_name=\"n\"}",
    "# a comment",
    "",
    "# TYPE up counter",
    "# TYPE c_total gauge",
];

/// Lines that come in by changes only: with them, a scrape is rarely like the one before.
const ODD: [&str; 5] =
    ["h_bucket{}", "# TYPE c counter", "# TYPE h gauge", "# TYPE c_total gauge", "c_total{a=\"2\",}"];

const VALUES: [&str; 16] = [
    "0",
    "1",
    "2",
    "17",
    "-3",
    "0.25",
    "1e3",
    "1.5e+09",
    "123456789012345678",
    "0.1",
    "NaN",
    "+Inf",
    "-Inf",
    "9007199254740993",
    "4.9e-324",
    "-0",
];

/// Milliseconds that a line's own time is behind that of its scrape. The last is refused.
const BEHIND_MS: [i64; 4] = [0, 1_000, 7_000, -601_000];

/// One line: which, and by how much its own time is behind.
type Line = (usize, Option<i64>);

#[derive(Clone, Debug)]
enum Change {
    Nothing,
    Remove(Index),
    Add(usize, Index),
    Swap(Index, Index),
    Repeat(Index, Index),
    /// A line that is there more than once goes, if there is one.
    Unrepeat(Index),
    /// A line gets a time, another one, or none.
    Time(Index, Option<i64>),
    /// The lines of the first body again.
    Back,
    OtherFormat,
}

#[derive(Clone, Debug)]
enum Kind {
    Good,
    /// The body ends in a line that is none.
    Broken,
    /// The last line has no newline.
    Cut,
    /// A comment makes the body larger than is allowed.
    Large,
    Empty,
    Failed,
    TooLarge,
}

#[derive(Clone, Debug)]
struct Step {
    change: Change,
    kind: Kind,
    /// Of the lines in turn.
    values: Vec<usize>,
    exemplars: bool,
}

#[derive(Clone, Debug)]
struct History {
    lines: Vec<Line>,
    is_openmetrics: bool,
    job: String,
    steps: Vec<Step>,
}

fn time() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![8 => Just(None), 1 => select(&BEHIND_MS[..3]).prop_map(Some), 1 => Just(Some(BEHIND_MS[0]))]
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    let late = prop_oneof![1 => Just(None), 3 => select(&BEHIND_MS[..]).prop_map(Some)];
    prop_oneof![
        24 => Just(Change::Nothing),
        1 => index().prop_map(Change::Remove),
        1 => (0..LINES.len(), index()).prop_map(|(line, at)| Change::Add(line, at)),
        1 => (index(), index()).prop_map(|(a, b)| Change::Swap(a, b)),
        2 => (index(), index()).prop_map(|(line, at)| Change::Repeat(line, at)),
        1 => index().prop_map(Change::Unrepeat),
        1 => (index(), late).prop_map(|(at, time)| Change::Time(at, time)),
        1 => Just(Change::Back),
        1 => Just(Change::OtherFormat),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        30 => Just(Kind::Good),
        1 => Just(Kind::Broken),
        1 => Just(Kind::Cut),
        1 => Just(Kind::Large),
        1 => Just(Kind::Empty),
        1 => Just(Kind::Failed),
        1 => Just(Kind::TooLarge),
    ]
}

fn history() -> impl Strategy<Value = History> {
    let times = vec(time(), LINES.len());
    let picked = (vec(prop::bool::weighted(0.4), LINES.len()), times, any::<bool>());
    let lines = picked.prop_map(|(picked, times, has_times)| {
        let lines = (0..LINES.len()).filter(|line| picked[*line] && !ODD.contains(&LINES[*line]));
        lines.map(|line| (line, times[line].filter(|_| has_times))).collect()
    });
    let step = (change(), kind(), vec(0..VALUES.len(), 1..20), prop::bool::weighted(0.3))
        .prop_map(|(change, kind, values, exemplars)| Step { change, kind, values, exemplars });
    let job = (
        prop_oneof![4 => Just(0_u64), 1 => 5..40_u64],
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.2),
        any::<bool>(),
    );
    let job = job.prop_map(|(limit, honor_labels, honor_timestamps, track, extra)| {
        format!(
            r#"{{"sample_limit": {limit}, "honor_labels": {honor_labels}, "honor_timestamps": {honor_timestamps},
                "track_timestamps_staleness": {track}, "extra_scrape_metrics": {extra},
                "body_size_limit": "2KB", "metric_relabel_configs":
                [{{"source_labels": ["__name__"], "regex": "dropped", "action": "drop"}}]}}"#
        )
    });
    let parts = (lines, prop::bool::weighted(0.4), job, vec(step, 2..24));
    parts.prop_map(|(lines, is_openmetrics, job, steps)| History { lines, is_openmetrics, job, steps })
}

impl Change {
    fn apply(&self, lines: &mut Vec<Line>, first: &[Line], is_openmetrics: &mut bool) {
        let place = |lines: &[Line], index: &Index| index.index(lines.len() + 1);
        match self {
            Self::Nothing => {}
            Self::OtherFormat => *is_openmetrics = !*is_openmetrics,
            Self::Back => *lines = first.to_vec(),
            Self::Add(line, at) => lines.insert(place(lines, at), (*line, None)),
            _ if lines.is_empty() => {}
            Self::Remove(at) => {
                lines.remove(at.index(lines.len()));
            }
            Self::Swap(a, b) => {
                let (a, b) = (a.index(lines.len()), b.index(lines.len()));
                lines.swap(a, b);
            }
            Self::Repeat(line, at) => {
                let line = lines[line.index(lines.len())];
                lines.insert(place(lines, at), line);
            }
            Self::Unrepeat(at) => {
                let is_repeated = |line: &Line| lines.iter().filter(|other| other.0 == line.0).count() > 1;
                let repeated: Vec<_> = (0..lines.len()).filter(|at| is_repeated(&lines[*at])).collect();
                if !repeated.is_empty() {
                    lines.remove(repeated[at.index(repeated.len())]);
                }
            }
            Self::Time(at, time) => {
                let at = at.index(lines.len());
                lines[at].1 = *time;
            }
        }
    }
}

/// The body of a scrape at this time.
fn text(lines: &[Line], step: &Step, is_openmetrics: bool, at_ms: i64) -> String {
    let mut values = step.values.iter().cycle();
    let mut body = String::new();
    for (line, behind_ms) in lines {
        let text = LINES[*line];
        // OpenMetrics has neither comments nor empty lines.
        if is_openmetrics && (text.is_empty() || text == "# a comment") {
            continue;
        }
        body += text;
        if !text.is_empty() && !text.starts_with('#') {
            let value = *values.next().expect("they go round");
            body += &format!(" {}", VALUES[value]);
            match behind_ms.map(|behind_ms| at_ms - behind_ms) {
                Some(ms) if is_openmetrics => body += &format!(" {}.{:03}", ms / 1_000, ms % 1_000),
                Some(ms) => body += &format!(" {ms}"),
                None => {}
            }
            if is_openmetrics && step.exemplars && value % 3 == 0 {
                body += &format!(" # {{trace_id=\"0{value:x}\",n=\"{line}\"}} {value}");
            }
        }
        body.push('\n');
    }
    match step.kind {
        Kind::Broken => body += "{\n",
        Kind::Cut if !is_openmetrics => {
            body.pop();
        }
        Kind::Large if !is_openmetrics => body += &format!("#{:2048}\n", ""),
        Kind::Cut => {}
        _ if is_openmetrics => body += "# EOF\n",
        _ => {}
    }
    body
}

/// Drives both scrapers. Returns how many scrapes showed the lines of the two before them,
/// and how many of those were frames.
fn run(history: &History) -> (u64, u64) {
    let mut bench = Bench::new(&history.job);
    let mut lines = history.lines.clone();
    let mut is_openmetrics = history.is_openmetrics;
    let (mut calm, mut frames, mut same) = (0, 0, 0);
    for step in &history.steps {
        let at_ms = bench.at_ms + 15_000;
        step.change.apply(&mut lines, &history.lines, &mut is_openmetrics);
        let body = text(&lines, step, is_openmetrics, at_ms);
        let content_type = if is_openmetrics { "application/openmetrics-text" } else { "text/plain" };
        let before = bench.framing.frames();
        let report = bench.scrape(match step.kind {
            Kind::Good | Kind::Broken | Kind::Cut | Kind::Large => body_of(&body, content_type),
            Kind::Empty => body_of("", content_type),
            Kind::Failed => Answer::Failed { reason: "no route to host", duration_s: 0.5 },
            Kind::TooLarge => Answer::BodyTooLarge { duration_s: 0.5 },
        });
        let refused = report.scraped - report.points - report.dropped.relabel;
        let targets_info = lines.iter().filter(|(line, _)| LINES[*line].starts_with("target_info")).count();
        let is_calm = report.up && usize::try_from(refused) == Ok(targets_info);
        let is_same = matches!(step.change, Change::Nothing) && matches!(step.kind, Kind::Good) && is_calm;
        same = if is_same { same + 1 } else { 0 };
        let made = bench.framing.frames() - before;
        if same > 2 {
            (calm, frames) = (calm + 1, frames + made);
        }
    }
    bench.end();
    (calm, frames)
}

#[test]
fn frames_say_what_batches_say_whatever_changes_between_scrapes() {
    let (calm, frames) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(1_000) });
    let result = runner.run(&history(), |history| {
        let (of_calm, of_frames) = run(&history);
        calm.set(calm.get() + of_calm);
        frames.set(frames.get() + of_frames);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let (calm, frames) = (calm.get(), frames.get());
    assert!(frames * 5 > calm * 4, "{frames} frames in {calm} calm scrapes");
}

/// Scrapes a body so often; whether the last one was a frame.
fn is_framed(bench: &mut Bench, body: &str, times: u32) -> bool {
    let mut before = 0;
    for _ in 0..times {
        before = bench.framing.frames();
        bench.text(body);
    }
    bench.framing.frames() > before
}

#[test]
fn the_third_scrape_of_a_target_is_a_frame_in_the_shape_of_the_second() {
    let mut bench = Bench::new("{}");
    let mut shapes = Vec::new();
    for at in 0..5 {
        let (metrics, _) = bench.framing.scrape_metrics(
            body_of("# TYPE a counter\na 1\n", "text/plain"),
            T0_MS + at,
            Columns::default(),
        );
        if let Metrics::Frame(frame) = metrics {
            shapes.push(frame.shape().clone());
        }
    }
    assert_eq!((shapes.len(), bench.framing.frames()), (4, 3));
    assert!(shapes.iter().all(|shape| std::sync::Arc::ptr_eq(shape, &shapes[0])));
}

#[test]
fn a_shape_outlives_a_failure() {
    let mut bench = Bench::new("{}");
    let body = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 2\na 1\n";
    let scrape = |bench: &mut Bench, answer: Answer<'_>| match bench
        .framing
        .scrape_metrics(answer, T0_MS, Columns::default())
        .0
    {
        Metrics::Frame(frame) => Some(frame.shape().clone()),
        Metrics::Batch(_) | Metrics::Parts(_) => None,
    };
    let good = body_of(body, "text/plain");
    assert!(scrape(&mut bench, good).is_none());
    let shape = scrape(&mut bench, good).expect("a frame");
    for frames in [0, 6] {
        for _ in 0..frames {
            scrape(&mut bench, good);
        }
        assert!(scrape(&mut bench, Answer::Failed { reason: "", duration_s: 0.0 }).is_none());
        for _ in 0..3 {
            let again = scrape(&mut bench, good).expect("a frame");
            assert!(std::sync::Arc::ptr_eq(&shape, &again));
        }
    }
}

/// After some frames a scraper holds no more than frames need. Whatever comes then is what a
/// scraper makes of it that never gave one, and so are the frames after that.
#[test]
fn a_target_that_was_the_same_for_long_may_change_in_any_way() {
    let series = "# TYPE h histogram\nh_bucket{a=\"1\",le=\"1\"} 1\nh_bucket{a=\"1\",le=\"2.0\"} 3\nh_sum{a=\"1\"} 4\n\
                  h_count{a=\"1\"} 3\n# TYPE c counter\nc{a=\"1\"} 1\nc{a=\"1\",} 1\nc{a=\"2\"} 2 1000\n\
                  target_info{b=\"1\"} 1\ndropped 1\nlast{a=\"1\"} 1\n";
    let without = |line: &str| series.replace(line, "");
    let changed = [
        format!(
            "{series}new{{a=\"1\"}} 1\nnew{{a=\"3\"}} 2\nh_bucket{{a=\"1\",le=\"3\"}} 3\nh_count{{a=\"2\"}} 1\n"
        ),
        format!("{series}dropped{{a=\"1\"}} 1\n"),
        format!("{series}last{{a=\"1\",}} 1\nh_bucket{{a=\"1\",le=\"1\",}} 1\nh_sum{{a=\"1\",}} 1\n"),
        format!(
            "{series}# TYPE i histogram\ni_bucket{{a=\"1\",le=\"1\"}} 1\ni_bucket{{a=\"1\",le=\"9\"}} 1\n"
        ),
        without("last{a=\"1\"} 1\n"),
        without("c{a=\"1\",} 1\n"),
        without("dropped 1\n"),
        without("h_bucket{a=\"1\",le=\"1\"} 1\n"),
        without("# TYPE c counter\n"),
        series.replace("# TYPE h histogram", "# TYPE h gauge"),
        series.replace("# TYPE c counter", "# TYPE c gauge"),
        format!("{series}{{\n"),
        String::new(),
    ];
    for body in &changed {
        let mut bench = Bench::new(
            r#"{"metric_relabel_configs":
                [{"source_labels": ["__name__"], "regex": "dropped", "action": "drop"}]}"#,
        );
        assert!(is_framed(&mut bench, series, 6));
        for _ in 0..2 {
            bench.text(body);
            is_framed(&mut bench, series, 6);
            bench.fail("no route to host");
            is_framed(&mut bench, body, 6);
        }
        bench.end();
    }
}

/// Names, lists and texts of series that are gone are forgotten in between, but for those of
/// the last frames.
#[test]
fn a_target_is_what_it_was_after_many_series_came_and_went() {
    let body = "# TYPE h histogram\nh_bucket{a=\"1\",le=\"1\"} 1\nh_bucket{a=\"1\",le=\"+Inf\"} 2\n\
                h_count{a=\"1\"} 2\nlast{a=\"1\"} 1\nlast{a=\"2\"} 1\n";
    let mut bench = Bench::new("{}");
    for round in 0..3 {
        assert!(is_framed(&mut bench, body, 6));
        for part in 0..4 {
            let others = (0..700).map(|at| format!("other{{at=\"{}\"}} 1\n", at + 700 * (part + 4 * round)));
            bench.text(&others.collect::<String>());
        }
        bench.text("last{a=\"1\"} 1\n");
        assert!(bench.framing.label_sets() < 100, "they are forgotten");
    }
    bench.text(body);
    bench.text(&format!("{body}h_sum{{a=\"1\",}} 2\nlast{{a=\"2\",}} 1\n"));
    assert!(is_framed(&mut bench, body, 6));
    bench.end();
}

/// A line with a time of its own may come twice. Once it comes only once, the counts differ.
#[test]
fn a_repeated_line_that_goes_is_noticed() {
    for twice in ["a 1 1000\nb 1\na 1 1000\n", "a 1 1000\na 1 1000\nb 1\n", "dropped 1\nb 1\ndropped 1\n"] {
        let once: String = twice.split_inclusive('\n').take(2).collect();
        let mut bench = Bench::new(
            r#"{"metric_relabel_configs":
                [{"source_labels": ["__name__"], "regex": "dropped", "action": "drop"}]}"#,
        );
        is_framed(&mut bench, twice, 5);
        is_framed(&mut bench, &once, 5);
    }
}

#[test]
fn lines_that_mean_nothing_are_no_reason_to_read_as_usual() {
    let mut bench = Bench::new("{}");
    assert!(is_framed(&mut bench, "# a comment\n\n\na 1\n# another\nb 2\n\n# last", 3));
    assert!(is_framed(&mut bench, "a 1\n#\nb 2", 1), "they may come and go");
}

#[test]
fn forgotten_metadata_changes_a_metric_between_frames() {
    let mut bench = Bench::new("{}");
    bench.text("# TYPE a counter\na 1\n");
    let mut frames = Vec::new();
    for _ in 0..16 {
        let before = bench.framing.frames();
        bench.text("a 1\n");
        frames.push((bench.framing.frames() > before, bench.lines()[0].clone()));
    }
    // It is remembered for ten scrapes, and the one after that gives another metric.
    let of = |is_frame: bool, line: &str| (is_frame, line.to_owned());
    let mut wanted = vec![of(false, "a sum = 1"); 1];
    wanted.extend(vec![of(true, "a sum = 1"); 9]);
    wanted.extend([of(false, "a sum = 1"), of(false, "a gauge = 1")]);
    wanted.extend(vec![of(true, "a gauge = 1"); 4]);
    assert_eq!(frames, wanted);
}

#[test]
fn a_target_that_is_never_the_same_for_long_is_left_alone() {
    for (repetitions, most) in [(1, 0), (2, 10)] {
        let mut bench = Bench::new("{}");
        let mut laid_out = 0;
        for at in 0..200 {
            let body = if at / repetitions % 2 == 0 { "a 1\nb 2\n" } else { "b 2\na 1\n" };
            let (metrics, _) =
                bench.framing.scrape_metrics(body_of(body, "text/plain"), T0_MS + at, Columns::default());
            laid_out += i32::from(matches!(metrics, Metrics::Frame(_)));
        }
        assert_eq!(bench.framing.frames(), 0);
        assert!((most.min(1)..=most).contains(&laid_out), "{laid_out} layouts");
        for at in 200..270 {
            let body = body_of("a 1\n", "text/plain");
            let _ = bench.framing.scrape_metrics(body, T0_MS + at, Columns::default());
        }
        assert!(bench.framing.frames() > 0, "it may settle");
    }
}
