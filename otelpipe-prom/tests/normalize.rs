//! Metric names: every row of the table that was made by running the upstream translator.

use otelpipe_prom::normalize::{MetricNamer, NameKind, TranslationStrategy, unit_words};

/// name, unit, kind, with suffixes, without, UTF-8 with suffixes (`-`: not recorded, `!`: an error).
const ROWS: &str = "\
system.cpu.time|s|C|system_cpu_time_seconds_total|system_cpu_time|system.cpu.time_seconds_total
system.cpu.time.total|s|C|system_cpu_time_seconds_total|system_cpu_time_total|system.cpu.time_seconds_total
http.server.duration|ms|H|http_server_duration_milliseconds|http_server_duration|http.server.duration_milliseconds
requests|1|G|requests_ratio|requests|requests_ratio
requests|1|C|requests_total|requests|requests_total
ratio.used|1|G|used_ratio|ratio_used|ratio.used_ratio
x.ratio|1|G|x_ratio|x_ratio|x_ratio
cpu.utilization|%|G|cpu_utilization_percent|cpu_utilization|cpu.utilization_percent
disk.io|By|C|disk_io_bytes_total|disk_io|disk.io_bytes_total
disk.io.bytes|By|C|disk_io_bytes_total|disk_io_bytes|disk.io.bytes_total
net.rate|By/s|G|net_rate_bytes_per_second|net_rate|net.rate_bytes_per_second
net.rate|{packet}/s|G|net_rate_per_second|net_rate|net.rate_per_second
conn|{connections}|U|conn|conn|conn
x_total||G|x_total|x_total|x_total
total.x||C|x_total|total_x|total.x_total
x_||C|x_total|x_|x__total
x|widgets|G|x_widgets|x|x_widgets
x|km/h|G|x_km_per_hour|x|x_km_per_hour
speed|m/m|G|speed_meters_per_minute|speed|speed_meters_per_minute
a..b__c||G|a_b_c|a_b__c|a..b__c
1abc||G|_1abc|_1abc|1abc
_lead||G|lead|_lead|_lead
a:b||G|a:b|a:b|a:b
é.x||G|x|x|é.x
___||G|!|___|___
latency_seconds_p99|s|G|latency_seconds_p99|latency_seconds_p99|latency_seconds_p99_seconds
foo.per.second|1/s|G|foo_per_second_per_second|foo_per_second|foo.per.second_per_second
m|KiBy/s|C|m_kibibytes_per_second_total|m|m_kibibytes_per_second_total
x|By/|G|x_bytes|x|x_bytes
y|By/{req}|G|y_bytes|y|y_bytes
z|{req}/By|G|z_per_By|z|z_per_By
w|foo bar|G|w_foo_bar|w|-
u|°C|G|u_C|u|-
subtotal||C|subtotal_total|subtotal|su_total
x| s |G|x_seconds|x|x_seconds
sum_metric_count||C|sum_metric_count_total|sum_metric_count|sum_metric_count_total
abytes|By|G|abytes_bytes|abytes|abytes
r|1/s/m|G|r_per_s_m|r|-
_._|s|G|seconds|!|-
total||C|total|total|total_total
xtotal||C|xtotal_total|xtotal|xtotal_total
a._b||G|a_b|a__b|-
.a.||G|a|a|-";

#[test]
fn names_are_those_of_the_upstream_translator() {
    use TranslationStrategy as Strategy;
    let strategies = [
        Strategy::UnderscoreEscapingWithSuffixes,
        Strategy::UnderscoreEscapingWithoutSuffixes,
        Strategy::NoUtf8EscapingWithSuffixes,
    ];
    for row in ROWS.lines() {
        let cells: Vec<&str> = row.split('|').collect();
        let [name, unit, kind, wanted @ ..] = &cells[..] else { panic!("{row}") };
        let kind = match *kind {
            "C" => NameKind::Counter,
            "G" => NameKind::Gauge,
            _ => NameKind::Other,
        };
        assert_eq!(wanted.len(), 3, "{row}");
        for (strategy, wanted) in strategies.into_iter().zip(wanted) {
            let made = MetricNamer::new(strategy, "").name(name, unit, kind);
            match *wanted {
                "-" => {}
                "!" => drop(made.expect_err(row)),
                wanted => assert_eq!(made.as_deref(), Ok(wanted), "{strategy}: {row}"),
            }
        }
        assert_eq!(
            MetricNamer::new(Strategy::NoTranslation, "").name(name, unit, kind).as_deref(),
            Ok(*name)
        );
    }
}

#[test]
fn a_namespace_goes_in_front_and_is_cleaned_only_without_suffixes() {
    use TranslationStrategy::*;
    let check = |strategy, namespace: &str, name: &str, wanted: &str| {
        let made = MetricNamer::new(strategy, namespace).name(name, "", NameKind::Gauge);
        assert_eq!(made.as_deref(), Ok(wanted), "{strategy} {namespace} {name}");
    };
    check(UnderscoreEscapingWithSuffixes, "my.ns", "x", "my.ns_x");
    check(UnderscoreEscapingWithoutSuffixes, "my.ns", "x", "my_ns_x");
    check(UnderscoreEscapingWithSuffixes, "1ns", "abc", "_1ns_abc");
    check(UnderscoreEscapingWithoutSuffixes, "1ns", "abc", "_1ns_abc");
    check(UnderscoreEscapingWithoutSuffixes, "ns", "1abc", "ns_1abc");
    check(NoTranslation, "ns", "a.b", "ns_a.b");
}

#[test]
fn names_that_vanish_are_errors_with_upstreams_words() {
    let name = |strategy, name: &str| {
        MetricNamer::new(strategy, "").name(name, "", NameKind::Gauge).map_err(|error| error.to_string())
    };
    use TranslationStrategy::*;
    let empty = |name: &str| Err(format!("normalization for metric {name:?} resulted in empty name"));
    assert_eq!(name(UnderscoreEscapingWithSuffixes, "___"), empty("___"));
    assert_eq!(name(UnderscoreEscapingWithoutSuffixes, "é"), empty("é"));
    assert_eq!(name(UnderscoreEscapingWithoutSuffixes, ""), empty(""));
    assert_eq!(name(NoTranslation, ""), empty(""));
    let invalid = r#"normalization for metric "_.." resulted in invalid name "_""#;
    assert_eq!(name(UnderscoreEscapingWithoutSuffixes, "_.."), Err(invalid.into()));
}

#[test]
fn units_in_words_whatever_the_strategy() {
    for (unit, words) in [
        ("s", "seconds"),
        ("By/s", "bytes_per_second"),
        ("{req}/s", "per_second"),
        ("1", ""),
        ("", ""),
        ("{x}", ""),
    ] {
        assert_eq!(unit_words(unit), words, "{unit}");
    }
}
