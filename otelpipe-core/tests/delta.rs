//! cumulativetodelta: the upstream cases D1 to D25, and a slow model over random histories.

mod notation;

use std::collections::BTreeMap;

use notation::{assert_batch, batch};
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::delta::{
    Compatibility, CumulativeToDelta, CumulativeToDeltaConfig, DeltaMatchConfig, DeltaReport,
};
use otelpipe_core::duration::GoDuration;
use otelpipe_core::metric::{Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::{Flags, NumberPoint, NumberValue};
use otelpipe_core::time::NS_PER_S;
use proptest::prelude::*;

const COLLECTOR_START: u64 = 1_000_000_000 * NS_PER_S;

fn rule(config: &CumulativeToDeltaConfig) -> CumulativeToDelta {
    CumulativeToDelta::compile(config, COLLECTOR_START).expect("a good configuration")
}

#[track_caller]
fn check_with(case: &str, mut rule: CumulativeToDelta, steps: &[(&str, &str)]) {
    for (at, (arrives, leaves)) in steps.iter().enumerate() {
        let mut got = batch(arrives);
        rule.apply(&mut got, COLLECTOR_START);
        assert_batch(&got, leaves, &format!("{case}, batch {at}"));
    }
}

#[track_caller]
fn check(case: &str, steps: &[(&str, &str)]) {
    check_with(case, rule(&CumulativeToDeltaConfig::default()), steps);
}

fn initial(value: &str) -> CumulativeToDelta {
    rule(&CumulativeToDeltaConfig { initial_value: value.into(), ..Default::default() })
}

fn names(match_type: &str, metrics: &[&str]) -> Option<DeltaMatchConfig> {
    let metrics = metrics.iter().map(|name| (*name).into()).collect();
    Some(DeltaMatchConfig { match_type: match_type.into(), metrics, ..Default::default() })
}

fn kinds(types: &[&str]) -> Option<DeltaMatchConfig> {
    let metric_types = types.iter().map(|name| (*name).into()).collect();
    Some(DeltaMatchConfig { metric_types, ..Default::default() })
}

#[test]
fn counters_become_increases_and_resets_a_new_baseline() {
    let d1 = [
        ("m:C+=100@100", "∅"),
        ("m:C+=105@160", "m:D+=5@100→160"),
        ("m:C+=120@220", "m:D+=15@160→220"),
        ("m:C+=100@280", "∅"),
        ("m:C+=110@340", "m:D+=10@280→340"),
    ];
    check("D1", &d1);
    let d2 = [
        ("m:C+=0.0@100", "∅"),
        ("m:C+=100.0@160", "m:D+=100.0@100→160"),
        ("m:C+=200.0@220", "m:D+=100.0@160→220"),
        ("m:C+=NaN@280", "m:D+=NaN@0→280"),
        ("m:C+=350.0@340", "m:D+=150.0@220→340"),
    ];
    check("D2", &d2);
}

#[test]
fn initial_value_decides_about_the_first_point() {
    check_with("D3", initial("keep"), &[("m:C+=7@100", "m:D+=7@0→100"), ("m:C+=9@160", "m:D+=2@100→160")]);
    let far = "4000000000";
    let first = format!("m:C+=7@{far}→4000000060");
    let second = format!("m:C+=9@{far}→4000000120");
    let delta = "m:D+=2@4000000060→4000000120";
    check_with("D4", initial("drop"), &[(&first, "∅"), (&second, delta)]);
    let whole = format!("m:D+=7@{far}→4000000060");
    check("D5", &[(&first, &whole), (&second, delta)]);
    let own_time = format!("m:C+=7@{far}→{far}");
    let later = format!("m:C+=9@{far}→4000000060");
    check("D5, first time is the start", &[(&own_time, "∅"), (&later, "m:D+=2@4000000000→4000000060")]);
}

#[test]
fn a_new_start_time_or_value_type_is_a_new_series_and_times_are_not_compared() {
    check(
        "D6",
        &[("m:C+=100@50→100", "∅"), ("m:C+=150@50→160", "m:D+=50@100→160"), ("m:C+=30@200→220", "∅")],
    );
    check(
        "D7",
        &[
            ("m:C+=100@100", "∅"),
            ("m:C+=130@160", "m:D+=30@100→160"),
            ("m:C+=120@130", "∅"),
            ("m:C+=140@220", "m:D+=20@130→220"),
            ("m:C+=150@200", "m:D+=10@220→200"),
        ],
    );
    check("D8", &[("m:C+=100@100", "∅"), ("m:C+=100@100", "m:D+=0@100→100")]);
    check("D10", &[("m:C+=100@100", "∅"), ("m:C+=130.0@160", "∅"), ("m:C+=150@220", "m:D+=50@100→220")]);
    check("unit", &[("m:C+=100@100 unit s", "∅"), ("m:C+=130@160 unit ms", "∅")]);
}

#[test]
fn only_cumulative_monotonic_sums_and_cumulative_histograms_are_converted() {
    for untouched in ["m:C~=5", "m:D+=5", "m:U+=5", "m:G=5", "m:Y n=3 sum=6", "m:HD n=1", "m:ED n=1"] {
        check("D9", &[(untouched, untouched)]);
    }
    check("D20", &[("m:C+ | h:H | g:G=1", "h:H | g:G=1")]);
}

#[test]
fn series_differ_by_resource_and_scope_and_points_follow_one_another() {
    check(
        "D11",
        &[
            ("R{r=1} m:C+=100@100", "∅"),
            ("R{r=2} m:C+=130@160", "∅"),
            ("R{r=1} m:C+=150@220", "R{r=1} m:D+=50@100→220"),
        ],
    );
    check("D12", &[("m:C+=100@100", "∅"), ("m:C+=none@160", "∅"), ("m:C+=150@220", "m:D+=50@100→220")]);
    check(
        "D23",
        &[
            ("S(a) m:C+=100@100 | S(b) m:C+=200@100", "∅"),
            ("S(a) m:C+=110@160 | S(b) m:C+=230@160", "S(a) m:D+=10@100→160 | S(b) m:D+=30@100→160"),
        ],
    );
    check("D24", &[("m:C+=100@100;=130@160", "m:D+=30@100→160")]);
    check(
        "order of attributes",
        &[("m:C+{a=1,b=2}=100@100", "∅"), ("m:C+{b=2,a=1}=130@160", "m:D+{a=1,b=2}=30@100→160")],
    );
}

#[test]
fn include_and_exclude_select_by_name_and_kind() {
    let strict = CumulativeToDeltaConfig { include: names("strict", &["m"]), ..Default::default() };
    let step = ("m:C+=1 | m2:C+=1 | M:C+=1", "m2:C+=1 | M:C+=1");
    check_with("D13", rule(&strict), &[step]);
    let legacy = CumulativeToDeltaConfig { metrics: Some(vec!["m".into()]), ..Default::default() };
    check_with("D25", rule(&legacy), &[step, ("m:H n=1", "m:H n=1")]);
    let both = CumulativeToDeltaConfig {
        include: names("regexp", &["cpu"]),
        exclude: names("regexp", &["^x_"]),
        ..Default::default()
    };
    let step = ("my_cpu_s:C+=1 | x_cpu:C+=1 | mem:C+=1", "x_cpu:C+=1 | mem:C+=1");
    check_with("D14", rule(&both), &[step]);
    let histograms = CumulativeToDeltaConfig { include: kinds(&["HISTOGRAM"]), ..Default::default() };
    check_with("D15", rule(&histograms), &[("m:C+=1 | h:H n=1", "m:C+=1")]);
    let no_sums = CumulativeToDeltaConfig { exclude: kinds(&["Sum"]), ..Default::default() };
    check_with("exclude by kind", rule(&no_sums), &[("m:C+=1 | h:H n=1", "m:C+=1")]);
}

const D16_INPUT: [&str; 5] = [
    "h:H n=3 sum=6 min=1 max=3 bounds[1] counts[1,2]@100",
    "h:H n=5 sum=9 min=1 max=3 bounds[1] counts[2,3]@160",
    "h:H n=2 sum=3 bounds[1] counts[1,1]@220",
    "h:H n=4 sum=5 bounds[1] counts[2,2]@280",
    "h:H n=6 sum=12 bounds[1] counts[3,3]@340",
];

const D22_INPUT: [&str; 3] =
    ["e:E n=3 sum=6 pos=0[1,2]@100", "e:E n=2 sum=4 pos=0[1,1]@160", "e:E n=5 sum=9 pos=0[2,3]@220"];

fn upstream() -> CumulativeToDelta {
    rule(&CumulativeToDeltaConfig::default()).with_compatibility(Compatibility::Contrib0156)
}

#[test]
fn a_histogram_that_fell_keeps_its_baseline_only_as_upstream_does() {
    let second = "h:HD n=2 sum=3 bounds[1] counts[1,1]@100→160";
    let d16 = ["∅", second, "∅", "∅", "h:HD n=1 sum=3 bounds[1] counts[1,0]@160→340"];
    check_with("D16", upstream(), &core::array::from_fn::<_, 5, _>(|at| (D16_INPUT[at], d16[at])));
    let right = [
        "∅",
        second,
        "∅",
        "h:HD n=2 sum=2 bounds[1] counts[1,1]@220→280",
        "h:HD n=2 sum=7 bounds[1] counts[1,1]@280→340",
    ];
    check("D16, ours", &core::array::from_fn::<_, 5, _>(|at| (D16_INPUT[at], right[at])));

    let d22 = ["∅", "∅", "e:ED n=2 sum=3 pos=0[1,1]@100→220"];
    check_with("D22", upstream(), &core::array::from_fn::<_, 3, _>(|at| (D22_INPUT[at], d22[at])));
    let right = ["∅", "∅", "e:ED n=3 sum=5 pos=0[1,2]@160→220"];
    check("D22, ours", &core::array::from_fn::<_, 3, _>(|at| (D22_INPUT[at], right[at])));
}

#[test]
fn histograms_lose_min_and_max_and_start_again_with_other_bounds() {
    check(
        "D17",
        &[
            ("h:H n=3 sum=6 bounds[1] counts[1,2]@100", "∅"),
            ("h:H n=5 sum=9 bounds[2] counts[2,3]@160", "∅"),
            ("h:H n=6 sum=10 bounds[2] counts[2,4]@220", "h:HD n=1 sum=1 bounds[2] counts[0,1]@160→220"),
        ],
    );
    check(
        "D18",
        &[
            ("h:H n=3 sum=6@100", "∅"),
            ("h:H n=5 sum=NaN@160", "h:HD n=2 sum=NaN@100→160"),
            ("h:H n=7 sum=11@220", "h:HD n=2 sum=5@160→220"),
        ],
    );
    check("D19", &[("h:H n=3@100", "∅"), ("h:H n=5@160", "h:HD n=2@100→160")]);
    check(
        "D19, falling sum",
        &[("h:H n=3 sum=6@100", "∅"), ("h:H n=5 sum=2@160", "h:HD n=2 sum=-4@100→160")],
    );
    let kept =
        ("h:H n=3 sum=6 min=1 max=3 bounds[1] counts[1,2]@100", "h:HD n=3 sum=6 bounds[1] counts[1,2]@0→100");
    check_with("keep", initial("keep"), &[kept]);
}

#[test]
fn exponential_histograms_are_made_as_coarse_as_the_newer() {
    check(
        "D21",
        &[
            ("e:E n=3 sum=6 scale=1 pos=0[1,2]@100", "∅"),
            ("e:E n=6 sum=12 scale=1 pos=-1[1,1,4]@160", "e:ED n=3 sum=6 scale=1 pos=-1[1,0,2]@100→160"),
            ("e:E n=7 sum=13 scale=0 pos=-1[2,5]@220", "e:ED n=1 sum=1 scale=0 pos=-1[1]@160→220"),
            ("e:E n=8 sum=14 scale=1 pos=-1[2,6]@280", "∅"),
        ],
    );
    check(
        "wider zero bucket",
        &[
            ("e:E n=6 sum=6 zero=1 pos=0[2,3]@100", "∅"),
            (
                "e:E n=8 sum=9 zero=4 threshold=2 pos=1[4]@160",
                "e:ED n=2 sum=3 zero=1 threshold=2 pos=1[1]@100→160",
            ),
        ],
    );
}

#[test]
fn contrib_039_emits_first_points_and_resets_whole() {
    let old = || rule(&CumulativeToDeltaConfig::default()).with_compatibility(Compatibility::Contrib039);
    check_with(
        "first and reset",
        old(),
        &[
            ("m:C+=100.0@100", "m:D+=100.0@100→100"),
            ("m:C+=105.0@160", "m:D+=5.0@100→160"),
            ("m:C+=30.0@220", "m:D+=30.0@160→220"),
            ("m:C+=31.0@240→280", "m:D+=31.0@280→280"),
        ],
    );
    check_with("histograms pass", old(), &[("h:H n=3", "h:H n=3")]);
}

#[test]
fn silent_series_are_forgotten_once_every_max_staleness() {
    let config = CumulativeToDeltaConfig { max_staleness: GoDuration::from_s(100), ..Default::default() };
    let mut rule = CumulativeToDelta::compile(&config, 0).expect("a good configuration");
    let mut step = |value: i64, time: u64, now: u64| {
        let mut arrives = batch(&format!("m:C+={value}@{time}"));
        let report = rule.apply(&mut arrives, now * NS_PER_S);
        (report.converted, report.dropped_first, report.forgotten)
    };
    assert_eq!(step(1, 10, 10), (0, 1, 0));
    assert_eq!(step(2, 20, 99), (1, 0, 0));
    assert_eq!(step(3, 150, 119), (1, 0, 0), "swept at 119: 20 is not before 19");
    assert_eq!(step(4, 160, 219), (1, 0, 0));
    assert_eq!(step(5, 170, 319), (0, 1, 1), "swept at 319: 160 is before 219");
    let config = CumulativeToDeltaConfig { max_staleness: GoDuration(0), ..config };
    let mut forever = CumulativeToDelta::compile(&config, 0).expect("a good configuration");
    forever.apply(&mut batch("m:C+=1@1"), 1);
    assert_eq!(forever.apply(&mut batch("m:C+=2@2"), u64::MAX).converted, 1);
    assert_eq!(forever.series_count(), 1);
}

#[test]
fn the_report_counts_each_point_once() {
    let mut rule = rule(&CumulativeToDeltaConfig::default());
    rule.apply(&mut batch("m:C+{a=1}=5;{a=2}=5.0 | h:H bounds[1] counts[1,1]"), COLLECTOR_START);
    let text = "m:C+{a=1}=4;{a=2}=NaN;{a=3}=1;{a=4}=none;{a=2}=6.0 | h:H bounds[2] counts[1,1] | g:G=1";
    let report = rule.apply(&mut batch(text), COLLECTOR_START);
    let wanted = DeltaReport {
        converted: 1,
        dropped_first: 1,
        dropped_reset: 1,
        dropped_stale: 1,
        dropped_bounds: 1,
        not_a_number: 1,
        forgotten: 0,
    };
    assert_eq!((report, report.dropped()), (wanted, 4));
}

#[test]
fn errors_name_the_key() {
    #[track_caller]
    fn refused(config: &CumulativeToDeltaConfig, message: &str) {
        let error = CumulativeToDelta::compile(config, 0).expect_err("a bad configuration");
        assert_eq!(error.to_string(), message);
    }
    let none = CumulativeToDeltaConfig::default;
    refused(
        &CumulativeToDeltaConfig { include: names("", &["m"]), ..none() },
        "include: match_type must be set if metrics are supplied",
    );
    refused(
        &CumulativeToDeltaConfig { exclude: names("strict", &[]), ..none() },
        "exclude: metrics must be supplied if match_type is set",
    );
    refused(
        &CumulativeToDeltaConfig { include: names("glob", &["m"]), ..none() },
        "include.match_type: unrecognized match_type: 'glob', valid types are: [regexp strict]",
    );
    refused(
        &CumulativeToDeltaConfig { include: kinds(&["sum", "gauge"]), ..none() },
        "include.metric_types[1]: found invalid metric type in include.metric_types: gauge. \
         Valid values are [exponentialhistogram histogram sum]",
    );
    refused(
        &CumulativeToDeltaConfig { initial_value: "x".into(), ..none() },
        "initial_value: unknown initial_value: x",
    );
    refused(
        &CumulativeToDeltaConfig { metrics: Some(Vec::new()), ..none() },
        "metrics: metric names are missing",
    );
    let bad = CumulativeToDeltaConfig { include: names("regexp", &["a", "("]), ..none() };
    assert_eq!(CumulativeToDelta::compile(&bad, 0).expect_err("a bad pattern").path, "include.metrics[1]");
}

#[cfg(feature = "serde")]
#[test]
fn the_configuration_is_read_as_users_write_it() {
    let json = r#"{"include": {"metrics": ["a"], "match_type": "regexp", "regexp": {"cacheenabled": true}},
        "max_staleness": "10m", "initial_value": "drop"}"#;
    let config: CumulativeToDeltaConfig = serde_json::from_str(json).expect("a configuration");
    let mut include = names("regexp", &["a"]).expect("just made");
    include.regexp =
        Some(otelpipe_core::names::RegexpCacheConfig { cacheenabled: true, cachemaxnumentries: 0 });
    let wanted = CumulativeToDeltaConfig {
        include: Some(include),
        max_staleness: GoDuration::from_s(600),
        initial_value: "drop".into(),
        ..Default::default()
    };
    assert_eq!(config, wanted);
    let legacy: CumulativeToDeltaConfig = serde_json::from_str(r#"{"metrics": ["a", "b"]}"#).expect("legacy");
    assert_eq!(legacy.metrics, Some(vec!["a".into(), "b".into()]));
    let unknown =
        serde_json::from_str::<CumulativeToDeltaConfig>(r#"{"metric": []}"#).expect_err("unknown key");
    assert!(unknown.to_string().contains("unknown field `metric`"), "{unknown}");
}

/// The same, keyed by a readable text and written for clearness.
#[derive(Default)]
struct Model(BTreeMap<String, (NumberValue, u64)>);

impl Model {
    fn convert(&mut self, name: &str, point: &NumberPoint) -> Option<NumberPoint> {
        if point.flags.no_recorded_value() {
            return None;
        }
        if matches!(point.value, NumberValue::Double(value) if value.is_nan()) {
            return Some(point.clone());
        }
        let mut attributes: Vec<_> = point.attributes.iter().map(|pair| format!("{pair:?}")).collect();
        attributes.sort();
        let is_int = matches!(point.value, NumberValue::Int(_));
        let key = format!("{name} {is_int} {attributes:?} {}", point.start_time_ns);
        let (last, time_ns) = self.0.insert(key, (point.value, point.time_ns))?;
        let delta = match (last, point.value) {
            (NumberValue::Int(last), NumberValue::Int(value)) if value >= last => {
                NumberValue::Int(value.wrapping_sub(last))
            }
            (NumberValue::Double(last), NumberValue::Double(value)) if value >= last => {
                NumberValue::Double(value - last)
            }
            _ => return None,
        };
        Some(NumberPoint { value: delta, start_time_ns: time_ns, ..point.clone() })
    }
}

fn any_point() -> impl Strategy<Value = NumberPoint> {
    let value = prop_oneof![
        6 => (0..50_i64).prop_map(NumberValue::Int),
        6 => (0..50_i32).prop_map(|value| NumberValue::Double(f64::from(value) / 4.0)),
        1 => Just(NumberValue::Double(f64::NAN)),
        1 => any::<i64>().prop_map(NumberValue::Int),
        1 => Just(NumberValue::Empty),
    ];
    let shape = (0..3_u64, 0..200_u64, 0..3_u8, any::<bool>());
    (value, shape).prop_map(|(value, (start, time_ns, pod, turned))| {
        let point = NumberPoint { value, start_time_ns: start * 10, time_ns, ..NumberPoint::default() };
        let flags = if value == NumberValue::Empty { Flags::NO_RECORDED_VALUE } else { Flags::default() };
        let pod = format!("web-{pod}");
        let point = NumberPoint { flags, ..point };
        if turned {
            point.with("code", 200).with("pod", pod)
        } else {
            point.with("pod", pod).with("code", 200)
        }
    })
}

fn sum_batch(points: &[(String, NumberPoint)], temporality: Temporality) -> MetricBatch {
    let mut batch = MetricBatch::default();
    for (name, point) in points {
        let sum = Sum { points: vec![point.clone()], temporality, is_monotonic: true };
        batch.scope_mut().metrics.push(Metric::new(name.as_str(), MetricData::Sum(sum)));
    }
    batch
}

proptest! {
    #[test]
    fn random_histories_come_out_as_the_slow_model_says(
        batches in prop::collection::vec(prop::collection::vec(("[ab]", any_point()), 0..12), 1..12),
    ) {
        let config = CumulativeToDeltaConfig { max_staleness: GoDuration(0), ..Default::default() };
        let mut rule = CumulativeToDelta::compile(&config, u64::MAX).expect("a good configuration");
        let mut model = Model::default();
        for points in batches {
            let mut got = sum_batch(&points, Temporality::Cumulative);
            let report = rule.apply(&mut got, 0);
            let wanted: Vec<_> = points
                .iter()
                .filter_map(|(name, point)| Some((name.clone(), model.convert(name, point)?)))
                .collect();
            prop_assert_eq!(format!("{:?}", got), format!("{:?}", sum_batch(&wanted, Temporality::Delta)));
            let counted = report.converted + report.not_a_number + report.dropped();
            prop_assert_eq!(counted, points.len());
        }
    }
}
