//! One body to points.

use crate::bench::Bench;
use crate::check;

#[track_caller]
fn one(body: &str, wanted: &[&str]) {
    check(&mut Bench::new("{}"), &[body], wanted);
}

#[test]
fn a_plain_target_gives_its_samples_and_five_report_series() {
    let mut bench = Bench::new("{}"); // 1
    let report = bench.text("a 1");
    assert_eq!(bench.lines(), ["a gauge = 1"]);
    assert_eq!(
        bench.resources(),
        [
            "server.address=10.0.0.5,server.port=8080,service.instance.id=10.0.0.5:8080,service.name=j,url.scheme=http"
        ]
    );
    let reports = [
        "up gauge = 1",
        "scrape_duration_seconds gauge = 0.25",
        "scrape_samples_scraped gauge = 1",
        "scrape_samples_post_metric_relabeling gauge = 1",
        "scrape_series_added gauge = 1",
    ];
    assert_eq!(bench.reports(), reports);
    assert_eq!((report.up, report.scraped, report.points, report.relabeled), (true, 1, 1, 1));
    let scope = "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver/v1 ";
    assert_eq!(bench.scopes(), [scope]);
    let facts: Vec<(&str, &str, &str)> =
        bench.batch.metrics().map(|m| (m.name.as_str(), m.description.as_str(), m.unit.as_str())).collect();
    assert!(facts.contains(&("up", "The scraping was successful", "")));
    assert!(facts.contains(&("scrape_duration_seconds", "Duration of the scrape", "s")));
}

#[test]
fn the_resource_comes_from_the_instance() {
    for (address, wanted) in [
        ("localhost:80", "server.port=80,service.instance.id=localhost:80,service.name=j,url.scheme=http"), // 2
        ("h", "server.address=h,server.port=,service.instance.id=h,service.name=j,url.scheme=http"), // 3
    ] {
        let mut bench = Bench::with("{}", "{}", &[("__address__", address)]);
        bench.text("a 1");
        assert_eq!(bench.resources(), [wanted]);
    }
    // 30: the scheme is that of discovery, before relabeling.
    let job = r#"{"relabel_configs": [{"target_label": "__scheme__", "replacement": "https"}]}"#;
    let mut bench = Bench::new(job);
    bench.text("a 1");
    assert!(bench.scraper.target().url().starts_with("https://"));
    assert!(bench.resources()[0].ends_with("url.scheme=http"));
    // 57
    let job = r#"{"relabel_configs": [
        {"target_label": "job", "replacement": "jj"}, {"target_label": "instance", "replacement": "inst"}]}"#;
    let mut bench = Bench::new(job);
    bench.text("a 1");
    let wanted = "server.address=inst,server.port=,service.instance.id=inst,service.name=jj,url.scheme=http";
    assert_eq!(bench.resources(), [wanted]);
}

#[test]
fn every_exposed_type_has_its_kind_of_point() {
    one("# TYPE c counter\nc 5", &["c sum = 5"]); // 4
    one("# TYPE c counter\nc_total 5\nc_created 100\n# EOF", &["c_total sum = 5 since 100000"]); // 5
    let histogram = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 3\nh_bucket{le=\"+Inf\"} 6\nh_sum 9\nh_count 6";
    one(histogram, &["h histogram [1.0, 2.0] [1, 2, 3] sum 9 count 6"]); // 6
    one(
        &histogram.replace("h_bucket{le=\"+Inf\"} 6\n", ""),
        &["h histogram [1.0, 2.0] [1, 2, 3] sum 9 count 6"],
    ); // 7
    one(&histogram.replace("\nh_count 6", ""), &[]); // 8
    one(&histogram.replace("h_sum 9\n", ""), &["h histogram [1.0, 2.0] [1, 2, 3] sum - count 6"]); // 9
    one("# TYPE s summary\ns{quantile=\"0.9\"} NaN\ns_count 0", &["s summary [0.9=NaN] sum 0 count 0"]); // 10
    one("# TYPE i info\ni_info{v=\"1\"} 1\n# EOF", &["i updown{v=1} = 1"]); // 11
    one("# TYPE st stateset\nst{st=\"x\"} 1\n# EOF", &["st updown{st=x} = 1"]); // 12
    let gauge_histogram = "# TYPE g gaugehistogram\ng_bucket{le=\"1\"} 2\ng_gcount 2\n# EOF";
    one(gauge_histogram, &["g gauge{le=1} = 2", "g_gcount gauge = 2"]); // 13
    one("c_total -1\n# EOF", &["c_total gauge = -1"]);
    one("# TYPE c counter\nc_total -1\n# EOF", &["c_total sum = -1"]); // 53
}

#[test]
fn odd_histograms_and_summaries_are_put_together_as_upstream() {
    one(
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1.7\nh_bucket{le=\"+Inf\"} 6.2\nh_sum 9\nh_count 6.9",
        &["h histogram [1.0] [1, 5] sum 9 count 6"],
    ); // 41
    let mut bench = Bench::new("{}"); // 42
    let report = bench.text("# TYPE h histogram\nh_bucket 1\nh_bucket{le=\"+Inf\"} 6\nh_count 6");
    assert_eq!(bench.lines(), ["h histogram [] [6] sum - count 6"]);
    assert_eq!((report.up, report.dropped.without_bound, report.warnings.len()), (true, 1, 1));
    one("# TYPE h histogram\nh_sum 9\nh_count 6", &["h histogram [] [6] sum 9 count 6"]); // 43
    one(
        "# TYPE h histogram\nh_bucket{le=\"2\"} 3\nh_bucket{le=\"1\"} 5\nh_count 6",
        &["h histogram [1.0, 2.0] [5, 18446744073709551614, 3] sum - count 6"],
    ); // 44
    one(
        "h_bucket{le=\"1\"} 1\nh_sum 2\nh_count 1",
        &["h_bucket gauge{le=1} = 1", "h_sum gauge = 2", "h_count gauge = 1"],
    ); // 45
    one("# TYPE s summary\ns_sum 3\ns_count 2", &["s summary [] sum 3 count 2"]); // 46
    one("# TYPE s summary\ns{quantile=\"0.5\"} 2", &[]);
    one(
        "# TYPE s summary\ns{quantile=\"0.9\"} 2\ns{quantile=\"0.5\"} 1\ns_count{x=\"y\"} 7\ns_count 3",
        &["s summary [0.5=1 0.9=2] sum 0 count 3", "s summary{x=y} [] sum 0 count 7"],
    );
    let mut bench = Bench::new("{}"); // 48
    assert_eq!(bench.open_metrics("# TYPE c counter\nc_created 100\n# EOF").scraped, 1);
    assert_eq!(bench.lines(), Vec::<String>::new());
    one(
        "# TYPE h histogram\nh_created 5\nh_count 2\nh_sum 1\nh_bucket{le=\"1\"} 2\n# EOF",
        &["h histogram [1.0] [2, 0] sum 1 count 2 since 5000"],
    );
}

#[test]
fn the_first_of_equal_texts_wins_and_equal_labels_share_a_point() {
    let mut bench = Bench::new("{}"); // 17
    let report = bench.text("a 1\na 2");
    assert_eq!(bench.lines(), ["a gauge = 1"]);
    assert_eq!((report.up, report.scraped, report.post_relabel, report.dropped.duplicate), (true, 2, 2, 1));
    assert_eq!(
        report.warnings[0].to_string(),
        "Error on ingesting samples with different value but same timestamp (num_dropped 1)"
    );
    one("a{b=\"c\"} 1\na{b=\"c\",} 2", &["a gauge{b=c} = 2"]);
    let report = Bench::new("{}").text("a{x=\"1\",x=\"2\"} 1"); // 18
    let error = report.error.expect("repeated").to_string();
    assert_eq!((report.up, error.as_str()), (false, "invalid sample: non-unique label names: \"x\""));
}

#[test]
fn labels_of_target_and_sample_meet() {
    let env = |honor: bool| {
        let job = format!(r#"{{"honor_labels": {honor}}}"#);
        Bench::with(&job, "{}", &[("__address__", "10.0.0.5:8080"), ("env", "prod")])
    };
    check(&mut env(false), &["a{env=\"dev\"} 1"], &["a gauge{env=prod,exported_env=dev} = 1"]); // 19
    check(&mut env(true), &["a{env=\"dev\"} 1"], &["a gauge{env=dev} = 1"]);
    check(&mut env(true), &["a{env=\"\"} 1"], &["a gauge = 1"]); // 20
    check(
        &mut env(false),
        &["a{env=\"1\",exported_env=\"2\"} 1"],
        &["a gauge{env=prod,exported_env=2,exported_exported_env=1} = 1"],
    ); // 21
    let mut bench = Bench::with("{}", r#"{"external_labels": {"env": "e"}}"#, &[("__address__", "h")]); // 28
    check(&mut bench, &["a{env=\"x\"} 1"], &["a gauge{env=e} = 1"]);
    assert!(bench.reports().contains(&"up gauge{env=e} = 1".to_owned()));
}

#[test]
fn a_sample_may_bring_its_own_job_and_instance() {
    let body = "a{job=\"x\",instance=\"y\"} 1"; // 50
    let mut bench = Bench::new(r#"{"honor_labels": true}"#);
    check(&mut bench, &[body], &["a gauge = 1"]);
    let first = "server.address=y,server.port=,service.instance.id=y,service.name=x,url.scheme=http";
    let resources = bench.resources();
    assert_eq!((resources.len(), resources[0].as_str()), (2, first));
    assert_eq!(bench.batch.resources[0].scopes[0].metrics.len(), 1);
    assert_eq!(bench.batch.resources[1].scopes[0].metrics.len(), 5);
    one(body, &["a gauge{exported_instance=y,exported_job=x} = 1"]);
}

#[test]
fn target_info_and_scope_labels_describe_where_from() {
    let mut bench = Bench::new("{}"); // 26
    check(&mut bench, &["target_info{x=\"y\"} 1"], &[]);
    assert!(bench.resources()[0].ends_with(",x=y"));
    bench.text("a 1");
    assert!(!bench.resources()[0].contains("x=y"), "for one batch only");
    let body = "a{otel_scope_name=\"lib\",otel_scope_version=\"1\",otel_scope_k=\"v\",z=\"1\"} 1"; // 27
    check(&mut bench, &[body], &["a gauge{z=1} = 1", "a gauge stale"]);
    assert_eq!(bench.scopes()[0], "lib/1 k=v");
    one("otel_scope_info{otel_scope_name=\"lib\",k=\"v\"} 1", &["otel_scope_info gauge{k=v} = 1"]);
}

#[test]
fn metric_rules_rename_and_drop() {
    let job = r#"{"metric_relabel_configs": [
        {"source_labels": ["__name__"], "regex": "c", "target_label": "__name__", "replacement": "d"},
        {"source_labels": ["__name__"], "regex": "noise.*", "action": "drop"}]}"#;
    let mut bench = Bench::new(job); // 47
    let report = bench.text("# TYPE c counter\n# HELP c help\nc 5\nnoise 1\nnoise{a=\"b\"} 1");
    assert_eq!(bench.lines(), ["d gauge = 5"]);
    assert_eq!(bench.batch.metrics().next().map(|m| m.description.as_str()), Some(""));
    assert!(bench.scraper.rules().renames_metrics());
    assert_eq!((report.scraped, report.post_relabel, report.added, report.dropped.relabel), (3, 1, 1, 2));
    let job = r#"{"metric_relabel_configs": [{"regex": "le", "action": "labelkeep"}]}"#;
    let mut bench = Bench::new(job);
    let report = bench.text("a 1\nb{le=\"2\"} 1");
    assert_eq!(
        report.error.map(|error| error.to_string()),
        Some("missing metric name (__name__ label)".to_owned())
    );
    assert_eq!((report.scraped, report.dropped.relabel), (2, 1), "no label left: dropped");
    let report = Bench::new(r#"{"metric_name_validation_scheme": "legacy"}"#).text("{\"a.b\"} 1");
    let wanted =
        "invalid metric name or label names: {__name__=\"a.b\", instance=\"10.0.0.5:8080\", job=\"j\"}";
    assert_eq!(report.error.map(|error| error.to_string()).as_deref(), Some(wanted));
}

#[test]
fn rules_see_le_in_open_metrics_spelling() {
    let job = r#"{"metric_relabel_configs": [{"source_labels": ["le"], "regex": "1", "action": "drop"},
        {"source_labels": ["le"], "regex": "2.0", "action": "drop"}]}"#;
    let body = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 2\nh_count 3";
    check(&mut Bench::new(job), &[body], &["h histogram [1.0] [1, 2] sum - count 3"]);
    check(&mut Bench::new(job), &["b{le=\"1\"} 1\nb{le=\"2\"} 1"], &["b gauge{le=2} = 1"]);
}

#[test]
fn quoted_names_are_names() {
    one("{\"a.b\",x=\"1\"} 1", &["a.b gauge{x=1} = 1"]); // 49
    one("a{\"x.y\"=\"1\"} 1", &["a gauge{x.y=1} = 1"]);
}

#[test]
fn exemplars_go_with_their_point() {
    let at = crate::bench::T0_MS;
    one(
        "# TYPE c counter\nc_total{a=\"1\"} 5 # {} 3\n# EOF",
        &[&format!("c_total sum{{a=1}} = 5 # {{}} 3 @{at}")],
    ); // 51
    one(
        "# TYPE c counter\nc_total 5 # {trace_id=\"abc\"} 1\n# EOF",
        &[&format!("c_total sum = 5 # {{trace_id=abc}} 1 @{at}")],
    ); // 32
    let id = "0123456789abcdef0123456789abcdef";
    one(
        &format!("# TYPE c counter\nc_total 5 # {{trace_id=\"{id}\"}} 1\n# EOF"),
        &[&format!("c_total sum = 5 # {{}} 1 @{at} trace {id}")],
    ); // 33
    one(
        "# TYPE request_count counter\nrequest_count 1000 # {trace_id=\"abc123\",span_id=\"def456\"} 999 1234567890.123\n# EOF",
        &[
            "request_count sum = 1000 # {} 999 @1234567890123 trace 00000000000000000000000000abc123 span 0000000000def456",
        ],
    ); // 52
    one(
        "# TYPE h histogram\nh_bucket{le=\"1\"} 2 # {x=\"y\"} 0.5 1.5\nh_count 2\n# EOF",
        &["h histogram [1.0] [2, 0] sum - count 2 # {x=y} 0.5 @1500"],
    );
    one("# TYPE s summary\ns_count 2 # {x=\"y\"} 0.5 1.5\n# EOF", &["s summary [] sum 0 count 2"]);
}

#[test]
fn unit_and_help_come_from_metadata() {
    let facts = |bench: &Bench| {
        let metric = bench.batch.metrics().next().expect("a metric").clone();
        (metric.unit.to_string(), metric.description.to_string(), crate::bench::pairs(&metric.metadata))
    };
    let mut bench = Bench::new("{}"); // 54, 55
    bench.text("# HELP a one\\ntwo\n# UNIT a s\na 1");
    assert_eq!(facts(&bench), (String::new(), "one\ntwo".into(), "prometheus.type=unknown".into()));
    let mut bench = Bench::new("{}");
    bench.open_metrics("# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1\n# EOF");
    assert_eq!(facts(&bench), ("s".into(), String::new(), "prometheus.type=gauge".into()));
}

#[test]
fn an_exposed_up_shares_the_point_of_the_report() {
    let mut bench = Bench::new("{}"); // 31
    let report = bench.text("# TYPE up gauge\nup 7");
    let ups: Vec<String> = bench.reports().into_iter().filter(|line| line.starts_with("up ")).collect();
    assert_eq!((ups, report.scraped), (vec!["up gauge = 1".to_owned()], 1));
    assert_eq!(report.warnings[0].to_string(), "The 'up' metric contains invalid value (value 7)");
}
