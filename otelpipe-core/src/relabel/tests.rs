use super::*;
use alloc::format;
use alloc::vec;
use proptest::prelude::*;

/// Reads `{a=1,b=2}`: the notation of the case tables.
fn labels(text: &str) -> LabelSet<'static> {
    let inside = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).expect(text);
    let pairs = inside.split(',').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').map_or((pair, "v"), |pair| pair))
        .collect::<LabelSet<'_>>()
        .into_owned()
}

/// Reads `replace S=a,b R=x T=b P=$1 M=0 sep=-`.
fn rule(text: &str) -> RelabelConfig {
    let mut words = text.split(' ');
    let mut config = RelabelConfig { action: words.next().map(String::from), ..RelabelConfig::default() };
    for word in words {
        let (key, value) = word.split_once('=').expect(text);
        let value = if value == "\"\"" { "" } else { value };
        match key {
            "S" => config.source_labels = value.split(',').map(String::from).collect(),
            "R" => config.regex = Some(value.into()),
            "T" => config.target_label = value.into(),
            "P" => config.replacement = Some(value.into()),
            "M" => config.modulus = value.parse().expect(text),
            "sep" => config.separator = Some(value.into()),
            other => panic!("unknown key {other} in {text}"),
        }
    }
    config
}

fn compile(rules: &str, names: NameValidation) -> Result<RelabelRules, RelabelError> {
    RelabelRules::compile(&rules.split("; ").map(rule).collect::<Vec<_>>(), names)
}

/// `None`: dropped.
#[track_caller]
fn run(before: &LabelSet<'static>, rules: &str, names: NameValidation) -> Option<LabelSet<'static>> {
    let rules = compile(rules, names).expect(rules);
    let mut after = before.clone();
    let kept = rules.apply(&mut after);
    let mut traced = before.clone();
    let mut last = None;
    assert_eq!(rules.apply_traced(&mut traced, &mut |trace| last = Some(trace.kept)), kept);
    assert_eq!((&traced, last), (&after, Some(kept)));
    kept.then_some(after)
}

#[track_caller]
fn check(before: &str, rules: &str, after: &str) {
    let expected = (after != "DROP").then(|| labels(after));
    assert_eq!(run(&labels(before), rules, NameValidation::Utf8), expected, "{before} | {rules}");
}

#[track_caller]
fn refused(rules: &str, names: NameValidation, field: &str, message: &str) {
    let error = compile(rules, names).expect_err(rules);
    assert_eq!((error.field, &*error.message), (field, message), "{rules}");
}

#[test]
fn replace_writes_the_expansion_of_a_full_match() {
    check("{a=foo}", "replace S=a T=b", "{a=foo,b=foo}");
    check("{a=foo}", "replace S=a R=bar T=b P=x", "{a=foo}");
    check("{a=foo}", "replace T=env P=prod", "{a=foo,env=prod}");
    check("{a=foo,env=x}", "replace T=env P=\"\"", "{a=foo}");
    check("{a=foo}", "replace S=zz R=\"\" T=b P=x", "{a=foo,b=x}");
    check("{a=foobar}", "replace S=a R=foo T=b P=x", "{a=foobar}");
    check("{a=x\ny}", "replace S=a R=x.y T=b P=m", "{a=x\ny,b=m}");
    check("{a=1,b=2}", "replace S=a,b T=c", "{a=1,b=2,c=1;2}");
    check("{a=1}", "replace S=a,zz,a sep=- T=c", "{a=1,c=1--1}");
    check("{a=foo}", "replace S=a R=(.*) T=b P=$1_x", "{a=foo}");
    check("{a=foo}", "replace S=a R=(.*) T=b P=${1}_x", "{a=foo,b=foo_x}");
    check("{a=foo}", "replace S=a R=(.*) T=b P=$$1", "{a=foo,b=$1}");
    check("{a=foo}", "replace S=a R=(?P<x>f)(?<y>.*) T=b P=${y}-$x", "{a=foo,b=oo-f}");
    check("{a=x}", "replace S=a T=b P=$-$1$.", "{a=x,b=$-x$.}");
    check("{a=foo,b=old}", "replace S=a T=b P=$9", "{a=foo}");
    check("{a=foo}", "RePlace S=a T=b", "{a=foo,b=foo}");
    check("{x=v1}", "replace S=x R=\"\" T=y", "{x=v1}");
}

#[test]
fn replace_with_a_computed_name_checks_it() {
    let rule = "replace S=a R=(.*)=(.*) T=$1 P=$2";
    check("{a=k=v}", rule, "{a=k=v,k=v}");
    check("{a==v}", rule, "{a==v}");
    let before = labels("{a=k-x=v}");
    assert_eq!(run(&before, rule, NameValidation::Utf8), Some(labels("{a=k-x=v,k-x=v}")));
    assert_eq!(run(&before, rule, NameValidation::Legacy), Some(before));
}

#[test]
fn keep_and_drop_decide_by_the_whole_value() {
    check("{a=foo}", "drop S=a R=f|o", "{a=foo}");
    check("{a=foo}", "keep S=a R=foo|bar; drop S=a R=f.*", "DROP");
    check("{a=٣}", r"keep S=a R=\d", "DROP");
    check("{a=é}", r"keep S=a R=\w", "DROP");
    check("{a=é}", r"keep S=a R=\pL", "{a=é}");
    check("{a=true}", "keep S=a R=true", "{a=true}");
    check("{a=foo}", "drop", "DROP");
    check("{a=foo}", "keep", "{a=foo}");
}

#[test]
fn equality_needs_no_pattern() {
    let before = "{__tmp_port=1234,__port1=1234}";
    check(before, "keepequal S=__tmp_port T=__port1", before);
    check(before, "dropequal S=__tmp_port T=__port1", "DROP");
    check("{a=1,b=2}", "keepequal S=a T=b", "DROP");
    check("{a=1,b=2}", "dropequal S=a T=b", "{a=1,b=2}");
    check("{x=1}", "keepequal S=a T=b", "{x=1}"); // both missing: equal
    check("{x=1}", "dropequal S=a T=b", "DROP");
}

#[test]
fn names_are_mapped_dropped_and_kept() {
    check(
        "{a=foo,b1=bar,b2=baz}",
        "labelmap R=(b.*) P=bar_${1}",
        "{a=foo,b1=bar,b2=baz,bar_b1=bar,bar_b2=baz}",
    );
    check("{x_1_k=A,x_2_k=B}", r"labelmap R=x_(\d)_(.*) P=$2", "{x_1_k=A,x_2_k=B,k=B}");
    check("{a,b,__name__}", "labelkeep R=a", "{a}");
    check("{a,b,__name__}", "labeldrop R=a|b", "{__name__}");
    let with_empty_name = run(&labels("{x_=1}"), "labelmap R=x_(.*)", NameValidation::Utf8);
    assert_eq!(with_empty_name.expect("kept").get(""), Some("1"));
}

#[test]
fn values_are_hashed_and_mapped() {
    check("{c=baz}", "hashmod S=c T=d M=1000", "{c=baz,d=976}");
    check(
        "{foo=bAr123Foo}",
        "uppercase S=foo T=u; lowercase S=foo T=l",
        "{foo=bAr123Foo,u=BAR123FOO,l=bar123foo}",
    );
    check("{a=straße}", "uppercase S=a T=b", "{a=straße,b=STRAßE}");
    check("{b=X}", "lowercase S=zz T=b", "{}");
    check(
        "{__address__=10.0.0.1:80,p=9100}",
        r"replace S=__address__,p R=([^:]+)(?::\d+)?;(\d+) T=__address__ P=$1:$2",
        "{__address__=10.0.0.1:9100,p=9100}",
    );
}

#[test]
fn rules_that_prometheus_refuses_are_refused_in_its_words() {
    use NameValidation::{Legacy, Utf8};
    let only_regex = |action: &str| format!("{action} action requires only 'regex', and no other fields");
    for action in ["labeldrop", "labelkeep"] {
        refused(&format!("{action} S=a R=b"), Utf8, "source_labels", &only_regex(action));
        refused(&format!("{action} T=a"), Utf8, "target_label", &only_regex(action));
        refused(&format!("{action} M=1"), Utf8, "modulus", &only_regex(action));
        refused(&format!("{action} sep=,"), Utf8, "separator", &only_regex(action));
        refused(&format!("{action} P=x"), Utf8, "replacement", &only_regex(action));
        assert!(compile(&format!("{action} P=$1 sep=;"), Utf8).is_ok());
    }
    for action in ["keepequal", "dropequal"] {
        let only = "requires only 'source_labels' and `target_label`, and no other fields";
        refused(&format!("{action} S=a T=b R=(.*)"), Utf8, "regex", &format!("{action} action {only}"));
        refused(&format!("{action} S=a T=b M=1"), Utf8, "modulus", &format!("{action} action {only}"));
        refused(&format!("{action} S=a T=b sep=-"), Utf8, "separator", &format!("{action} action {only}"));
    }
    for action in ["lowercase", "uppercase", "keepequal", "dropequal"] {
        let message = format!("'replacement' can not be set for {action} action");
        refused(&format!("{action} S=a T=b P=x"), Utf8, "replacement", &message);
        let message = format!("\"b.c\" is invalid 'target_label' for {action} action");
        refused(&format!("{action} S=a T=b.c"), Legacy, "target_label", &message);
    }
    for action in ["replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal"] {
        let message = format!("relabel configuration for {action} action requires 'target_label' value");
        refused(&format!("{action} S=a M=1"), Utf8, "target_label", &message);
    }
    let message = "relabel configuration for hashmod requires non-zero modulus";
    refused("hashmod S=a T=b", Utf8, "modulus", message);
    refused("replaceall T=b", Utf8, "action", "unknown relabel action \"replaceall\"");
    refused(" T=b", Utf8, "action", "relabel action cannot be empty");
    refused("replace T=b R=(", Utf8, "regex", "error parsing regexp: missing closing ): `(`");
    refused("replace T=b.c", Legacy, "target_label", "\"b.c\" is invalid 'target_label' for replace action");
    refused(
        "replace T=b.$1",
        Legacy,
        "target_label",
        "\"b.$1\" is invalid 'target_label' for replace action",
    );
    refused(
        "hashmod S=a M=2 T=b.c",
        Legacy,
        "target_label",
        "\"b.c\" is invalid 'target_label' for hashmod action",
    );
    refused("labelmap P=-$1", Legacy, "replacement", "\"-$1\" is invalid 'replacement' for labelmap action");
    refused("labelmap R=x P=\"\"", Utf8, "replacement", "\"\" is invalid 'replacement' for labelmap action");
    check("{a=foo}", "replace S=a T=b.c", "{a=foo,b.c=foo}");
}

#[test]
fn patterns_and_actions_are_checked_before_other_fields() {
    let error = compile("replace; keep R=(", NameValidation::Utf8).expect_err("both are wrong");
    assert_eq!((error.index, error.field, error.path()), (1, "regex", "[1].regex".into()));
}

#[test]
fn the_collector_takes_empty_separator_and_replacement_for_absent() {
    let apply = |text: &str, collector: bool, before: &str| {
        let config = rule(text);
        let config = if collector { config.as_collector() } else { config };
        let rules = RelabelRules::compile(&[config], NameValidation::Utf8).expect(text);
        let mut after = labels(before);
        rules.apply(&mut after).then_some(after)
    };
    let joined = "replace S=x,z sep=\"\" T=y";
    assert_eq!(apply(joined, true, "{x=v1,z=w}"), Some(labels("{x=v1,z=w,y=v1;w}")));
    assert_eq!(apply(joined, false, "{x=v1,z=w}"), Some(labels("{x=v1,z=w,y=v1w}")));
    assert_eq!(apply("replace S=x T=x P=\"\"", true, "{x=v1}"), Some(labels("{x=v1}")));
    assert_eq!(apply("replace S=x T=x P=\"\"", false, "{x=v1}"), Some(labels("{}")));
    for collector in [true, false] {
        assert_eq!(apply("replace T=x P=\"\"", collector, "{x=v1}"), Some(labels("{}")));
    }
}

#[test]
fn a_trace_tells_what_each_rule_saw_and_changed() {
    let rules = "replace S=a,b R=1;(.) T=c; labeldrop R=a; keep S=c R=x; drop";
    let rules = compile(rules, NameValidation::Utf8).expect("valid");
    let mut set = labels("{a=1,b=2}");
    let mut traces = Vec::new();
    assert!(!rules.apply_traced(&mut set, &mut |trace| traces.push(trace)));
    let change = |name: &str, before: Option<&str>, after: Option<&str>| LabelChange {
        name: name.into(),
        before: before.map(String::from),
        after: after.map(String::from),
    };
    let expected = [
        RuleTrace {
            index: 0,
            action: "replace",
            source: Some("1;2".into()),
            matched: true,
            kept: true,
            changes: vec![change("c", None, Some("2"))],
        },
        RuleTrace {
            index: 1,
            action: "labeldrop",
            source: None,
            matched: true,
            kept: true,
            changes: vec![change("a", Some("1"), None)],
        },
        RuleTrace {
            index: 2,
            action: "keep",
            source: Some("2".into()),
            matched: false,
            kept: false,
            changes: vec![],
        },
    ];
    assert_eq!(traces, expected);
}

proptest! {
    #[test]
    fn labels_stay_sorted_without_empty_values(
        pairs in prop::collection::vec(("[ab_]{1,2}", "[xy;]{0,2}"), 0..5),
        rules in prop::collection::vec(
            ("(replace|labelmap|labeldrop|labelkeep|keep|drop|lowercase)", r"(S=a|S=a,b|R=\(\.\*\)|R=a\.\*|R=\(a\)\(b\)|R=x\|y)( P=\$1\$2)?"), 0..5),
    ) {
        let configs: Vec<_> = rules
            .iter()
            .map(|(action, rest)| {
                let target = if action.starts_with("label") { "" } else { " T=a" };
                rule(&format!("{action} {rest}{target}"))
            })
            .collect();
        let mut set: LabelSet<'_> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
        if let Ok(rules) = RelabelRules::compile(&configs, NameValidation::Utf8) {
            rules.apply(&mut set);
        }
        let sorted: Vec<_> = set.iter().map(|label| &*label.name).collect();
        prop_assert!(sorted.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(set.iter().all(|label| !label.value.is_empty()));
    }
}
