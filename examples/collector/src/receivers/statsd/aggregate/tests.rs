//! The case table of the reference, line by line.

use super::*;
use otelpipe_core::point::ExponentialBuckets;

const START: TimeNs = 1_000;
const END: TimeNs = 61_000;

fn rules() -> Rules {
    Rules {
        metric_type: false,
        is_monotonic: false,
        counters: CounterType::Int,
        mapping: Mapping::default(),
        senders: Senders::Addresses,
    }
}

fn from(text: &str) -> Option<SocketAddr> {
    Some(text.parse().unwrap())
}

fn aggregate(rules: Rules, lines: &[&str]) -> Vec<Metric> {
    let mut aggregator = Aggregator::new(rules, "v1".into(), START, 7);
    for line in lines {
        aggregator.add(&Line::parse(line, true).unwrap(), from("10.0.0.1:5000"), 2_000);
    }
    let mut batches = aggregator.flush(END);
    assert!(aggregator.flush(END).is_empty(), "nothing is kept for the next interval");
    let batch = batches.pop().unwrap();
    assert_eq!(batches, []);
    let scope = &batch.resources[0].scopes[0].scope;
    assert_eq!((scope.name.as_str(), scope.version.as_str()), (SCOPE, "v1"));
    batch.resources.into_iter().flat_map(|r| r.scopes).flat_map(|s| s.metrics).collect()
}

/// `name{tags} value` of each point.
fn texts(metrics: &[Metric]) -> Vec<String> {
    let mut texts = Vec::new();
    for metric in metrics {
        let (MetricData::Gauge(points) | MetricData::Sum(Sum { points, .. })) = &metric.data else {
            panic!("{} is neither gauge nor sum", metric.name);
        };
        for point in points {
            let tags: Vec<String> =
                point.attributes.iter().map(|(k, v)| format!("{k}={}", v.as_str().unwrap())).collect();
            let value = match point.value {
                NumberValue::Int(value) => value.to_string(),
                NumberValue::Double(value) => format!("{value:?}"),
                NumberValue::Empty => "none".into(),
            };
            texts.push(format!("{}{{{}}} {value}", metric.name, tags.join(",")));
        }
    }
    texts
}

#[track_caller]
fn check(lines: &[&str], expected: &[&str]) {
    assert_eq!(texts(&aggregate(rules(), lines)), expected);
}

#[test]
fn lines_of_an_interval_add_up_as_the_table_says() {
    check(
        &["test.counter:1|c", "test.counter:3|c", "test.counter:2|c|@0.5", "test.counter:-1|c"],
        &["test.counter{} 7"],
    );
    check(
        &[
            "test.tagged:1|c|#env:prod,region:ap-northeast-1",
            "test.tagged:1|c|#region:ap-northeast-1,env:prod",
        ],
        &["test.tagged{env=prod,region=ap-northeast-1} 2"],
    );
    check(&["test.gauge:42|g", "test.gauge:+8|g", "test.gauge:-10|g"], &["test.gauge{} 40.0"]);
    check(&["test.gauge.fresh:-5|g"], &["test.gauge.fresh{} -5.0"]);
    check(&["test.timer:320|ms"], &["test.timer{} 320.0"]);
    check(&["test.counter.float:1.5|c"], &["test.counter.float{} 1"]);
    check(&["test.simpletag:1|c|#flag,env:prod"], &["test.simpletag{env=prod,flag=} 1"]);
    check(&["test.container:1|c|c:abc123"], &["test.container{container.id=abc123} 1"]);
    // Timings are not scaled by their rate, and each line is a point.
    check(&["t:320|ms", "t:100.5|ms|@0.1"], &["t{} 320.0", "t{} 100.5"]);
    check(&["h:12|h|#path:/a", "d:7|d"], &["d{} 7.0", "h{path=/a} 12.0"]);
    // One name, two types: two series.
    check(&["x:1|c", "x:2|g"], &["x{} 1", "x{} 2.0"]);
}

#[test]
fn counters_are_delta_sums_of_the_interval() {
    let metrics = aggregate(
        Rules { is_monotonic: true, metric_type: true, ..rules() },
        &["a:1|c", "b:1|c|T1716171336"],
    );
    let MetricData::Sum(sum) = &metrics[0].data else { panic!() };
    assert_eq!((sum.temporality, sum.is_monotonic), (Temporality::Delta, true));
    assert_eq!((sum.points[0].start_time_ns, sum.points[0].time_ns), (START, END));
    assert_eq!(sum.points[0].attributes.get_str("metric_type"), Some("counter"));
    let MetricData::Sum(sum) = &metrics[1].data else { panic!() };
    assert_eq!(sum.points[0].time_ns, 1_716_171_336_000_000_000);
}

#[test]
fn counters_can_be_floats_or_rounded_by_chance() {
    let float = Rules { counters: CounterType::Float, ..rules() };
    assert_eq!(texts(&aggregate(float, &["a:1.5|c", "a:1|c|@0.4"])), ["a{} 4.0"]);
    let chance = Rules { counters: CounterType::StochasticInt, ..rules() };
    let lines = vec!["a:1.25|c"; 1000];
    let MetricData::Sum(sum) = &aggregate(chance, &lines)[0].data else { panic!() };
    let NumberValue::Int(value) = sum.points[0].value else { panic!() };
    assert!((1200..=1300).contains(&value), "{value}");
}

#[test]
fn summaries_weigh_values_by_their_rate() {
    let mut mapping = Mapping::default();
    mapping.set(Kind::Timing, Observer::Summary([0.0, 50.0, 95.0, 100.0].into()));
    let metrics = aggregate(Rules { mapping, ..rules() }, &["t:10|ms", "t:30|ms|@0.5", "t:20|ms"]);
    let MetricData::Summary(points) = &metrics[0].data else { panic!() };
    let quantiles: Vec<(f64, f64)> = points[0].quantiles.iter().map(|q| (q.quantile, q.value)).collect();
    assert_eq!(quantiles, [(0.0, 10.0), (0.5, 20.0), (0.95, 30.0), (1.0, 30.0)]);
    assert_eq!((points[0].count, points[0].sum), (4, 90.0));
}

#[test]
fn histograms_are_exponential_and_delta() {
    let mut mapping = Mapping::default();
    mapping.set(Kind::Histogram, Observer::Histogram(160));
    mapping.set(Kind::Distribution, Observer::Disabled);
    let metrics = aggregate(Rules { mapping, ..rules() }, &["h:1|h|@0.25", "h:0|h", "d:1|d"]);
    assert_eq!(metrics.len(), 1);
    let MetricData::ExponentialHistogram(histogram) = &metrics[0].data else { panic!() };
    assert_eq!(histogram.temporality, Temporality::Delta);
    let point = &histogram.points[0];
    assert_eq!((point.count, point.zero_count, point.sum), (5, 1, Some(4.0)));
    assert_eq!(point.positive, ExponentialBuckets { offset: -1, bucket_counts: vec![4] });
}

#[test]
fn senders_are_told_apart_as_configured() {
    for (senders, batches) in [(Senders::Addresses, 3), (Senders::Hosts, 2), (Senders::One, 1)] {
        let mut aggregator = Aggregator::new(Rules { senders, ..rules() }, String::new(), START, 7);
        for address in ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1"] {
            aggregator.add(&Line::parse("a:1|c", false).unwrap(), from(address), 2_000);
        }
        assert_eq!(aggregator.flush(END).len(), batches, "{senders:?}");
    }
}
