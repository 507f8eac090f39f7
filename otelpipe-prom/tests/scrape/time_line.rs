//! What happens from scrape to scrape.

use otelpipe_prom::scrape::Answer;

use crate::bench::{Bench, T0_MS, body_of, lines};
use crate::check;

#[test]
fn a_series_that_goes_gets_one_stale_marker() {
    let mut bench = Bench::new("{}"); // 14
    check(&mut bench, &["a 1\nb 1", "b 2"], &["b gauge = 2", "a gauge stale"]);
    check(&mut bench, &["b 3"], &["b gauge = 3"]);
    check(&mut bench, &["b 3\na 4"], &["b gauge = 3", "a gauge = 4"]);
    check(&mut bench, &[""], &["b gauge stale", "a gauge stale"]);
    assert_eq!(bench.reports()[0], "up gauge = 1", "an empty body is an empty scrape");
}

#[test]
fn whole_histograms_and_summaries_end() {
    let body = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 9\nh_count 6\n# TYPE s summary\ns{quantile=\"0.5\"} 3\ns_sum 1\ns_count 2";
    check(
        &mut Bench::new("{}"),
        &[body, "a 1"],
        &[
            "a gauge = 1",
            "h histogram [1.0] [0, 0] sum - count 0 stale",
            "s summary [0.5=0] sum 0 count 0 stale",
        ],
    );
    // One bucket ends, the histogram goes on.
    let two = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 3\nh_count 6";
    let one = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 6";
    check(&mut Bench::new("{}"), &[two, one], &["h histogram [1.0] [1, 5] sum - count 6"]);
}

#[test]
fn a_series_spelt_in_two_ways_goes_on_with_one_of_them() {
    let both = "a{b=\"c\"} 1\na{b=\"c\",} 1";
    check(&mut Bench::new("{}"), &[both, "a{b=\"c\",} 2"], &["a gauge{b=c} = 2"]);
    check(&mut Bench::new("{}"), &["a{b=\"c\"} 1", "a{b=\"c\",} 2"], &["a gauge{b=c} = 2"]);
    check(&mut Bench::new("{}"), &[both, "d 2"], &["d gauge = 2", "a gauge{b=c} stale"]);
}

#[test]
fn a_failed_scrape_ends_every_series() {
    let mut bench = Bench::new("{}"); // 15
    bench.text("a 1\nb 1 5");
    let report = bench.fail("server returned HTTP status 500 Internal Server Error");
    assert_eq!(bench.lines(), ["a gauge stale"]);
    let zero = [
        "up gauge = 0",
        "scrape_duration_seconds gauge = 0.5",
        "scrape_samples_scraped gauge = 0",
        "scrape_samples_post_metric_relabeling gauge = 0",
        "scrape_series_added gauge = 0",
    ];
    assert_eq!(bench.reports(), zero);
    assert_eq!((report.up, report.stale, report.body_bytes), (false, 1, 0));
    bench.fail("again");
    assert_eq!(bench.lines(), Vec::<String>::new());
    let report = bench.text("a 1");
    assert_eq!((bench.lines(), report.added), (vec!["a gauge = 1".to_owned()], 0), "the cache was kept");
}

#[test]
fn a_bad_line_fails_the_scrape_and_the_counts_stay() {
    let mut bench = Bench::new("{}"); // 16
    bench.text("a 1\nz 1");
    let report = bench.text("a 1\nb 2\nc {\n");
    assert_eq!(bench.lines(), ["a gauge stale", "z gauge stale"], "nothing of the body is kept");
    assert_eq!((report.up, report.scraped, report.post_relabel, report.added), (false, 2, 2, 1));
    assert_eq!((report.dropped.failed_scrape, report.points), (2, 0));
    let error = report.error.expect("line 3 is bad");
    assert_eq!(error.position().map(|(line, _)| line), Some(3));
    assert_eq!(bench.reports()[2], "scrape_samples_scraped gauge = 2");
    check(&mut bench, &["z 1"], &["z gauge = 1"]);
}

#[test]
fn explicit_timestamps_are_used_and_never_go_stale() {
    let mut bench = Bench::new("{}"); // 22
    check(&mut bench, &["a 1 1000"], &["a gauge = 1 @1000"]);
    check(&mut bench, &["b 1"], &["b gauge = 1"]);
    let mut bench = Bench::new(r#"{"honor_timestamps": false}"#);
    check(&mut bench, &["a 1 1000"], &["a gauge = 1"]);
    check(&mut bench, &["b 1"], &["b gauge = 1", "a gauge stale"]);
    let mut bench = Bench::new(r#"{"track_timestamps_staleness": true}"#);
    check(&mut bench, &["a 1 1000", "b 1"], &["b gauge = 1", "a gauge stale"]);
    // The same text twice with timestamps is no duplicate, but one point has one time.
    let mut bench = Bench::new("{}");
    let report = bench.text("a 1 1000\na 2 1000\na 3 2000");
    assert_eq!(bench.lines(), ["a gauge = 2 @1000"]);
    assert_eq!((report.dropped.duplicate, report.dropped.inconsistent_time), (0, 1));
}

#[test]
fn timestamps_more_than_ten_minutes_ahead_are_dropped() {
    let mut bench = Bench::new("{}");
    let limit = T0_MS + 600_000;
    let report = bench.text(&format!("a 1 {limit}\nb 1 {}", limit + 1));
    assert_eq!(bench.lines(), [format!("a gauge = 1 @{limit}")]);
    assert_eq!((report.up, report.dropped.too_far_ahead, report.post_relabel, report.added), (true, 1, 2, 1));
}

#[test]
fn limits_fail_the_whole_scrape() {
    let mut bench = Bench::new(r#"{"sample_limit": 2}"#); // 24
    let report = bench.text("a 1\nb 1\nc 1");
    assert_eq!(report.error.map(|error| error.to_string()).as_deref(), Some("sample limit exceeded"));
    assert_eq!((report.up, report.scraped, report.post_relabel, report.added), (false, 3, 3, 2));
    assert_eq!((bench.lines().len(), bench.scraper.cached_series()), (0, 2));
    assert!(bench.text("a 1\nb 1").up);
    let report = bench.text("c 1");
    assert_eq!((report.up, report.stale), (true, 2), "markers do not count");

    let mut bench = Bench::new(r#"{"body_size_limit": "4B", "extra_scrape_metrics": true}"#); // 23
    let report = bench.text("a 1\n");
    assert_eq!(report.error.map(|error| error.to_string()).as_deref(), Some("body size limit exceeded"));
    let extra = [
        "scrape_timeout_seconds gauge = 10",
        "scrape_sample_limit gauge = 0",
        "scrape_body_size_bytes gauge = -1",
    ];
    assert_eq!(bench.reports()[5..], extra);
    assert!(bench.text("a 1").up);
    assert_eq!(bench.reports()[7], "scrape_body_size_bytes gauge = 3");
    bench.scrape(Answer::BodyTooLarge { duration_s: 1.0 });
    assert_eq!(bench.reports()[7], "scrape_body_size_bytes gauge = -1");
    bench.fail("no route");
    assert_eq!(bench.reports()[7], "scrape_body_size_bytes gauge = 0");

    let mut bench = Bench::new(r#"{"label_limit": 3}"#);
    assert!(bench.text("a 1").up, "name, job and instance");
    let error = bench.text("a{b=\"c\"} 1").error.expect("four labels").to_string();
    assert_eq!(error, "label_limit exceeded (metric: a, number of labels: 4, limit: 3)");

    let bench = Bench::new(r#"{"target_limit": 1}"#); // 25
    assert!(bench.scraper.rules().limits().check_targets(2).is_err());
}

#[test]
fn any_content_type_but_open_metrics_is_text() {
    let mut bench = Bench::new("{}"); // 29
    for content_type in [None, Some(""), Some("text/html"), Some("text/plain; charset")] {
        let report = bench.scrape(Answer::Body { body: b"a 1", content_type, duration_s: 0.0 });
        assert!(report.up, "{content_type:?}");
    }
    let report = bench.scrape(body_of("a 1", "application/openmetrics-text"));
    assert!(!report.up, "no end marker");
    check(&mut bench, &["a 2\n# EOF"], &["a gauge = 2"]);
    check(&mut bench, &["a 3"], &["a gauge = 3"]);
}

#[test]
fn metadata_is_remembered_for_ten_scrapes() {
    let mut bench = Bench::new("{}");
    bench.text("# TYPE c counter\nc 1");
    for _ in 0..10 {
        check(&mut bench, &["c 2"], &["c sum = 2"]);
    }
    check(&mut bench, &["c 3"], &["c sum = 3"]); // forgotten after this one
    check(&mut bench, &["c 4"], &["c gauge = 4"]);
}

#[test]
fn a_type_that_changes_changes_the_metric_with_the_next_scrape() {
    let mut bench = Bench::new("{}");
    check(&mut bench, &["c 1\n# TYPE c counter\n"], &["c gauge = 1"]);
    check(&mut bench, &["c 2"], &["c sum = 2"]);
    check(&mut bench, &["# TYPE c gauge\nc 3"], &["c gauge = 3"]);
    check(
        &mut bench,
        &["# TYPE h histogram\nh_count 1", "# TYPE h summary\nh_count 1"],
        &["h summary [] sum 0 count 1"],
    );
    let description = |bench: &Bench| bench.batch.metrics().next().map(|m| m.description.to_string());
    bench.text("# HELP h one\nh_count 1");
    assert_eq!(description(&bench).as_deref(), Some("one"));
    bench.text("# HELP h two\nh_count 1");
    assert_eq!(description(&bench).as_deref(), Some("two"));
}

#[test]
fn the_end_of_a_target_marks_series_and_reports() {
    let mut bench = Bench::new("{}");
    bench.text("a 1\nb 1 5");
    bench.end();
    let wanted = [
        "a gauge stale",
        "up gauge stale",
        "scrape_duration_seconds gauge stale",
        "scrape_samples_scraped gauge stale",
        "scrape_samples_post_metric_relabeling gauge stale",
        "scrape_series_added gauge stale",
    ];
    assert_eq!(lines(&bench.batch, bench.at_ms), wanted);
}

#[test]
fn known_series_cost_no_label_work() {
    let mut bench =
        Bench::new(r#"{"metric_relabel_configs": [{"source_labels": ["a"], "target_label": "b"}]}"#);
    let body = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 6\nx{a=\"1\"} 1\ndropped{a=\"2\"} 1\n";
    assert_eq!(bench.text(body).relabeled, 4);
    assert_eq!(bench.text(body).relabeled, 0);
    let shuffled =
        "x{a=\"1\"} 1\n# TYPE h histogram\nh_count 6\nh_bucket{le=\"1\"} 1\nnew 1\ndropped{a=\"2\"} 1\n";
    let report = bench.text(shuffled);
    assert_eq!((report.relabeled, report.added), (1, 1));
}

#[test]
fn series_that_went_are_forgotten_and_the_others_stay_as_they_were() {
    let mut bench = Bench::new(r#"{"honor_labels": true}"#);
    for round in 0..40 {
        let mut body =
            String::from("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 6\nstays{a=\"1\"} 1\n");
        for series in 0..200 {
            body += &format!("m{round}{{id=\"{round}-{series}\",instance=\"i{}\"}} 1\n", round % 7);
        }
        let report = bench.text(&body);
        assert_eq!((report.points, report.stale), (203, if round == 0 { 0 } else { 200 }));
        let wanted = ["h histogram [1.0] [1, 5] sum - count 6", "stays gauge{a=1} = 1"];
        assert_eq!(bench.lines()[..2], wanted, "round {round}");
    }
    assert_eq!(bench.scraper.cached_series(), 203);
    assert!(bench.scraper.label_sets() < 2_500, "{} label sets", bench.scraper.label_sets());
}
