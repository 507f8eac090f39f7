//! The numbered cases of the resource and attributes processors (checked against contrib 0.156).
#![cfg(feature = "serde")]

mod notation;

use notation::{assert_batch, attributes, batch};
use otelpipe_core::attribute_rules::{AttributesConfig, AttributesRule, ResourceConfig, ResourceRule};
use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::{MetricBatch, ResourceMetrics};
use otelpipe_core::value::AttributeValue;

fn resource_config(actions: &str) -> ResourceConfig {
    serde_json::from_str(&format!(r#"{{"attributes": [{actions}]}}"#)).expect("JSON")
}

/// What the resource processor makes of these resource attributes.
#[track_caller]
fn run(actions: &str, input: Attributes) -> Attributes {
    let rule = ResourceRule::compile(&resource_config(actions)).unwrap_or_else(|error| panic!("{error}"));
    let mut batch = MetricBatch { resources: vec![ResourceMetrics::default()] };
    batch.resources[0].resource.attributes = input;
    rule.apply(&mut batch);
    batch.resources[0].resource.attributes.clone()
}

/// Compares order too: attributes stay where upstream leaves them.
#[track_caller]
fn check(case: &str, actions: &str, input: &str, want: &str) {
    assert_eq!(run(actions, attributes(input)), attributes(want), "case {case}");
}

#[test]
fn a1_to_a4_set_from_value_and_attribute() {
    check(
        "A1",
        r#"{"key": "x", "value": "new", "action": "insert"}, {"key": "r", "value": "new", "action": "insert"}"#,
        "r=1",
        "r=1,x=new",
    );
    check(
        "A2",
        r#"{"key": "x", "value": "new", "action": "update"}, {"key": "r", "value": "new", "action": "update"}"#,
        "r=1",
        "r=new",
    );
    check(
        "A3",
        r#"{"key": "x", "value": "new", "action": "upsert"}, {"key": "r", "value": "new", "action": "upsert"}"#,
        "r=1",
        "r=new,x=new",
    );
    let rename = r#"{"key": "x", "from_attribute": "r", "action": "insert"},
        {"key": "y", "from_attribute": "none", "action": "insert"}, {"key": "r", "action": "delete"}"#;
    check("A4", rename, "r=1", "x=1");
    check("A4, int", rename, "r=1 (int)", "x=1 (int)");
}

#[test]
fn a5_a6_delete_by_key_and_pattern() {
    check("A5", r#"{"pattern": "^k8s", "action": "delete"}"#, "k8s.a=1,xk8s=2", "xk8s=2");
    check("A6", r#"{"key": "r", "pattern": "b", "action": "delete"}"#, "r=1,abc=2,c=3", "c=3");
    check("2.5", r#"{"key": "a", "action": "delete"}"#, "a=1,b=2,c=3", "c=3,b=2");
}

#[test]
fn a7_hash() {
    let hash = r#"{"key": "a", "action": "hash"}"#;
    let list = AttributeValue::Array([AttributeValue::Int(1)].into());
    let cases: [(AttributeValue, &str); 5] = [
        ("abc".into(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (24.into(), "cbb032642036ec7043fa4529f06c9c9d8b12fa70ea6799a19ca8321a808d86fa"),
        (2.5.into(), "5caaabe50da77f59f448b3edf650d68fbca7b858390664c251c52b3f458a881c"),
        (true.into(), "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"),
        (list, ""),
    ];
    for (value, want) in cases {
        let input = [("a", value)].into_iter().collect();
        assert_eq!(run(hash, input).get_str("a"), Some(want));
    }
    let twice = r#"{"key": "a", "action": "hash"}, {"key": "a", "action": "hash"}"#;
    let by_key_and_pattern = r#"{"key": "a", "pattern": "a", "action": "hash"}"#;
    assert_eq!(run(by_key_and_pattern, attributes("a=x,b=x")), run(twice, attributes("a=x,b=x")));
}

#[test]
fn a8_a9_extract() {
    let url = r#"{"key": "u", "pattern": "^(?P<scheme>[a-z]+)://(?P<host>[^/:]+)(?P<port>:\\d+)?",
        "action": "extract"}"#;
    check("A8", url, "u=http://h/p,host=old", "u=http://h/p,host=h,scheme=http,port=");
    let digits = r#"{"key": "u", "pattern": "(?P<x>\\d+)", "action": "extract"}"#;
    check("A9", digits, "u=abc12de34", "u=abc12de34,x=12");
    check("A9, int", digits, "u=55 (int)", "u=55 (int)");
    check("rule 7, no match", digits, "u=abc", "u=abc");
}

#[test]
fn a10_a11_convert() {
    let convert = |to: &str, value: AttributeValue| {
        let action = format!(r#"{{"key": "a", "action": "convert", "converted_type": "{to}"}}"#);
        run(&action, [("a", value)].into_iter().collect()).get("a").cloned().expect("it stays")
    };
    let cases: [(&str, AttributeValue, AttributeValue); 19] = [
        ("int", "42".into(), 42.into()),
        ("int", "4x".into(), "4x".into()),
        ("int", " 7".into(), " 7".into()),
        ("int", "".into(), "".into()),
        ("int", (-2.9).into(), (-2).into()),
        ("int", true.into(), 1.into()),
        ("int", "9223372036854775808".into(), "9223372036854775808".into()),
        ("double", "1e3".into(), 1000.0.into()),
        ("double", "1e999".into(), "1e999".into()),
        ("double", "-Inf".into(), f64::NEG_INFINITY.into()),
        ("double", 3.into(), 3.0.into()),
        ("double", false.into(), 0.0.into()),
        ("string", 2.5.into(), "2.5".into()),
        ("string", true.into(), "true".into()),
        ("string", 1.0.into(), "1".into()),
        ("string", 1e21.into(), "1e+21".into()),
        ("string", 1e-6.into(), "0.000001".into()),
        ("string", AttributeValue::Array([1.into(), "a".into()].into()), "[1,\"a\"]".into()),
        ("double", AttributeValue::Empty, AttributeValue::Empty),
    ];
    for (to, value, want) in cases {
        assert_eq!(convert(to, value.clone()), want, "{value:?} to {to}");
    }
}

#[test]
fn a12_a_context_is_refused_as_scraped_data_has_none() {
    for context in ["metadata.tenant", "auth.user", "client.address", "X-Multi"] {
        let config = resource_config(&format!(
            r#"{{"key": "x", "value": 1, "action": "insert"}}, {{"key": "x", "from_context": "{context}", "action": "insert"}}"#
        ));
        let error = ResourceRule::compile(&config).expect_err("refused");
        assert_eq!(error.path, "attributes[1].from_context");
        assert!(error.message.ends_with("is not known here: data is scraped, no client sends it"), "{error}");
    }
}

#[test]
fn a13_to_a15_defaults_types_and_order() {
    check(
        "A13",
        r#"{"key": "x", "from_attribute": "none", "default_value": "d", "action": "insert"},
        {"key": "y", "default_value": 5, "action": "upsert"}"#,
        "",
        "x=d,y=5 (int)",
    );
    check("A14", r#"{"key": "x", "value": 1.5, "action": "INSERT"}"#, "", "x=1.5 (double)");
    check(
        "A15",
        r#"{"key": "x", "value": "1", "action": "insert"}, {"key": "x", "value": "2", "action": "insert"},
        {"key": "x", "value": "3", "action": "update"}"#,
        "",
        "x=3",
    );
    let worked = r#"{"key": "ClusterName", "from_attribute": "aws.ecs.cluster.name", "action": "insert"},
        {"key": "aws.ecs.cluster.name", "action": "delete"},
        {"key": "ServiceName", "from_attribute": "aws.ecs.service.name", "action": "insert"},
        {"key": "Region", "from_attribute": "cloud.region", "action": "insert"},
        {"key": "cloud.region", "action": "delete"}"#;
    let got = run(worked, attributes("aws.ecs.cluster.name=c,cloud.region=r"));
    assert!(got.equals_unordered(&attributes("ClusterName=c,Region=r")), "{got:?}");
    let values =
        run(r#"{"key": "l", "value": [1, "a", {"k": null}], "action": "insert"}"#, Attributes::new());
    let map = AttributeValue::Map([("k", AttributeValue::Empty)].into_iter().collect());
    assert_eq!(values.get("l"), Some(&AttributeValue::Array([1.into(), "a".into(), map].into())));
}

#[track_caller]
fn check_points(case: &str, config: &str, input: &str, want: &str) {
    let config: AttributesConfig = serde_json::from_str(config).expect("JSON");
    let rule = AttributesRule::compile(&config).unwrap_or_else(|error| panic!("{error}"));
    let mut got = batch(input);
    rule.apply(&mut got);
    assert_batch(&got, want, case);
}

#[test]
fn a16_a17_a18_points_of_chosen_metrics() {
    check_points(
        "A16",
        r#"{"actions": [{"key": "a", "value": 9, "action": "update"}, {"key": "b", "value": true, "action": "insert"}]}"#,
        "R{r=1} m{a=1}=1 | h:H{a=1} n=1",
        "R{r=1} m{a=9 (int),b=true (bool)}=1 | h:H{a=9 (int),b=true (bool)} n=1",
    );
    let set = r#""actions": [{"key": "x", "value": "y", "action": "insert"}]"#;
    let include = |kind: &str, block: &str| format!(r#"{{{set}, "{kind}": {block}}}"#);
    let strict = include("include", r#"{"match_type": "strict", "metric_names": ["m"]}"#);
    check_points("A17", &strict, "m=1 | n=2", "m{x=y}=1 | n=2");
    let regexp = include("exclude", r#"{"match_type": "regexp", "metric_names": ["^n"]}"#);
    check_points("A17, exclude", &regexp, "m=1 | xn=2 | n=3", "m{x=y}=1 | xn{x=y}=2 | n=3");
    let resources = r#"{"match_type": "strict", "resources": [{"key": "r", "value": "1"}]}"#;
    check_points(
        "A18",
        &include("include", resources),
        "R{r=1} m=1 | R{r=2} n=2",
        "R{r=1} m{x=y}=1 | R{r=2} n{x=y}=2",
    );
    check_points("A18, exclude", &include("exclude", resources), "R{r=1} m=1", "R{r=1} m{x=y}=1");
}

#[test]
fn mistakes_are_named_with_their_path() {
    let cases = [
        (r#"{"action": "insert", "value": 1}"#, "attributes[0].key: missing required field \"key\""),
        (r#"{"key": "x"}"#, "attributes[0].action: missing required field \"action\""),
        (
            r#"{"key": "x", "action": "set"}"#,
            "attributes[0].action: unsupported action \"set\": must be in \
             [\"insert\" \"update\" \"upsert\" \"delete\" \"hash\" \"extract\" \"convert\"]",
        ),
        (
            r#"{"key": "x", "action": "insert"}"#,
            "attributes[0].value: one of \"value\", \"from_attribute\" and \"default_value\" must be set",
        ),
        (
            r#"{"key": "x", "action": "insert", "value": 1, "from_attribute": "a"}"#,
            "attributes[0].from_attribute: only one of \"value\", \"from_attribute\" and \"from_context\" can be set",
        ),
        (
            r#"{"key": "x", "action": "insert", "value": 1, "pattern": "a"}"#,
            "attributes[0].pattern: action \"insert\" does not use \"pattern\"",
        ),
        (
            r#"{"key": "x", "action": "delete", "value": 1}"#,
            "attributes[0].value: action \"delete\" does not use \"value\"",
        ),
        (r#"{"action": "hash"}"#, "attributes[0].key: action \"hash\" needs \"key\", \"pattern\" or both"),
        (
            r#"{"action": "delete", "pattern": "("}"#,
            "attributes[0].pattern: error parsing regexp: missing closing ): `(`",
        ),
        (r#"{"key": "x", "action": "extract"}"#, "attributes[0].pattern: missing required field \"pattern\""),
        (
            r#"{"key": "x", "action": "extract", "pattern": "a"}"#,
            "attributes[0].pattern: the pattern has no named group: write (?P<name>…)",
        ),
        (
            r#"{"key": "x", "action": "extract", "pattern": "(?P<a>a)(b)"}"#,
            "attributes[0].pattern: the pattern has a group without a name: write (?P<name>…)",
        ),
        (
            r#"{"key": "x", "action": "convert"}"#,
            "attributes[0].converted_type: missing required field \"converted_type\"",
        ),
        (
            r#"{"key": "x", "action": "convert", "converted_type": "bool"}"#,
            "attributes[0].converted_type: \"converted_type\" must be in [\"string\" \"int\" \"double\"]",
        ),
    ];
    for (action, message) in cases {
        let error = ResourceRule::compile(&resource_config(action)).expect_err(action);
        assert_eq!(error.to_string(), message, "action: {action}");
    }
    let ignored = resource_config(r#"{"key": "x", "action": "delete", "from_context": "metadata.a"}"#);
    assert!(ResourceRule::compile(&ignored).is_ok(), "from_context on delete is accepted, as upstream");
    let none = ResourceRule::compile(&ResourceConfig::default()).expect_err("no actions");
    assert_eq!(none.to_string(), "attributes: missing required field \"attributes\"");

    let blocks = [
        (
            r#"{"match_type": "strict"}"#,
            "include: at least one of \"metric_names\" or \"resources\" field must be specified",
        ),
        (
            r#"{"metric_names": ["m"]}"#,
            "include.match_type: \"match_type\" must be in [\"strict\" \"regexp\"]",
        ),
        (
            r#"{"match_type": "regexp", "metric_names": ["m", "["]}"#,
            "include.metric_names[1]: error parsing regexp: missing closing ]: `[`",
        ),
        (
            r#"{"match_type": "strict", "resources": [{"value": 1}]}"#,
            "include.resources[0].key: missing required field \"key\"",
        ),
    ];
    for (block, message) in blocks {
        let json = format!(r#"{{"actions": [{{"key": "x", "action": "delete"}}], "include": {block}}}"#);
        let config: AttributesConfig = serde_json::from_str(&json).expect("JSON");
        let error = AttributesRule::compile(&config).expect_err(block);
        assert_eq!(error.to_string(), message, "include: {block}");
    }
}
