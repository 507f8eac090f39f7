//! The numbered cases of metricsgeneration (checked against contrib 0.156).
#![cfg(feature = "serde")]

mod notation;

use notation::{assert_batch, batch};
use otelpipe_core::generate::{Generation, GenerationOptions, GenerationReport, GenerationRuleConfig};

const GATE: GenerationOptions = GenerationOptions { match_attributes: true, skip_unless_positive: false };
const NONE: GenerationOptions = GenerationOptions { match_attributes: false, skip_unless_positive: false };

fn compile(rules: &str, options: GenerationOptions) -> Generation {
    let configs: Vec<GenerationRuleConfig> = serde_json::from_str(&format!("[{rules}]")).expect("JSON");
    Generation::compile(&configs, options).unwrap_or_else(|error| panic!("{error}"))
}

fn calculate(operation: &str) -> String {
    format!(
        r#"{{"name": "t", "type": "calculate", "metric1": "a", "metric2": "b", "operation": "{operation}"}}"#
    )
}

fn scale(operation: &str, by: f64) -> String {
    format!(
        r#"{{"name": "t", "type": "scale", "metric1": "a", "operation": "{operation}", "scale_by": {by}}}"#
    )
}

/// The input stays; `new` comes at its end. An empty `new`: nothing comes.
#[track_caller]
fn check(case: &str, rules: &str, options: GenerationOptions, input: &str, new: &str) -> GenerationReport {
    let mut got = batch(input);
    let before = got.point_count();
    let report = compile(rules, options).apply(&mut got);
    let want = if new.is_empty() { input.into() } else { format!("{input} | {new}") };
    assert_batch(&got, &want, case);
    assert_eq!(report.generated, got.point_count() - before, "case {case}");
    report
}

#[test]
fn g1_name_unit_attributes_and_times() {
    let rule = r#"{"name": "t", "unit": "U", "type": "calculate", "metric1": "a", "metric2": "b",
        "operation": "add"}"#;
    check("G1", rule, NONE, "a:G{x=1}=10@5→100 | b:G{x=1}=2.5", "t:G{x=1}=12.5@5→100 unit U");
    let a = "a:G{x=1}=10@5→100 unit By meta prometheus.type | b:G{x=1}=2.5";
    check(
        "rule 9: neither unit nor metadata of the operand",
        &calculate("add"),
        NONE,
        a,
        "t:G{x=1}=12.5@5→100",
    );
}

#[test]
fn g2_first_point_or_equal_attributes() {
    let input = "a:G{x=1}=10;{x=2}=20 | b:G{x=2}=1;{x=1}=5";
    check("G2", &calculate("add"), NONE, input, "t:G{x=1}=11.0;{x=2}=21.0");
    check("G2, gate", &calculate("add"), GATE, input, "t:G{x=1}=15.0;{x=2}=21.0");
}

#[test]
fn g3_g4_arithmetic() {
    for (operation, want) in
        [("subtract", "6.0"), ("multiply", "40.0"), ("divide", "2.5"), ("percent", "250.0"), ("add", "14.0")]
    {
        for options in [NONE, GATE] {
            let case = format!("G3 {operation} {options:?}");
            check(&case, &calculate(operation), options, "a=10 | b=4", &format!("t={want}"));
        }
    }
    let report = check("G4", &calculate("percent"), NONE, "a=10;{x=1}=3 | b=0", "");
    assert_eq!(report.divided_by_zero, 2);
    check("G4, add", &calculate("add"), NONE, "a=10 | b=0", "t=10.0");
    check("G4, negative", &calculate("divide"), NONE, "a=10 | b=-4", "t=-2.5");
    // divide first, then times 100: 1 / 3 * 100, and not 100 / 3
    check("rule 5", &calculate("percent"), NONE, "a=7 | b=25", "t=28.000000000000004");
}

#[test]
fn g5_g6_operands() {
    check("G5", &calculate("add"), NONE, "a=1", "");
    check("G5, other", &calculate("add"), NONE, "b=1", "");
    check("G6", &calculate("add"), NONE, "a:C+=10 | b:C+=4", "t:U~=14.0");
    check("G6, scale", &scale("multiply", 2.0), NONE, "a:D+=5@40→100", "t:U~=10.0@40→100");
}

#[test]
fn g7_g8_scale() {
    let input = "a:G{x=1}=0.1;{x=2}=2";
    check("G7", &scale("multiply", 1000.0), NONE, input, "t:G{x=1}=100.0;{x=2}=2000.0");
    check("G8", &scale("divide", 100.0), NONE, "a=25000", "t=250.0");
    check("G8, add", &scale("add", 100.0), NONE, "a=5", "t=105.0");
    check("G8, no operation", &scale("", 100.0), NONE, "a=5", "");
    check("rule 2, no operation", &calculate(""), NONE, "a=5 | b=1", "");
}

#[test]
fn g9_rules_of_one_instance_do_not_see_each_other() {
    let second = r#"{"name": "u", "type": "scale", "metric1": "t", "operation": "multiply", "scale_by": 2}"#;
    let rules = format!("{}, {second}", scale("multiply", 2.0));
    check("G9", &rules, NONE, "a=5", "t=10.0");
    check("G9, the next instance", second, NONE, "a=5 | t=10.0", "u=20.0");
    let both = "t=10.0 | u=2.0 | u=20.0";
    check("rule 3, once a metric of that name arrived, all of them", &rules, NONE, "a=5 | t=1", both);
}

#[test]
fn g10_histograms() {
    let h = "H n=3 sum=6 bounds[1] counts[1,2]";
    check("G10", &scale("multiply", 2.0), NONE, &format!("a:{h}"), "");
    check("G10, second", &calculate("add"), NONE, &format!("a=3 | b:{h}"), "t=3.0");
    check("G10, second, gate", &calculate("add"), GATE, &format!("a=3 | b:{h}"), "");
}

#[test]
fn g11_g12_scopes_and_resources() {
    let mut got = batch("S(s1) a=1 | b=100 | S(s2) a=2 | b=200");
    compile(&calculate("add"), NONE).apply(&mut got);
    assert_batch(&got, "S(s1) a=1 | b=100 | t=201.0 | S(s2) a=2 | b=200 | t=202.0", "G11");
    check("G12", &calculate("add"), NONE, "R{r=1} a=1 | R{r=2} b=1", "");
}

#[test]
fn g13_g14_g15_matching_by_common_attributes() {
    let input = "a:G{pod=p1,if=e0}=5;{pod=p2,if=e0}=6 | b:G{pod=p1,lim=x}=50;{pod=p2}=60";
    check("G13", &calculate("percent"), GATE, input, "t:G{pod=p1,if=e0,lim=x}=10.0;{pod=p2,if=e0}=10.0");
    let input = "a:G{x=1}=1;{x=2}=2 | b:G{y=1}=10;{y=2}=20";
    let want = "t:G{x=1,y=1}=11.0;{x=1,y=2}=21.0;{x=2,y=1}=12.0;{x=2,y=2}=22.0";
    check("G14", &calculate("add"), GATE, input, want);
    let input = "a:G{x=1}=1;{x=2}=2;{x=3}=3 | b:G{x=1}=0;{x=2}=4";
    let report = check("G15", &calculate("divide"), GATE, input, "t:G{x=2}=0.5");
    assert_eq!((report.divided_by_zero, report.unmatched), (1, 1));
}

#[test]
fn g16_g17_times_and_points_without_a_value() {
    check("G16", &calculate("add"), NONE, "a=1@100 | b=2@50", "t=3.0@100");
    check("G17", &calculate("divide"), NONE, "a=1 | b:G=none;=2", "");
    let mut got = batch("a=none");
    compile(&scale("add", 1.0), NONE).apply(&mut got);
    let mut want = batch("a=none | t=1.0");
    want.resources[0].scopes[0].metrics[1].each_point_mut(|_| {});
    let otelpipe_core::metric::MetricData::Gauge(points) = &mut want.resources[0].scopes[0].metrics[1].data
    else {
        panic!("a gauge")
    };
    points[0].flags = otelpipe_core::point::Flags::NO_RECORDED_VALUE;
    assert_eq!(got, want, "rule 8: the flag stays on the copy, which has a value");
}

#[test]
fn up_to_0_110_a_second_operand_that_is_not_positive_skips_the_rule() {
    let old = GenerationOptions { skip_unless_positive: true, ..NONE };
    check("7.3, zero", &calculate("add"), old, "a=10 | b=0", "");
    check("7.3, negative", &calculate("divide"), old, "a=10 | b=-4", "");
    check("7.3, positive", &calculate("add"), old, "a=10 | b=4", "t=14.0");
    check("7.3, scale", &scale("multiply", 2.0), old, "a=10", "t=20.0");
}

#[test]
fn v1_v2_v3_pods_that_share_a_node() {
    let percent = calculate("percent");
    let input =
        "a:G{pod=web-1}=52428800;{pod=api-1}=104857600 | b:G{pod=web-1}=268435456;{pod=api-1}=536870912";
    check("V1", &percent, NONE, input, "t:G{pod=web-1}=19.53125;{pod=api-1}=39.0625");
    check("V1, gate", &percent, GATE, input, "t:G{pod=web-1}=19.53125;{pod=api-1}=19.53125");
    let input = "a:G{i=eth0}=10000;{i=eth1}=200 | b:G{i=eth0}=5000;{i=eth1}=100";
    check("V2", &calculate("add"), NONE, input, "t:G{i=eth0}=15000.0;{i=eth1}=5200.0");
    check("V2, gate", &calculate("add"), GATE, input, "t:G{i=eth0}=15000.0;{i=eth1}=300.0");
    let input = "a:G{pod=web-1}=52428800;{pod=api-1}=104857600 | b:G{pod=web-1}=0;{pod=api-1}=536870912";
    check("V3", &percent, NONE, input, "");
}

#[test]
fn g18_mistakes_are_named_with_their_path() {
    let cases = [
        (r#"{}"#, "rules[0].name: missing required field \"name\""),
        (r#"{"name": "t"}"#, "rules[0].type: missing required field \"type\""),
        (r#"{"name": "t", "type": "sum"}"#, "rules[0].type: \"type\" must be in [\"calculate\" \"scale\"]"),
        (r#"{"name": "t", "type": "scale"}"#, "rules[0].metric1: missing required field \"metric1\""),
        (
            r#"{"name": "t", "type": "calculate", "metric1": "a"}"#,
            "rules[0].metric2: missing required field \"metric2\" for generation type \"calculate\"",
        ),
        (
            r#"{"name": "a", "type": "calculate", "metric1": "a", "metric2": "b"}"#,
            "rules[0].name: value of field \"name\" may not match value of field \"metric1\"",
        ),
        (
            r#"{"name": "b", "type": "calculate", "metric1": "a", "metric2": "b"}"#,
            "rules[0].name: value of field \"name\" may not match value of field \"metric2\"",
        ),
        (
            r#"{"name": "t", "type": "scale", "metric1": "a", "operation": "add"}"#,
            "rules[0].scale_by: field \"scale_by\" required to be greater than 0 for generation type \"scale\"",
        ),
        (
            r#"{"name": "t", "type": "scale", "metric1": "a", "scale_by": 1, "operation": "mod"}"#,
            "rules[0].operation: \"operation\" must be in [\"add\" \"divide\" \"multiply\" \"percent\" \"subtract\"]",
        ),
    ];
    for (json, message) in cases {
        let config: GenerationRuleConfig = serde_json::from_str(json).expect("JSON");
        let error = Generation::compile(&[config], NONE).expect_err(json);
        assert_eq!(error.to_string(), message, "rule: {json}");
    }
}
