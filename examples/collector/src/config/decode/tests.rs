//! Settings of every kind, and mistakes of every kind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::*;
use crate::config::{GoDuration, yaml};

#[derive(Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    name: String,
    timeout: GoDuration,
    limit: u16,
    ratio: f64,
    on: bool,
    include: Vec<String>,
    labels: BTreeMap<String, String>,
    tls: Option<Tls>,
    kind: Kind,
    note: Option<String>,
    rules: Vec<Rule>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            timeout: GoDuration::new(Duration::from_secs(5)),
            limit: 7,
            ratio: 0.5,
            on: true,
            include: Vec::new(),
            labels: BTreeMap::new(),
            tls: None,
            kind: Kind::default(),
            note: None,
            rules: Vec::new(),
        }
    }
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Tls {
    insecure: bool,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Strict,
    Regexp,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: String,
    #[serde(default)]
    scale: i64,
}

fn read(text: &str, leniency: Leniency) -> (Option<Settings>, String) {
    let mut problems = Problems::new();
    let file = Arc::from("c.yaml");
    let node = yaml::parse(text, &file, &mut problems).expect("the test's YAML is valid");
    let settings = decode(&node, "exporters::x", leniency, &mut problems);
    let mut list = String::new();
    for problem in problems.iter() {
        let span = problem.span.as_ref().expect("decoding knows positions");
        let fix = problem.fix.as_deref().map(|fix| format!(" ({fix})")).unwrap_or_default();
        list.push_str(&format!("{}:{} {}: {}{fix}\n", span.line, span.column, problem.path, problem.message));
    }
    (settings, list)
}

#[track_caller]
fn check(text: &str, change: impl FnOnce(&mut Settings)) {
    let mut expected = Settings::default();
    change(&mut expected);
    assert_eq!(read(text, Leniency::Strict), (Some(expected), String::new()), "{text}");
}

#[track_caller]
fn fails(text: &str, problems: &str) {
    let (settings, list) = read(text, Leniency::Strict);
    assert_eq!(list, problems);
    assert_eq!(
        settings.is_some(),
        !problems.contains("expected") && problems.contains("unknown key"),
        "{text}"
    );
}

#[test]
fn an_empty_value_means_all_defaults() {
    check("", |_| {});
    check("{}", |_| {});
    check(
        "{name: , timeout: ~, limit: null, ratio: , on: , include: , labels: , kind: , rules: , note: }",
        |_| {},
    );
    check("tls:", |s| s.tls = Some(Tls::default()));
}

#[test]
fn values_of_every_type() {
    check("name: a b", |s| s.name = "a b".to_owned());
    check("timeout: 1m30s", |s| s.timeout = GoDuration::new(Duration::from_secs(90)));
    check("timeout: 1000", |s| s.timeout = GoDuration::new(Duration::from_micros(1)));
    check("limit: 0x1F", |s| s.limit = 31);
    check("limit: 1e2", |s| s.limit = 100);
    check("ratio: 2", |s| s.ratio = 2.0);
    check("include: /a/b.log", |s| s.include = vec!["/a/b.log".to_owned()]);
    check("include: a,b, c", |s| s.include = ["a", "b", " c"].map(str::to_owned).to_vec());
    check("include: [a, b]", |s| s.include = ["a", "b"].map(str::to_owned).to_vec());
    check("kind: regexp", |s| s.kind = Kind::Regexp);
    check("note: x", |s| s.note = Some("x".to_owned()));
    check("labels: {a: b}", |s| drop(s.labels.insert("a".to_owned(), "b".to_owned())));
    check("rules: [{name: a, scale: -3}]", |s| s.rules = vec![Rule { name: "a".to_owned(), scale: -3 }]);
}

#[test]
fn every_mistake_of_a_component_is_reported_at_once() {
    fails(
        "naem: x\nlimit: 70000\nratio: much\ntls: {insecur: true}\ninclude: [a, 5, b, true]\nrules:\n- {scale: 2}\n- {name: 3}\n- 7\nkind: regex\ntimeout: 5 minutes\nname: 12\non: \"true\"\n",
        "\
1:1 exporters::x: unknown key `naem` (did you mean `name`?)
2:8 exporters::x::limit: expected a whole number from 0 to 65535, found the number 70000
3:8 exporters::x::ratio: expected a number, found the text `much`
4:7 exporters::x::tls: unknown key `insecur` (did you mean `insecure`?)
5:14 exporters::x::include[1]: expected a string, found the number 5 (quote it: \"5\")
5:20 exporters::x::include[3]: expected a string, found true (quote it: \"true\")
7:3 exporters::x::rules[0]: the key `name` is missing
8:10 exporters::x::rules[1]::name: expected a string, found the number 3 (quote it: \"3\")
9:3 exporters::x::rules[2]: expected a map, found the number 7
10:7 exporters::x::kind: unknown value `regex` (did you mean `regexp`?)
11:10 exporters::x::timeout: `5 minutes` is not a duration such as `30s`, `1m30s` or `500ms`
12:7 exporters::x::name: expected a string, found the number 12 (quote it: \"12\")
13:5 exporters::x::on: expected true or false, found the text `true` (leave the quotes out)
",
    );
    fails("[a]", "1:1 exporters::x: expected a map, found a list\n");
}

#[test]
fn an_unknown_key_does_not_hide_the_rest() {
    fails(
        "regoin: x\n",
        "1:1 exporters::x: unknown key `regoin` (the keys are: name, timeout, limit, ratio, on, include, labels, tls, kind, note, rules)\n",
    );
}

#[test]
fn prometheus_settings_take_numbers_and_booleans_as_text() {
    let lenient = |text: &str, name: &str| {
        let (settings, problems) = read(text, Leniency::Prometheus);
        assert_eq!((settings.map(|s| s.name).as_deref(), problems.as_str()), (Some(name), ""), "{text}");
    };
    lenient("name: true", "true");
    lenient("name: 1.10", "1.1");
    lenient("name: 0x10", "16");
    lenient("name: 010", "8");
    lenient("name: 1e3", "1000.0");
    lenient("name: 1e7", "1e+07");
    lenient("name: ~", "default");
    lenient("name: \"1.10\"", "1.10");
    let (_, problems) = read("rules: [~]\ninclude: a,b", Leniency::Prometheus);
    assert_eq!(
        problems,
        "1:9 exporters::x::rules[0]: expected a map, found nothing\n\
             2:10 exporters::x::include: expected a list, found the text `a,b`\n"
    );
}
