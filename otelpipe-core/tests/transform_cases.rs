//! The numbered cases of metricstransform (checked against contrib 0.156).
#![cfg(feature = "serde")]

mod notation;

use notation::{assert_batch, batch};
use otelpipe_core::transform::{TransformConfig, TransformReport, Transforms};

/// Compiles the JSON of one transform or of a list of them.
#[track_caller]
fn compile(json: &str) -> Transforms {
    let list = if json.trim_start().starts_with('[') { json.into() } else { format!("[{json}]") };
    let configs: Vec<TransformConfig> = serde_json::from_str(&list).unwrap_or_else(|e| panic!("{e}: {json}"));
    Transforms::compile(&configs, "0.49.0").unwrap_or_else(|e| panic!("{e}: {json}"))
}

#[track_caller]
fn check(case: &str, json: &str, input: &str, want: &str) -> TransformReport {
    let mut transforms = compile(json);
    let mut got = batch(input);
    let before = got.point_count();
    let report = transforms.apply(&mut got);
    assert_batch(&got, want, case);

    let (mut inserted, mut gone) = (0, 0);
    for rule in &report.rules {
        inserted += rule.inserted;
        gone += rule.merged + rule.dropped();
    }
    assert_eq!(before + inserted, got.point_count() + gone, "case {case}: every point is accounted for");

    let mut again = batch(input);
    let second = transforms.apply(&mut again);
    assert_batch(&again, want, &format!("{case}, a second time with names remembered"));
    assert_eq!(report, second, "case {case}");
    report
}

#[track_caller]
fn error(json: &str) -> String {
    let configs: Vec<TransformConfig> = serde_json::from_str(&format!("[{json}]")).expect("JSON");
    Transforms::compile(&configs, "").expect_err("a mistake").to_string()
}

#[test]
fn t1_strict_is_equality() {
    let rename = r#"{"include": "m1", "action": "update", "new_name": "m2"}"#;
    check("T1", rename, "m1:G{a=1}=1 | m10:G=2", "m2:G{a=1}=1 | m10:G=2");
    let old = r#"{"metric_name": "m1", "match_type": "regexp", "action": "update", "new_name": "m2"}"#;
    check("T1, old spelling", old, "m1:G{a=1}=1 | m10:G=2", "m2:G{a=1}=1 | m10:G=2");
}

#[test]
fn t2_t3_new_names_are_templates_for_regexp_only() {
    for (template, want) in [("${1}x_$2", "ax_b"), ("$1x_$2", "b"), ("$1x", "$1x"), ("$$1$2", "$1b")] {
        let json = format!(
            r#"{{"include": "^(a)_(b)$", "match_type": "regexp", "action": "update", "new_name": "{template}"}}"#
        );
        check(&format!("T2 {template}"), &json, "a_b=1", &format!("{want}=1"));
    }
    check("T3", r#"{"include": "a_b", "action": "update", "new_name": "$1x"}"#, "a_b=1", "$1x=1");
    let outside =
        r#"{"include": "cpu_(.*)_total", "match_type": "regexp", "action": "update", "new_name": "c_$1"}"#;
    check("rule 12", outside, "x_cpu_user_total_y=1", "c_user=1");
    let submatch = r#"{"include": "^cpu_(.*)$", "match_type": "regexp", "action": "update",
        "new_name": "c_$1", "submatch_case": "upper"}"#;
    check("rule 24", submatch, "cpu_user=1", "c_user=1");
}

#[test]
fn t4_insert_copies_the_matching_points_only() {
    let json = r#"{"include": "m", "match_type": "regexp", "action": "insert", "new_name": "n",
        "experimental_match_labels": {"c": "\\S"}}"#;
    let input = "m:C+{c=x}=1.5;{}=2.5;{c=}=3.5 unit By";
    let report = check("T4", json, input, &format!("{input} | n:C+{{c=x}}=1.5 unit By"));
    assert_eq!(report.rules[0].inserted, 1);
}

#[test]
fn a_partial_copy_has_no_metadata() {
    let json =
        r#"{"include": "m", "action": "insert", "new_name": "n", "experimental_match_labels": {"c": "x"}}"#;
    check("rule 7, part", json, "m:G{c=x}=1;{}=2 meta type", "m:G{c=x}=1;{}=2 meta type | n:G{c=x}=1");
    check("rule 7, all", json, "m:G{c=x}=1 meta type", "m:G{c=x}=1 meta type | n:G{c=x}=1 meta type");
}

#[test]
fn t5_t6_t7_label_matchers_see_missing_and_other_kinds_as_empty() {
    let insert = |match_type: &str, labels: &str| {
        format!(
            r#"{{"include": "m", "match_type": "{match_type}", "action": "insert", "new_name": "n",
            "experimental_match_labels": {labels}}}"#
        )
    };
    let points = "m:G{c=1}=1;{image=}=2;{image=x}=3;{image=5 (int)}=4";
    let want = format!("{points} | n:G{{c=1}}=1;{{image=}}=2;{{image=5 (int)}}=4");
    check("T5", &insert("regexp", r#"{"image": "^$"}"#), points, &want);
    let points = "m:G{c=1}=1;{image=}=2;{image=x}=3";
    let want = format!("{points} | n:G{{c=1}}=1;{{image=}}=2");
    check("T6", &insert("strict", r#"{"image": ""}"#), points, &want);
    let points = "m:G{lt=xfargatey}=1;{lt=ec2}=2;{lt=EC2}=3";
    let want = format!("{points} | n:G{{lt=xfargatey}}=1;{{lt=EC2}}=3");
    check("T7", &insert("regexp", r#"{"lt": "fargate|EC2"}"#), points, &want);
    let points = "m:G{}=1;{i=}=2;{i=5 (int)}=3";
    check("rule 4, \\S", &insert("regexp", r#"{"i": "\\S"}"#), points, points);
    check(
        "rule 4, .*",
        &insert("regexp", r#"{"i": ".*"}"#),
        points,
        &format!("{points} | n:G{{}}=1;{{i=}}=2;{{i=5 (int)}}=3"),
    );
}

#[test]
fn t8_update_of_a_part_leaves_the_metric_itself_alone() {
    let json = r#"{"include": "m", "action": "update", "new_name": "n", "experimental_match_labels": {"a": "1"},
        "operations": [{"action": "add_label", "new_label": "z", "new_value": "q"},
            {"action": "update_label", "label": "b", "new_label": "B"},
            {"action": "experimental_scale_value", "experimental_scale": 10}]}"#;
    check("T8", json, "m:G{a=1,b=x}=1;{a=2,b=x}=2", "m:G{a=1,B=x}=10;{a=2,b=x}=2");
    check("T8, all match", json, "m:G{a=1,b=x}=1", "n:G{a=1,B=x,z=q}=10");
    check("T8, none matches", json, "m:G{a=2,b=x}=1", "m:G{a=2,b=x}=1");
}

#[test]
fn t9_operations_ask_the_labels_again() {
    let json = r#"{"include": "m", "action": "update", "experimental_match_labels": {"a": "1"},
        "operations": [{"action": "update_label", "label": "a", "new_label": "A"},
            {"action": "experimental_scale_value", "experimental_scale": 10}]}"#;
    check("T9", json, "m:G{a=1}=1", "m:G{A=1}=1");
}

#[test]
fn t10_later_transforms_see_earlier_inserts() {
    let json = r#"[{"include": "cache", "match_type": "regexp", "action": "insert", "new_name": "new_cache"},
        {"include": "cache", "match_type": "regexp", "action": "insert", "new_name": "pod_x"}]"#;
    check("T10", json, "cache=1", "cache=1 | new_cache=1 | pod_x=1 | pod_x=1");
}

#[test]
fn t11_t12_t13_a_metric_that_lost_its_last_point_is_gone() {
    let json = r#"{"include": "m", "action": "update",
        "operations": [{"action": "delete_label_value", "label": "a", "label_value": "1"}]}"#;
    let report = check("T11", json, "m:G{a=1}=1;{a=2}=2;{}=3", "m:G{a=2}=2;{}=3");
    assert_eq!((report.rules[0].deleted, report.dropped()), (1, 1));
    check("T11, only point", json, "R{r=1} m:G{a=1}=1", "∅");
    let json = r#"{"include": "m", "action": "insert", "new_name": "n",
        "operations": [{"action": "delete_label_value", "label": "a", "label_value": "1"}]}"#;
    check("T12", json, "m:G{a=1}=1", "m:G{a=1}=1");
    check("T13", r#"{"include": "m", "action": "update", "new_name": "n"}"#, "m:G", "n:G");
    check("rule 10, no such metric", json, "R{r=1} S(empty) | R{r=2} x=1", "R{r=2} x=1");
}

fn aggregate_labels(labels: &str, kind: &str) -> String {
    format!(
        r#"{{"include": "m", "action": "update", "operations": [
        {{"action": "aggregate_labels", "label_set": {labels}, "aggregation_type": "{kind}"}}]}}"#
    )
}

#[test]
fn t14_to_t17_aggregate_labels() {
    check(
        "T14",
        &aggregate_labels(r#"["a"]"#, "sum"),
        "m:C+{a=1,b=x}=1@5→100;{a=1,b=y}=2@3→100;{a=2,b=x}=4@5→100;{b=z}=8@5→100",
        "m:C+{a=1}=3@3→100;{a=2}=4@5→100;{}=8@5→100",
    );
    check(
        "T15",
        &aggregate_labels("[]", "sum"),
        "m:D+{b=x}=1@5→100;{b=y}=2@5→100;{b=z}=4@6→100",
        "m:D+{}=3@5→100;{}=4@6→100",
    );
    check(
        "T16",
        &aggregate_labels(r#"["a"]"#, "count"),
        "m:G{a=1,b=x}=5.0;{a=1,b=y}=7.0;{a=2,b=y}=9.0",
        "m:G{a=1}=2.0;{a=2}=9.0",
    );
    check("T17", &aggregate_labels("[]", "sum"), "m:G{b=x}=1;{b=y}=2.5", "m:G=1");
    check("T17, reversed", &aggregate_labels("[]", "sum"), "m:G{b=x}=2.5;{b=y}=1", "m:G=3.5");
}

#[test]
fn merged_numbers_follow_the_kind_of_the_first() {
    let cases = [
        ("sum", "1.5;2.0;NaN", "NaN"),
        ("mean", "1;2", "1"),
        ("mean", "1.0;2.0", "1.5"),
        ("mean", "1;2.5", "0"),
        ("min", "3.0;1.0;2.0", "1.0"),
        ("min", "3.0;NaN;2.0", "NaN"),
        ("min", "3;1.9", "1"),
        ("max", "3;4.9", "4"),
        ("max", "3.0;1.0", "3.0"),
        ("max", "NaN;1.0", "NaN"),
        ("median", "5.0;1.0;3.0", "3.0"),
        ("median", "4.0;1.0;2.0;3.0", "2.5"),
        ("median", "1.0;NaN;2.0", "1.0"),
        ("median", "1;2", "1"),
        ("median", "1;7.9;5", "5"),
        ("count", "7;7;7", "3"),
        ("", "9;8;7", "9"),
    ];
    for (kind, values, want) in cases {
        let points: Vec<String> = values.split(';').map(|value| format!("{{}}={value}")).collect();
        let json = aggregate_labels("[]", kind);
        check(
            &format!("{kind} of {values}"),
            &json,
            &format!("m:G{}", points.join(";")),
            &format!("m:G={want}"),
        );
    }
}

#[test]
fn attribute_values_group_as_json_prints_them() {
    let json = aggregate_labels(r#"["a"]"#, "sum");
    let input = "m:G{a=1 (int)}=1;{a=1 (double)}=2;{a=1}=4;{a=true (bool)}=8";
    check("rule 25", &json, input, "m:G{a=1 (int)}=3;{a=1}=4;{a=true (bool)}=8");
    let input = "m:G{a=1,b=1}=1@99;{b=1,a=1}=2@99;{a=1}=4@100";
    let keep = aggregate_labels(r#"["a", "b"]"#, "sum");
    check("rule 25, order and time", &keep, input, "m:G{a=1,b=1}=3@99;{a=1}=4@100");
}

#[test]
fn t18_aggregate_label_values() {
    let json = r#"{"include": "m", "action": "update", "operations": [{"action": "aggregate_label_values",
        "label": "st", "aggregated_values": ["a", "b"], "new_value": "ab", "aggregation_type": "sum"}]}"#;
    check("T18", json, "m:C+{st=a}=1;{st=b}=2;{st=c}=4;{x=y}=8;{x=y}=16", "m:C+{st=ab}=3;{st=c}=4;{x=y}=24");
}

fn scale(factor: f64) -> String {
    format!(
        r#"{{"include": "m", "action": "update", "operations": [
        {{"action": "experimental_scale_value", "experimental_scale": {factor}}}]}}"#
    )
}

#[test]
fn t19_t20_scaling() {
    check(
        "T19",
        &scale(1000.0),
        "m:H n=3 sum=6 min=1 max=3 bounds[1,2] counts[1,1,1]",
        "m:H n=3 sum=6000 min=1000 max=3000 bounds[1000,2000] counts[1,1,1]",
    );
    let cases = [
        (0, 0, 100.0, 7),
        (0, 3, 2.0, 4),
        (0, 0, 2.0, 1),
        (1, 4, 1000.0, 24),
        (3, -2, 0.1, -29),
        (2, 10, 60.0, 34),
    ];
    for (scale_, offset, factor, want) in cases {
        let case = format!("T20 ({scale_}, {offset}, ×{factor})");
        let input = format!("m:E n=1 sum=2 scale={scale_} threshold=1 pos={offset}[1] neg=5[]");
        let (sum, threshold) = (2.0 * factor, factor);
        let want = format!("m:E n=1 sum={sum} scale={scale_} threshold={threshold} pos={want}[1] neg=5[]");
        check(&case, &scale(factor), &input, &want);
    }
    check("rule 20, int", &scale(0.1), "m:G=19", "m:G=1");
    check("rule 20, summary", &scale(10.0), "m:Y n=1 sum=2 q[0.5:3]", "m:Y n=1 sum=2 q[0.5:3]");
    check(
        "rule 20, negative",
        &scale(-1.0),
        "m:E n=1 scale=0 pos=3[1]",
        "m:E n=1 scale=0 threshold=-0.0 pos=3[1]",
    );
}

#[test]
fn toggling_truncates_toward_zero() {
    let json =
        r#"{"include": "m", "action": "update", "operations": [{"action": "toggle_scalar_data_type"}]}"#;
    check("rule 19", json, "m:G{}=-2.9;{}=3;{}=none", "m:G{}=-2;{}=3.0;{}=none");
    check("rule 19, sum", json, "m:C+=1e300", "m:C+=9223372036854775807");
}

const CPU: &str = r#"{"include": "^cpu_(?P<state>.*)$", "match_type": "regexp", "action": "combine",
    "new_name": "cpu", "aggregation_type": "sum""#;

#[test]
fn t21_combine_labels_points_with_what_the_pattern_found() {
    let input = "cpu_user:G{c=0}=1 | cpu_sys:G{c=0}=2 | other=9";
    let want = "other=9 | cpu:G{c=0,state=user}=1;{c=0,state=sys}=2";
    check("T21", &format!("{CPU}}}"), input, want);
    check("T21, submatch_case", &format!("{CPU}, \"submatch_case\": \"upper\"}}"), input, want);
    let unnamed = CPU.replace("?P<state>", "");
    check("T21, unnamed", &format!("{unnamed}}}"), input, "other=9 | cpu:G{c=0,$1=user}=1;{c=0,$1=sys}=2");
    let optional = CPU.replace(".*", ".*)(?P<none>x)?(");
    let want = "cpu:G{c=0,state=user}=1";
    check("rule 8, a group that took no part", &format!("{optional}}}"), "cpu_user:G{c=0}=1", want);
    let strict = r#"{"include": "a", "action": "combine", "new_name": "b$1", "aggregation_type": "sum"}"#;
    check("rule 8, strict", strict, "a=1 unit s | a=2 unit s", "b$1=3 unit s");
    check(
        "rule 8, merged and operated on",
        &format!(
            r#"{CPU}, "operations": [{{"action": "aggregate_labels", "label_set": ["c"], "aggregation_type": "max"}}]}}"#
        ),
        input,
        "other=9 | cpu:G{c=0}=2",
    );
}

#[test]
fn t22_points_that_do_not_match_are_counted_as_lost() {
    let json = format!("{CPU}, \"experimental_match_labels\": {{\"c\": \"0\"}}}}");
    let input = "cpu_user:G{c=0}=1;{c=1}=5 | cpu_sys:G{c=0}=2";
    let report = check("T22", &json, input, "cpu:G{c=0,state=user}=1;{c=0,state=sys}=2");
    assert_eq!((report.rules[0].unmatched, report.dropped()), (1, 1));
}

#[test]
fn t23_metrics_that_do_not_fit_stay_and_warn() {
    let cases = [
        ("cpu_a:G=1 | cpu_b:C+=1", "has another type"),
        ("cpu_a:G=1 unit s | cpu_b:G=1", "has another unit"),
        ("cpu_a:G{x=1}=1 | cpu_b:G{y=1}=1", "has other labels"),
        ("cpu_a:C+=1 | cpu_b:D+=1", "has another temporality"),
        ("cpu_a:C+=1 | cpu_b:C~=1", "is monotonic and the others are not, or the other way round"),
        ("cpu_a:Y n=1 | cpu_b:Y n=1", "is a summary"),
    ];
    for (input, why) in cases {
        let report = check(&format!("T23 {why}"), &format!("{CPU}}}"), input, input);
        assert_eq!(report.warnings[0].refusal.to_string(), why);
        assert_eq!(report.dropped(), 0);
    }
}

#[test]
fn t24_histograms_are_added_whatever_the_aggregation() {
    let json = r#"{"include": "^h_.*$", "match_type": "regexp", "action": "combine", "new_name": "h",
        "aggregation_type": "max"}"#;
    check(
        "T24",
        json,
        "h_a:H n=3 sum=6 bounds[1,2,3] counts[0,1,1,1] | h_b:H n=5 sum=10 bounds[1,2,3] counts[0,2,1,2]",
        "h:H n=8 sum=16 bounds[1,2,3] counts[0,3,2,3]",
    );
    check(
        "rule 30",
        json,
        "h_a:H n=1 sum=1 min=1 max=1 bounds[] counts[1]@5→100 | h_b:H n=0 sum=7 min=0 max=9 bounds[] counts[0]@3→100 \
         | h_c:H n=1 sum=2 min=0.5 max=2 bounds[] counts[1]@5→100",
        "h:H n=2 sum=3 min=0.5 max=2 bounds[] counts[2]@3→100",
    );
}

#[test]
fn exponential_histograms_are_added_by_the_bounds_of_their_buckets() {
    let json = aggregate_labels("[]", "sum");
    let cases = [
        ("pos=2[1,2]", "pos=2[3]", "pos=2[4,2]"),
        ("pos=2[1,2]", "pos=5[7]", "pos=2[1,2,0,7]"),
        ("pos=2[1,2]", "pos=0[1,0,2]", "pos=0[1,0,3,2]"), // upstream puts 1, 2 in front: rule 31
        ("pos=0[]", "neg=4[1]", "neg=4[1]"),
    ];
    for (a, b, want) in cases {
        let input = format!("m:E n=1 scale=0 zero=1 {a}; n=1 scale=0 zero=2 {b}");
        check(&format!("{a} and {b}"), &json, &input, &format!("m:E n=2 scale=0 zero=3 {want}"));
    }
    let apart = "m:E n=1 scale=0 pos=-2000000000[1]; n=1 scale=0 pos=2000000000[1]; n=1 scale=1 pos=0[1]";
    check("too far apart, another scale", &json, apart, apart);
}

#[test]
fn t23_an_aggregated_summary_disappears_and_is_counted() {
    let report = check("rule 23", &aggregate_labels("[]", "sum"), "m:Y n=1 sum=2 | x=1", "x=1");
    assert_eq!((report.rules[0].summaries, report.dropped()), (1, 1));
}

#[test]
fn t25_group_makes_a_resource_even_for_no_match() {
    let json = r#"{"include": "^container_.*", "match_type": "regexp", "action": "group",
        "group_resource_labels": {"t": "c"}, "new_name": "ignored"}"#;
    check("T25", json, "R{r=1} container_a=1 | x=2", "R{r=1} x=2 | R{r=1,t=c} container_a=1");
    check("T25, no match", json, "R{r=1} x=2", "R{r=1} x=2 | R{r=1,t=c} S()");
    let json = r#"{"include": "m", "action": "group", "group_resource_labels": {},
        "experimental_match_labels": {"a": "1"}}"#;
    let report = check("rule 9", json, "R{r=1} S(s) m:G{a=1}=1;{a=2}=2", "R{r=1} S(s) m:G{a=1}=1");
    assert_eq!(report.rules[0].unmatched, 1);
}

#[test]
fn t26_update_label_renames_and_replaces_values() {
    let update = |more: &str| {
        format!(
            r#"{{"include": "m", "action": "update", "operations": [{{"action": "update_label", "label": "a"{more}}}]}}"#
        )
    };
    let one = r#", "new_label": "b", "value_actions": [{"value": "1", "new_value": "one"}]"#;
    check("T26", &update(one), "m:G{a=1};{a=2};{}", "m:G{b=one};{b=2};{}");
    check("T26, overwrites", &update(r#", "new_label": "b""#), "m:G{a=1,b=2}", "m:G{b=1}");
    check("rule 17, same name", &update(r#", "new_label": "a""#), "m:G{a=1,b=2}", "m:G{b=2}");
    let chain = r#", "value_actions": [{"value": "1", "new_value": "2"}, {"value": "2", "new_value": "3"}]"#;
    check("rule 17, no chain", &update(chain), "m:G{a=1};{a=2}", "m:G{a=2};{a=3}");
    let last = r#", "value_actions": [{"value": "1", "new_value": "x"}, {"value": "1", "new_value": "y"}]"#;
    check("rule 17, last wins", &update(last), "m:G{a=1}", "m:G{a=y}");
    let empty = r#", "value_actions": [{"value": "", "new_value": "none {{version}}"}]"#;
    check("rule 17, other kinds", &update(empty), "m:G{a=5 (int)}", "m:G{a=none 0.49.0}");
    let both = r#", "new_label": "b", "value_actions": [{"value": "1", "new_value": "one"}]"#;
    check("differs from upstream: own value", &update(both), "m:G{a=1,b=2,c=3}", "m:G{b=one,c=3}");
}

#[test]
fn t27_a_label_for_every_metric() {
    let json = r#"{"include": ".*", "match_type": "regexp", "action": "update", "operations": [
        {"action": "add_label", "new_label": "T", "new_value": "x"}]}"#;
    check(
        "T27",
        json,
        ":G=1 | a:C+=1 | b:H n=1 | c:E n=1 | d:Y n=1 | e:G{T=old}=1",
        ":G{T=x}=1 | a:C+{T=x}=1 | b:H{T=x} n=1 | c:E{T=x} n=1 | d:Y{T=x} n=1 | e:G{T=old}=1",
    );
}

#[test]
fn more_rules_than_bits_in_a_word() {
    let rule =
        |at: usize| format!(r#"{{"include": "m{at}", "action": "update", "new_name": "m{}"}}"#, at + 1);
    let rules: Vec<String> = (0..130).map(rule).collect();
    check(
        "chain of renames",
        &format!("[{}]", rules.join(",")),
        "m0=1 | m129=2 | m130=3",
        "m130=1 | m130=2 | m130=3",
    );
}

#[test]
fn mistakes_are_named_with_their_path() {
    let cases = [
        (r#"{"action": "update"}"#, "transforms[0].include: missing required field \"include\""),
        (
            r#"{"include": "a", "metric_name": "b", "action": "update"}"#,
            "transforms[0].metric_name: \"metric_name\" is the old spelling of \"include\": only one of them can be set",
        ),
        (
            r#"{"include": "(", "match_type": "regexp", "action": "update"}"#,
            "transforms[0].include: \"include\", error parsing regexp: missing closing ): `(`",
        ),
        (
            r#"{"include": "a", "match_type": "exact", "action": "update"}"#,
            "transforms[0].match_type: \"match_type\" must be in [\"strict\" \"regexp\"]",
        ),
        (
            r#"{"include": "a", "match_type": "regexp", "action": "update", "experimental_match_labels": {"l": "["}}"#,
            "transforms[0].experimental_match_labels.l: error parsing regexp: missing closing ]: `[`",
        ),
        (
            r#"{"include": "a"}"#,
            "transforms[0].action: \"action\" must be in [\"insert\" \"update\" \"combine\" \"group\"]",
        ),
        (
            r#"{"include": "a", "action": "insert"}"#,
            "transforms[0].new_name: missing required field \"new_name\" while \"action\" is insert",
        ),
        (
            r#"{"include": "a", "action": "combine", "aggregation_type": "sum"}"#,
            "transforms[0].new_name: missing required field \"new_name\" while \"action\" is combine",
        ),
        (
            r#"{"include": "a", "action": "combine", "new_name": "b"}"#,
            "transforms[0].aggregation_type: missing required field \"aggregation_type\" while \"action\" is combine",
        ),
        (
            r#"{"include": "a", "action": "combine", "new_name": "b", "aggregation_type": "avg"}"#,
            "transforms[0].aggregation_type: \"aggregation_type\" must be in \
             [\"sum\" \"mean\" \"min\" \"max\" \"median\" \"count\"]",
        ),
        (
            r#"{"include": "a", "action": "group"}"#,
            "transforms[0].group_resource_labels: missing required field \"group_resource_labels\" while \"action\" is group",
        ),
        (
            r#"{"include": "a", "action": "update", "submatch_case": "camel"}"#,
            "transforms[0].submatch_case: \"submatch_case\" must be in [\"lower\" \"upper\"]",
        ),
    ];
    for (json, message) in cases {
        assert_eq!(error(json), message, "config: {json}");
    }
    let operations = [
        (
            r#"{"action": "drop"}"#,
            "action: operation 2: \"action\" must be in [\"add_label\" \"update_label\" \"delete_label_value\" \
             \"toggle_scalar_data_type\" \"experimental_scale_value\" \"aggregate_labels\" \"aggregate_label_values\"]",
        ),
        (
            r#"{"action": "update_label"}"#,
            "label: operation 2: missing required field \"label\" while \"action\" is update_label",
        ),
        (
            r#"{"action": "add_label", "new_value": "x"}"#,
            "new_label: operation 2: missing required field \"new_label\" while \"action\" is add_label",
        ),
        (
            r#"{"action": "add_label", "new_label": "x"}"#,
            "new_value: operation 2: missing required field \"new_value\" while \"action\" is add_label",
        ),
        (
            r#"{"action": "experimental_scale_value"}"#,
            "experimental_scale: operation 2: missing required field \"experimental_scale\" while \"action\" is \
             experimental_scale_value",
        ),
        (
            r#"{"action": "aggregate_labels", "aggregation_type": "avg"}"#,
            "aggregation_type: operation 2: \"aggregation_type\" must be in \
             [\"sum\" \"mean\" \"min\" \"max\" \"median\" \"count\"]",
        ),
    ];
    for (json, message) in operations {
        let config = format!(
            r#"{{"include": "a", "action": "update", "operations": [{{"action": "toggle_scalar_data_type"}}, {json}]}}"#
        );
        assert_eq!(error(&config), format!("transforms[0].operations[1].{message}"), "operation: {json}");
    }
    assert!(
        serde_json::from_str::<TransformConfig>(r#"{"inclde": "a"}"#).is_err(),
        "unknown keys are errors"
    );
}
