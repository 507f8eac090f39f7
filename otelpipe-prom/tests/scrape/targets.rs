//! Discovered labels to targets, and jobs that cannot be.

use otelpipe_core::label::LabelSet;
use otelpipe_prom::scrape::{GlobalConfig, ScrapeOptions, ScrapeRules, Target};

use crate::bench::{job, rules};

fn target(job: &str, own: &[(&str, &str)]) -> Result<Option<Target>, String> {
    let own: LabelSet<'_> = own.iter().copied().collect();
    Target::from_discovered(&own, &LabelSet::new(), &rules(job, "{}")).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(job: &str, own: &[(&str, &str)], message: &str) {
    assert_eq!(target(job, own).map(|target| target.is_some()), Err(message.to_owned()));
}

#[test]
fn the_address_is_taken_as_it_is() {
    let found = target("{}", &[("__address__", "h")]).expect("good").expect("kept"); // relabel 39
    assert_eq!((found.url(), found.label("instance")), ("http://h/metrics", Some("h")));
    assert_eq!(found.labels().to_string(), r#"{instance="h", job="j"}"#);
    let rule = |target: &str, value: &str| {
        format!(
            r#"{{"scrape_interval": "15s", "relabel_configs": [{{"target_label": "{target}", "replacement": "{value}"}}]}}"#
        )
    };
    let own = [("__address__", "h")];
    refused(&rule("__address__", "http://h"), &own, "\"http://h\" is not a valid hostname"); // 40
    refused(
        &rule("__scrape_timeout__", "20s"),
        &own,
        "scrape timeout cannot be greater than scrape interval (\"20s\" > \"15s\")",
    ); // 41, scrape 40
    refused(
        &rule("__scrape_interval__", "x"),
        &own,
        "error parsing scrape interval: not a valid duration string: \"x\"",
    );
    refused(&rule("__scrape_interval__", "0"), &own, "scrape interval cannot be 0");
    refused(&rule("__scrape_timeout__", "0s"), &own, "scrape timeout cannot be 0");
    let drop = r#"{"relabel_configs": [{"action": "labeldrop", "regex": "__address__"}]}"#;
    refused(drop, &own, "no address"); // 43
    let drop = r#"{"relabel_configs": [{"action": "drop"}]}"#;
    assert!(target(drop, &own).expect("no error").is_none());
}

#[test]
fn params_and_path_are_encoded() {
    let json = r#"{"params": {"m": ["a", "b"]}, "relabel_configs": [{"target_label": "__param_m", "replacement": "c"}]}"#;
    let found = target(json, &[("__address__", "h")]).expect("good").expect("kept"); // 42
    assert_eq!(found.url(), "http://h/metrics?m=c&m=b");
    let json = r#"{"metrics_path": "/a b?c=d", "params": {"z": ["x y&"], "match[]": ["{job=\"é\"}"]}}"#;
    let found = target(json, &[("__address__", "h:1"), ("__param_extra", "1")]).expect("good").expect("kept");
    assert_eq!(found.url(), "http://h:1/a%20b%3Fc=d?extra=1&match%5B%5D=%7Bjob%3D%22%C3%A9%22%7D&z=x+y%26");
    let found = target(r#"{"metrics_path": "probe"}"#, &[("__address__", "h")]).expect("good").expect("kept");
    assert_eq!(found.url(), "http://h/probe");
}

#[test]
fn own_labels_go_before_the_groups_and_the_jobs() {
    let own: LabelSet<'_> = [("__address__", "h"), ("env", "own"), ("__meta_x", "1")].into_iter().collect();
    let group: LabelSet<'_> =
        [("env", "group"), ("team", "a"), ("job", "other"), ("__metrics_path__", "/m"), ("__tmp", "1")]
            .into_iter()
            .collect();
    let found = Target::from_discovered(&own, &group, &rules("{}", "{}")).expect("good").expect("kept");
    assert_eq!(found.labels().to_string(), r#"{env="own", instance="h", job="other", team="a"}"#);
    assert_eq!(found.url(), "http://h/m");
    assert_eq!((found.label("__meta_x"), found.label("__tmp")), (None, Some("1")));
    assert_eq!(found.discovered().get("__meta_x"), Some("1"));
    assert_eq!((found.interval().to_string(), found.timeout().to_string()), ("1m".into(), "10s".into()));
}

#[test]
fn targets_of_equal_labels_and_url_are_one() {
    let of = |own: &[(&str, &str)]| target("{}", own).expect("good").expect("kept").id();
    let one = of(&[("__address__", "h"), ("__meta_x", "1")]);
    assert_eq!(one, of(&[("__address__", "h"), ("__meta_x", "2")])); // 58
    assert_ne!(one, of(&[("__address__", "h"), ("x", "2")]));
    assert_ne!(one, of(&[("__address__", "h"), ("__param_x", "2")]));
}

#[test]
fn the_first_scrape_keeps_the_phase_of_the_target() {
    let found =
        target(r#"{"scrape_interval": "15s"}"#, &[("__address__", "h")]).expect("good").expect("kept");
    let interval = 15_000_000_000;
    let phase = (found.id() ^ 7) % interval;
    for now in [0, 1, 14_999_999_999, 1_700_000_000_123_456_789] {
        let delay = found.first_scrape_in_ns(now, 7);
        assert!(delay <= interval);
        assert_eq!((now + delay) % interval, phase % interval);
    }
}

#[track_caller]
fn bad_job(job_json: &str, global_json: &str, path: &str, message: &str) {
    let global: GlobalConfig = serde_json::from_str(global_json).expect(global_json);
    let error = ScrapeRules::compile(&job(job_json), &global, &ScrapeOptions::default()).expect_err(job_json);
    assert_eq!((error.path.as_str(), error.message.as_str()), (path, message));
}

#[test]
fn a_job_that_cannot_run_is_refused_with_its_place() {
    bad_job(
        r#"{"scrape_interval": "5s", "scrape_timeout": "10s"}"#,
        "{}",
        "scrape_timeout",
        "scrape timeout greater than scrape interval for scrape config with job name \"j\"",
    );
    bad_job(
        "{}",
        r#"{"scrape_interval": "5s", "scrape_timeout": "10s"}"#,
        "global.scrape_timeout",
        "global scrape timeout greater than scrape interval",
    );
    bad_job(
        r#"{"metric_relabel_configs": [{"target_label": "y"}, {"action": "hashmod", "target_label": "x"}]}"#,
        "{}",
        "metric_relabel_configs[1].modulus",
        "relabel configuration for hashmod requires non-zero modulus",
    );
    bad_job(r#"{"scrape_protocols": []}"#, "{}", "scrape_protocols", "scrape_protocols cannot be empty");
    bad_job(
        r#"{"metric_name_validation_scheme": "legacy", "metric_name_escaping_scheme": "allow-utf-8"}"#,
        "{}",
        "metric_name_escaping_scheme",
        "utf8 metric names requested but validation scheme is not set to UTF8",
    );
    bad_job(
        "{}",
        r#"{"external_labels": {"": "x"}}"#,
        "global.external_labels.",
        "\"\" is not a valid label name",
    );
    let error = ScrapeRules::compile(
        &otelpipe_prom::scrape::ScrapeConfig::default(),
        &GlobalConfig::default(),
        &ScrapeOptions::default(),
    );
    assert_eq!(error.expect_err("no name").to_string(), "job_name: job_name is empty");
}

#[test]
fn a_job_takes_over_what_it_does_not_set() {
    let global = r#"{"scrape_interval": "5s", "sample_limit": 7, "label_limit": 3, "body_size_limit": "1KB",
        "metric_name_validation_scheme": "legacy", "scrape_protocols": ["PrometheusText1.0.0"]}"#;
    let found = rules(r#"{"sample_limit": 9}"#, global);
    let limits = found.limits();
    assert_eq!((limits.samples, limits.labels, limits.body_size, limits.targets), (9, 3, 1024, 0));
    assert_eq!(found.accept(), "text/plain;version=1.0.0;escaping=underscores;q=0.6,*/*;q=0.5");
    let own = [("__address__", "h")].into_iter().collect();
    let target = Target::from_discovered(&own, &LabelSet::new(), &found).expect("good").expect("kept");
    assert_eq!((target.interval().as_ms(), target.timeout().as_ms()), (5_000, 5_000));
}

#[test]
fn unknown_keys_and_the_list_of_keys_agree() {
    use otelpipe_prom::scrape::ScrapeConfig;
    let error =
        serde_json::from_str::<ScrapeConfig>(r#"{"static_configs": []}"#).expect_err("not this struct's");
    let message = error.to_string();
    let mut named: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
    named.sort_unstable();
    assert_eq!(named, ScrapeConfig::KEYS);
}
