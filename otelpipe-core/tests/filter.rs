//! filter: the upstream cases F1 to F25, the condition language, and its printed form.

mod notation;

use notation::{assert_batch, batch};
use otelpipe_core::filter::ottl::ast::{Column, Comparison, Expr, Key, Operator, Segment, Value};
use otelpipe_core::filter::{
    AttributeConfig, ConditionConfig, ConditionGroupConfig, Filter, FilterConfig, FilterError, FilterReport,
    MatchConfig, MetricFilterConfig, ScalarConfig, ottl,
};
use proptest::prelude::*;

const X: &str = "R{r=1,n=7 (int)} pod_a:G{k=v}=1;{k=w}=2 | kube_pod_b:G=1 | cpu:C+{k=v}=1.5 | empty:G";
const R: &str = "R{r=1,n=7 (int)}";
const POD_A: &str = "pod_a:G{k=v}=1;{k=w}=2";
const KUBE: &str = "kube_pod_b:G=1";
const CPU: &str = "cpu:C+{k=v}=1.5";

/// What X leaves: these metrics under its resource, or nothing.
fn left(metrics: &[&str]) -> String {
    if metrics.is_empty() { "∅".into() } else { format!("{R} {}", metrics.join(" | ")) }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).into()).collect()
}

fn names(match_type: &str, metric_names: &[&str]) -> MatchConfig {
    MatchConfig { match_type: match_type.into(), metric_names: texts(metric_names), ..Default::default() }
}

fn expressions(list: &[&str]) -> MatchConfig {
    MatchConfig { match_type: "expr".into(), expressions: texts(list), ..Default::default() }
}

fn with_attribute(config: MatchConfig, key: &str, value: Option<ScalarConfig>) -> MatchConfig {
    MatchConfig { resource_attributes: vec![AttributeConfig { key: key.into(), value }], ..config }
}

fn text(value: &str) -> Option<ScalarConfig> {
    Some(ScalarConfig::Text(value.into()))
}

fn metrics(metrics: MetricFilterConfig) -> FilterConfig {
    FilterConfig { metrics: Some(metrics), ..Default::default() }
}

fn include(side: MatchConfig) -> FilterConfig {
    metrics(MetricFilterConfig { include: Some(side), ..Default::default() })
}

fn exclude(side: MatchConfig) -> FilterConfig {
    metrics(MetricFilterConfig { exclude: Some(side), ..Default::default() })
}

fn on_metrics(conditions: &[&str]) -> FilterConfig {
    metrics(MetricFilterConfig { metric: texts(conditions), ..Default::default() })
}

fn on_points(conditions: &[&str]) -> FilterConfig {
    metrics(MetricFilterConfig { datapoint: texts(conditions), ..Default::default() })
}

fn apply(config: &FilterConfig, arrives: &str) -> (Result<FilterReport, FilterError>, String) {
    let filter = Filter::compile(config).unwrap_or_else(|error| panic!("{config:?}: {error}"));
    let mut got = batch(arrives);
    let before = got.point_count();
    let report = filter.apply(&mut got);
    if let Ok(report) = &report {
        assert_eq!(report.points() + got.point_count(), before, "every point is kept or counted: {config:?}");
    }
    (report, notation::write(&got))
}

#[track_caller]
fn check(case: &str, config: &FilterConfig, arrives: &str, leaves: &str) {
    let (report, got) = apply(config, arrives);
    report.expect(case);
    assert_batch(&batch(&got), leaves, case);
}

#[track_caller]
fn check_x(case: &str, config: &FilterConfig, metrics: &[&str]) {
    check(case, config, X, &left(metrics));
}

#[test]
fn names_include_and_exclude() {
    check_x("F1", &include(names("strict", &["cpu"])), &[CPU]);
    check_x("F2", &include(names("regexp", &["pod_.*"])), &[POD_A, KUBE]);
    check_x("F2", &include(names("regexp", &["^pod_.*"])), &[POD_A]);
    check_x("F3", &exclude(names("strict", &["cpu", "pod_a"])), &[KUBE, "empty:G"]);
    let both = MetricFilterConfig {
        include: Some(names("regexp", &["pod_"])),
        exclude: Some(names("strict", &["pod_a"])),
        ..Default::default()
    };
    check_x("F4", &metrics(both), &[KUBE]);
    check_x("F5", &include(names("strict", &["zz"])), &[]);
    check_x("F14", &include(names("strict", &[])), &[POD_A, KUBE, CPU, "empty:G"]);
    check("nothing at all", &FilterConfig::default(), "∅", "∅");
}

#[test]
fn resource_attributes_decide_about_the_whole_resource() {
    let r1 = |config| with_attribute(config, "r", text("1"));
    check("F6", &include(r1(names("strict", &[]))), "R{r=1} a=1 | R{r=2} b=1 | R{} c=1", "R{r=1} a=1");
    let four = "R{r=1} a=1 | b=1 | R{r=2} a=1 | b=1";
    check("F7", &include(r1(names("strict", &["a"]))), four, "R{r=1} a=1");
    check("F7", &exclude(r1(names("strict", &["a"]))), four, "R{r=2} b=1");
    let n = |kind: &str, value| include(with_attribute(names(kind, &[]), "n", value));
    check_x("F8", &n("strict", text("7")), &[]);
    check_x("F8, with its type", &n("strict", Some(ScalarConfig::Int(7))), &[POD_A, KUBE, CPU, "empty:G"]);
    check("F8", &n("regexp", text("7")), "R{n=77 (int)} a=1", "R{n=77 (int)} a=1");
    check(
        "F8, double",
        &n("regexp", text("^0\\.000001$")),
        "R{n=0.000001 (double)} a=1",
        "R{n=0.000001 (double)} a=1",
    );
    check("F9", &n("strict", None), "R{n=1} a=1 | R{m=1} b=1", "R{n=1} a=1");
}

#[test]
fn expressions_match_a_metric_by_any_point() {
    let f10 = r#"MetricName == "pod_a" && Label("k") == "v""#;
    check_x("F10", &include(expressions(&[f10])), &[POD_A]);
    check_x("F11", &exclude(expressions(&[r#"HasLabel("k")"#])), &[KUBE, "empty:G"]);
    check_x("F11", &exclude(expressions(&[r#"Label("zz") == """#])), &["empty:G"]);
    let f12 = [r#"MetricType == "Sum""#, r#"MetricName matches "b$""#];
    check_x("F12", &include(expressions(&f12)), &[KUBE, CPU]);
    let f13 = MatchConfig { expressions: texts(&["false"]), ..names("regexp", &["cpu"]) };
    check_x("F13", &include(f13), &[CPU]);
}

#[test]
fn conditions_drop_metrics_and_points() {
    check_x(
        "F15",
        &on_metrics(&["type == METRIC_DATA_TYPE_SUM and is_monotonic == true"]),
        &[POD_A, KUBE, "empty:G"],
    );
    check_x(
        "F16",
        &on_metrics(&[r#"metric.name == "cpu""#, r#"IsMatch(name, "^pod_")"#]),
        &[KUBE, "empty:G"],
    );
    check_x("F17", &on_points(&[r#"attributes["k"] == "v""#]), &["pod_a:G{k=w}=2", KUBE]);
    check_x("F18", &on_points(&["value_double > 1.0"]), &[POD_A, KUBE]);
    check_x("F18", &on_points(&["value_int >= 1"]), &[CPU]);
    check_x("F19", &on_points(&[r#"attributes["k"] == 1"#]), &[POD_A, KUBE, CPU]);
    check_x("F19", &on_points(&[r#"attributes["k"] != 1"#]), &[]);
    check_x("F20", &on_metrics(&[r#"HasAttrOnDatapoint("k", "w")"#]), &[POD_A, KUBE, CPU, "empty:G"]);
    check_x("F20", &on_metrics(&[r#"HasAttrOnDatapoint("k", "v")"#]), &[KUBE, "empty:G"]);
    let f22 = r#"name == "cpu" or name == "pod_a" and type == METRIC_DATA_TYPE_SUM"#;
    check_x("F22", &on_metrics(&[f22]), &[POD_A, KUBE, "empty:G"]);
    check_x("F23", &on_points(&[r#"IsMatch(attributes["zz"], ".*")"#]), &[POD_A, KUBE, CPU]);
    let resource =
        metrics(MetricFilterConfig { resource: texts(&[r#"attributes["r"] == "1""#]), ..Default::default() });
    check("resource", &resource, "R{r=1} a=1 | R{r=2} b=1", "R{r=2} b=1");
    check_x("keys", &on_metrics(&[r#"HasAttrKeyOnDatapoint("k")"#]), &[KUBE, "empty:G"]);
}

#[test]
fn a_condition_that_cannot_be_evaluated_is_ignored_or_gives_up_the_batch() {
    let f21 = on_points(&[r#"HasPrefix(attributes["zz"], "a")"#, r#"attributes["k"] == "w""#]);
    check_x("F21", &f21, &["pod_a:G{k=v}=1", KUBE, CPU]);
    let report = apply(&f21, X).0.expect("ignore");
    assert_eq!(report.errors, 4);
    let first =
        FilterError { path: "metrics.datapoint[0]".into(), message: "expected a text but got nil".into() };
    assert_eq!(report.first_error, Some(first.clone()));
    let silent = FilterConfig { error_mode: "silent".into(), ..f21.clone() };
    let report = apply(&silent, X).0.expect("silent");
    assert_eq!((report.errors, report.first_error), (4, None));
    let propagate = FilterConfig { error_mode: "propagate".into(), ..f21 };
    assert_eq!(apply(&propagate, X).0, Err(first));
}

fn flat(conditions: &[&str]) -> FilterConfig {
    let metric_conditions = texts(conditions).into_iter().map(ConditionConfig::Condition).collect();
    FilterConfig { metric_conditions, ..Default::default() }
}

fn group(context: &str, conditions: &[&str]) -> FilterConfig {
    let conditions = texts(conditions);
    let group = ConditionGroupConfig { context: context.into(), conditions, error_mode: "silent".into() };
    FilterConfig { metric_conditions: vec![ConditionConfig::Group(group)], ..Default::default() }
}

#[test]
fn metric_conditions_infer_one_context_for_the_list() {
    let f24 = [r#"metric.name == "cpu""#, r#"datapoint.attributes["k"] == "w""#];
    check_x("F24", &flat(&f24), &["pod_a:G{k=v}=1", KUBE]);
    check_x("metrics alone", &flat(&[r#"metric.name == "cpu""#]), &[POD_A, KUBE, "empty:G"]);
    check("scope", &flat(&[r#"scope.name == "a""#]), "S(a) m=1 | S(b) n=1", "S(b) n=1");
    check_x("group", &group("metric", &[r#"name == "cpu""#]), &[POD_A, KUBE, "empty:G"]);
    check_x("group, inferred", &group("", &[r#"metric.name == "cpu""#]), &[POD_A, KUBE, "empty:G"]);
}

#[test]
fn the_report_says_which_rule_dropped_how_much() {
    let config = on_points(&[r#"attributes["k"] == "v""#, "value_int == 1"]);
    let filter = Filter::compile(&config).expect("a good configuration");
    let report = filter.apply(&mut batch(X)).expect("no errors");
    let by_rule: Vec<_> = report
        .by_rule()
        .iter()
        .map(|dropped| (filter.rules()[dropped.rule].as_str(), dropped.metrics, dropped.points))
        .collect();
    let wanted =
        [("metrics.datapoint[0]", 0, 2), ("metrics.datapoint[1]", 0, 1), ("metrics.datapoint", 3, 0)];
    assert_eq!(by_rule, wanted);
    assert_eq!((report.metrics(), report.points()), (3, 3));
}

#[test]
fn filters_know_whether_a_series_decides() {
    let decides =
        |config: &FilterConfig| Filter::compile(config).expect("a good configuration").decides_by_series();
    assert!(decides(&include(names("regexp", &["pod_.*"]))));
    assert!(decides(&on_points(&[r#"attributes["k"] == "v" and metric.type == METRIC_DATA_TYPE_SUM"#])));
    assert!(!decides(&on_points(&["value_int + 1 > 2"])));
    assert!(!decides(&on_metrics(&[r#"HasAttrKeyOnDatapoint("k")"#])));
    assert!(!decides(&exclude(expressions(&[r#"HasLabel("k")"#]))));
}

#[test]
fn mistakes_name_the_key_and_the_column() {
    #[track_caller]
    fn refused(config: &FilterConfig, message: &str) {
        assert_eq!(Filter::compile(config).expect_err(message).to_string(), message);
    }
    let condition = |source: &str, path: &str, cause: &str| {
        refused(
            &on_metrics(&["true", source]),
            &format!("{path}: unable to parse OTTL condition {source:?}: {cause}"),
        );
    };
    let at = "metrics.metric[1]";
    condition(r#"name = "a""#, at, r#"column 6: unexpected "=", comparison is "==""#);
    condition("name == 'a'", at, r#"column 9: unexpected "'", texts stand between double quotes"#);
    condition(r#"foo == "a""#, at, "column 1: unknown path foo");
    condition("Foo(name)", at, "column 1: undefined function \"Foo\"");
    condition("is_monotonic", at, "column 1: a value alone is no condition, compare it with something");
    condition("type == METRIC_TYPE", at, "column 9: enum symbol not found: METRIC_TYPE");
    condition(
        r#"datapoint.attributes["k"] == 1"#,
        at,
        "column 1: path datapoint.attributes is not available here",
    );
    condition(r#"Len(name)"#, at, "column 1: Len alone is no condition, compare it with something");
    condition(r#"HasPrefix(name)"#, at, "column 1: HasPrefix takes 2 arguments, not 1");
    condition(r#"name == "a" name"#, at, r#"column 13: "and", "or" or an operator expected, not "name""#);
    condition("(name == 1", at, r#"column 11: ")" expected, not the end"#);
    refused(
        &flat(&[r#"name == "a" and metric.type == 1"#]),
        "metric_conditions[0]: unable to parse OTTL condition \"name == \\\"a\\\" and metric.type == 1\": \
         column 1: path name needs its context in front, such as metric.name",
    );
    refused(
        &include(names("glob", &["a"])),
        "metrics.include.match_type: unrecognized match_type: 'glob', valid types are: [regexp strict]",
    );
    refused(
        &exclude(names("", &["a"])),
        "metrics.exclude.match_type: unrecognized match_type: '', valid types are: [regexp strict]",
    );
    refused(
        &include(with_attribute(expressions(&[]), "a", text("b"))),
        "metrics.include.match_type: unrecognized match_type: 'expr', valid types are: [regexp strict]",
    );
    refused(
        &include(with_attribute(names("regexp", &[]), "a", Some(ScalarConfig::Int(7)))),
        "metrics.include.resource_attributes[0].value: match_type=regexp for \"a\" only supports Str, but found Int",
    );
    refused(
        &include(with_attribute(names("strict", &[]), "", None)),
        "metrics.include.resource_attributes[0]: can't have empty key in the list of attributes",
    );
    refused(
        &FilterConfig { error_mode: "x".into(), ..Default::default() },
        "error_mode: unknown error mode x",
    );
    let both = MetricFilterConfig {
        include: Some(names("strict", &["a"])),
        metric: texts(&["true"]),
        ..Default::default()
    };
    refused(
        &metrics(both),
        "metrics: cannot use \"metrics.resource\", \"metrics.metric\", \"metrics.datapoint\" and the settings \
         \"metrics.include\", \"metrics.exclude\" at the same time",
    );
    let mut mixed = flat(&["metric.type == 1"]);
    mixed.metric_conditions.push(ConditionConfig::Group(ConditionGroupConfig::default()));
    refused(
        &mixed,
        "metric_conditions: configuring multiple configuration styles is not supported, please use only Basic \
         configuration or only Advanced configuration",
    );
    let error = Filter::compile(&include(names("regexp", &["a", "("]))).expect_err("a bad pattern");
    assert_eq!(error.path, "metrics.include.metric_names[1]");
    let error = Filter::compile(&include(expressions(&["MetricName"]))).expect_err("no bool");
    assert_eq!(error.path, "metrics.include.expressions[0]");
}

#[test]
fn conditions_evaluate_as_upstream_does() {
    let point = "R{r=1,n=7 (int),d=1.5 (double),t=true (bool)} m:C+{k=v,num=12,i=5 (int)}=5@10→20 unit By";
    for (condition, is_true) in [
        (r#"attributes["k"] == nil"#, false),
        (r#"attributes["zz"] == nil"#, true),
        (r#"attributes["zz"] == """#, false),
        ("nil <= nil and nil >= nil", true),
        ("nil < nil or nil > nil", false),
        (r#"1 == 1.0 and 2 > 1.5 and "b" > "a" and false < true"#, true),
        (r#""1" == 1 or true < 1"#, false),
        (r#""1" != 1"#, true),
        ("value_double == 0.0 and value_int == 5", true),
        ("count == nil and value_int + 1 == 6 and 7 / 2 == 3 and 7 / 2.0 == 3.5", true),
        ("2 + 3 * 4 == 14 and (2 + 3) * 4 == 20 and 5 - 2 - 1 == 2 and -1 < +1", true),
        (".5 == 0.5 and 1. == 1 and 0x0aFF == 0x0aff", true),
        ("not true or not (false or false)", true),
        (r#"resource.attributes["n"] == 7 and resource.attributes["d"] > 1"#, true),
        (r#"resource.attributes["t"] == true and IsMatch(resource.attributes["d"], "^1\\.5$")"#, true),
        (
            "metric.unit == \"By\" and metric.is_monotonic == true and metric.aggregation_temporality == 2",
            true,
        ),
        ("start_time_unix_nano == 10000000000 and time > start_time and flags == FLAG_NONE", true),
        (r#"HasPrefix(metric.name, "m") and HasSuffix(attributes["num"], "2")"#, true),
        (r#"IsString(attributes["k"]) and IsInt(attributes["i"]) and not IsInt(attributes["k"])"#, true),
        (r#"IsMap(attributes) and IsList(Split("a,b", ",")) and IsBool(true) and IsDouble(1.5)"#, true),
        (r#"Int(attributes["num"]) == 12 and Double("1.5") == 1.5 and String(7) == "7" and Bool("t")"#, true),
        (r#"Concat([attributes["k"], 1, nil], "-") == "v-1-<nil>" and Split("a,b", ",")[1] == "b""#, true),
        (r#"Substring("héllo", 0, 3) == "hé" and Len("abc") == 3 and Len(attributes) == 3"#, true),
        (r#"ToUpperCase("a") == "A" and ConvertCase("A", "lower") == "a" and Trim(" a ") == "a""#, true),
        (
            r#"ContainsValue([1, "v"], attributes["k"]) and Index("abc", "c") == 2 and Index([1], 2) == -1"#,
            true,
        ),
        (r#"[1, 2] == [1, 2] and {"a": 1, "b": 2} == {"b": 2, "a": 1} and [1] != [2]"#, true),
        (r#"IsMatch({"b": [1, "x"], "a": nil}, "^{\"a\":null,\"b\":\\[1,\"x\"\\]}$")"#, true),
        (r#""tab\tu\u00e9\x41\101" == "tab	ué""#, false),
        (r#""\u00e9\x41\101" == "éAA""#, true),
    ] {
        let wanted = if is_true { "∅" } else { point };
        let (report, got) = apply(&on_points(&[condition]), point);
        assert_eq!(report.expect(condition).errors, 0, "{condition}");
        assert_batch(&batch(&got), wanted, condition);
    }
}

#[test]
fn some_conditions_cannot_be_evaluated() {
    for (condition, message) in [
        (r#"attributes["k"]["x"] == 1"#, "a text has no [\"x\"]"),
        ("1 / 0 == 1", "division by zero"),
        ("1.5 / 0.0 == 1", "division by zero"),
        (r#"1 + nil == 1"#, "no arithmetic with an int and nil"),
        (r#""a" + "b" == "ab""#, "no arithmetic with a text and a text"),
        (r#"Split("a", ",")[3] == "a""#, "index 3 is out of range"),
        (r#"Substring("é", 0, 1) == "a""#, "no 1 bytes from 0 on in this text"),
        ("HasPrefix(1, \"a\")", "expected a text but got an int"),
    ] {
        let report = apply(&on_points(&[condition]), "m{k=v}=1").0.expect("ignored");
        assert_eq!(report.first_error.map(|error| error.message), Some(message.to_string()), "{condition}");
    }
}

#[cfg(feature = "serde")]
#[test]
fn the_configuration_is_read_as_users_write_it() {
    let json = r#"{"error_mode": "silent", "metrics": {"include": {"match_type": "strict", "metric_names": ["a"],
        "regexp": {"cacheenabled": true, "cachemaxnumentries": 10},
        "resource_attributes": [{"key": "r", "value": 7}, {"key": "s", "value": "7"}, {"key": "t"}]}}}"#;
    let config: FilterConfig = serde_json::from_str(json).expect("a configuration");
    let include = config.metrics.expect("given").include.expect("given");
    let values: Vec<_> = include.resource_attributes.into_iter().map(|attribute| attribute.value).collect();
    assert_eq!(values, [Some(ScalarConfig::Int(7)), text("7"), None]);
    let json = r#"{"metric_conditions": ["a", {"context": "metric", "conditions": ["b"]}]}"#;
    let config: FilterConfig = serde_json::from_str(json).expect("a configuration");
    let group =
        ConditionGroupConfig { context: "metric".into(), conditions: texts(&["b"]), ..Default::default() };
    assert_eq!(
        config.metric_conditions,
        [ConditionConfig::Condition("a".into()), ConditionConfig::Group(group)]
    );
    assert!(serde_json::from_str::<FilterConfig>(r#"{"metrics": {"includes": {}}}"#).is_err());
}

fn any_key() -> impl Strategy<Value = Key> {
    prop_oneof![".{0,4}".prop_map(Key::Text), (0..9_i64).prop_map(Key::Index)]
}

fn any_value() -> impl Strategy<Value = Value> {
    let segment = ("[a-z][a-z0-9_]{2,5}x", prop::collection::vec(any_key(), 0..3));
    let segment = segment.prop_map(|(name, keys)| Segment { name, keys });
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(Value::Double),
        any::<String>().prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 1..4).prop_map(Value::Bytes),
        "[A-Z][A-Z0-9_]{0,5}".prop_map(|name| Value::Enum(name, Column(0))),
        prop::collection::vec(segment, 1..4).prop_map(|segments| Value::Path(segments, Column(0))),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        let operator = prop_oneof![
            Just(Operator::Add),
            Just(Operator::Subtract),
            Just(Operator::Multiply),
            Just(Operator::Divide)
        ];
        let list = prop::collection::vec(inner.clone(), 0..3);
        let keys = prop::collection::vec(any_key(), 0..2);
        prop_oneof![
            ("[A-Z][a-z]{1,5}", list.clone(), keys).prop_map(|(name, arguments, keys)| Value::Call {
                name,
                arguments,
                keys,
                column: Column(0)
            }),
            list.prop_map(Value::List),
            prop::collection::vec((any::<String>(), inner.clone()), 0..3).prop_map(Value::Map),
            (inner.clone(), operator, inner).prop_map(|(a, operator, b)| Value::Math(
                Box::new(a),
                operator,
                Box::new(b)
            )),
        ]
    })
}

fn any_tree() -> impl Strategy<Value = Expr> {
    let comparison = prop_oneof![
        Just(Comparison::Equal),
        Just(Comparison::NotEqual),
        Just(Comparison::Less),
        Just(Comparison::LessOrEqual),
        Just(Comparison::Greater),
        Just(Comparison::GreaterOrEqual),
    ];
    let leaf = prop_oneof![
        any::<bool>().prop_map(Expr::Const),
        (any_value(), comparison, any_value()).prop_map(|(a, comparison, b)| Expr::Compare(a, comparison, b)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner.prop_map(|inner| Expr::Not(Box::new(inner))),
            list.clone().prop_map(Expr::And),
            list.prop_map(Expr::Or)
        ]
    })
}

proptest! {
    #[test]
    fn a_printed_condition_parses_to_the_same_tree(tree in any_tree()) {
        let printed = tree.to_string();
        prop_assert_eq!(ottl::parse(&printed), Ok(tree), "{}", printed);
    }

    #[test]
    fn any_text_is_a_condition_or_an_error_with_a_column_inside(
        source in r#"([ -~é]|not |and |or |name|"k"|==|attributes\["|IsMatch\(|[0-9.]){0,25}"#,
    ) {
        if let Err(error) = ottl::parse(&source) {
            prop_assert!((1..=source.chars().count() + 1).contains(&error.column), "{}", error);
        }
        for config in [on_metrics(&[&source]), on_points(&[&source]), flat(&[&source])] {
            if let Ok(filter) = Filter::compile(&config) {
                let _ = filter.apply(&mut batch(X)).expect("errors are ignored");
            }
        }
    }
}

#[test]
fn deep_nesting_is_refused_and_long_lists_are_not() {
    for deep in ["(".repeat(100_000), "Len(".repeat(100_000), "[".repeat(100_000)] {
        let error = ottl::parse(&deep).expect_err("deep");
        assert_eq!(error.message, "the condition is nested too deeply");
    }
    let long = vec!["true"; 10_000].join(" or ");
    assert!(matches!(ottl::parse(&long), Ok(Expr::Or(list)) if list.len() == 10_000));
    let sum = format!("{} == 1", vec!["1"; 10_000].join(" + "));
    assert_eq!(ottl::parse(&sum).expect_err("long").message, "the condition is too long");
}
