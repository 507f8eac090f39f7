//! The configurations of the documents and of ADOT itself load unchanged, and mistakes are
//! reported with their place and a way to mend them.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use otelpipe_collector::config::source::{self, Inputs, Providers, Unreachable};
use otelpipe_collector::config::{CollectorConfig, Node, Problems, Severity, yaml};
use otelpipe_collector::env::Env;

fn env() -> Env {
    let names =
        ["AWS_REGION", "CLUSTER_NAME", "NODE_IP", "NODE_NAME", "POD_NAME", "POD_NAMESPACE", "POD_UID"];
    names.map(|name| (name, "value")).into_iter().collect()
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn load(path: &Path) -> (Node, CollectorConfig, Problems) {
    let env = env();
    let mut problems = Problems::new();
    let inputs = Inputs { configs: vec![path.display().to_string()], ..Inputs::default() };
    let node = source::load(&inputs, &Providers { env: &env, fetch: &Unreachable }, &mut problems);
    let node = node.unwrap_or_else(|| panic!("{}", problems.render(false)));
    let config = CollectorConfig::read(node.clone(), &mut problems);
    (node, config, problems)
}

/// Messages of one severity, each with its path.
fn messages(problems: &Problems, severity: Severity) -> Vec<String> {
    let list = problems.iter().filter(|problem| problem.severity == severity);
    list.map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
}

/// Errors other than that otelpipe does not have something.
fn mistakes(problems: &Problems) -> Vec<String> {
    let mut list = messages(problems, Severity::Error);
    list.retain(|message| !message.contains("otelpipe does not have "));
    list
}

#[track_caller]
fn document(name: &str, errors: &[&str], warnings: &[&str]) {
    let (_, _, problems) = load(&data(&format!("configs/{name}.yaml")));
    assert_eq!(mistakes(&problems), errors, "{name}");
    assert_eq!(messages(&problems, Severity::Warning), warnings, "{name}");
}

const METRICSTRANSFORM: &str = ": the processor type `metricstransform` is now called `metrics_transform`";
const REMOTE_WRITE: &str =
    ": the exporter type `prometheusremotewrite` is now called `prometheus_remote_write`";
const LOGGING: &str = "exporters::logging: the exporter type `logging` is now called `debug`";
const WARN: &str = "exporters::logging: `loglevel: warn` is now written `verbosity: basic`";
const TRACES: &str =
    "service::pipelines::traces: the pipeline is left out: otelpipe does not have traces yet, and takes none";
const DEBUG: &str = "exporters::logging: `loglevel: debug` is now written `verbosity: detailed`";

#[test]
fn the_documents_load_with_one_warning_for_each_old_spelling() {
    let write = format!("exporters::prometheusremotewrite{REMOTE_WRITE}");
    document("ecs-amp", &[], &[&write, LOGGING, DEBUG]);
    document("local-amp", &[], &[&write, LOGGING, DEBUG]);
    document(
        "ecs-amp-per-task",
        &[
            "exporters::prometheusremotewrite::auth::authenticator: the exporter prometheusremotewrite uses the authenticator \"sigv4auth\", which service::extensions does not list",
        ],
        &[
            "processors::resourcedetection: the processor type `resourcedetection` is now called `resource_detection`",
            "processors::resourcedetection: newer collectors do not know the key `attributes`; otelpipe keeps only the attributes it lists",
            &write,
            LOGGING,
            WARN,
        ],
    );
    let own = "exporters::awsprometheusremotewrite: the exporter type `awsprometheusremotewrite` is now called `prometheus_remote_write`";
    document("addon-amp", &[], &[own]);
    document("addon-observability", &[], &[own, TRACES]);
    document("addon-amp-sigv4", &[], &[&write]);
    document("addon-emf", &[], &[&format!("processors::metricstransform/labelling{METRICSTRANSFORM}")]);
    document("addon-xray", &[], &[TRACES]);
    // Three processors of the one old type, two of the other.
    document(
        "eks-fargate-emf",
        &[],
        &[
            &format!("processors::metricstransform/label_1{METRICSTRANSFORM}"),
            "processors::cumulativetodelta: the key `metrics` has moved to `include`",
            "processors::experimental_metricsgeneration/1: the processor type `experimental_metricsgeneration` is now called `metricsgeneration`",
            "processors::resourcedetection: the processor type `resourcedetection` is now called `resource_detection`",
        ],
    );
    document(
        "sidecar-fargate-metrics",
        &[],
        &["receivers::kubeletstats: the receiver type `kubeletstats` is now called `kubelet_stats`"],
    );
}

#[test]
fn pipelines_of_signals_to_come_are_left_out_and_those_of_metrics_run() {
    let (_, config, problems) = load(&data("configs/addon-observability.yaml"));
    assert_eq!(messages(&problems, Severity::Error), [""; 0]);
    assert_eq!(config.pipelines().map(|pipeline| pipeline.id.to_string()).collect::<Vec<_>>(), ["metrics"]);
    let (_, config, problems) = load(&data("configs/addon-xray.yaml"));
    assert_eq!(
        messages(&problems, Severity::Error),
        ["service::pipelines: no pipeline is left to run: otelpipe does not have the other signals yet"]
    );
    assert_eq!(config.pipelines().count(), 0);
}

#[test]
fn the_missing_authenticator_is_mended_as_the_message_says() {
    let env = env();
    let mut problems = Problems::new();
    let inputs = Inputs {
        configs: vec![data("configs/ecs-amp-per-task.yaml").display().to_string()],
        sets: vec!["service.extensions=[health_check, sigv4auth]".to_owned()],
        append_lists: false,
    };
    let node = source::load(&inputs, &Providers { env: &env, fetch: &Unreachable }, &mut problems).unwrap();
    CollectorConfig::read(node, &mut problems);
    assert_eq!(mistakes(&problems), [""; 0]);
}

#[test]
fn every_configuration_of_documents_and_adot_is_free_of_mistakes() {
    let mut folders = vec![data("configs"), data("adot-configs")];
    let (mut count, mut templates) = (0, 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "yaml")
                && !path.ends_with("ecs-amp-per-task.yaml")
            {
                // templates whose placeholders are still to be filled in
                let text = std::fs::read_to_string(&path).unwrap();
                if text.lines().any(|line| !line.starts_with('#') && line.contains(": {{")) {
                    templates += 1;
                    continue;
                }
                let (_, config, problems) = load(&path);
                assert_eq!(mistakes(&problems), [""; 0], "{}", path.display());
                assert!(!config.service.pipelines.is_empty(), "{}", path.display());
                count += 1;
            }
        }
    }
    assert_eq!((count, templates), (34, 2));
}

#[test]
fn the_fargate_seed_is_brought_to_the_current_form() {
    let (_, config, problems) = load(&data("configs/eks-fargate-emf.yaml"));
    assert_eq!(mistakes(&problems), [""; 0]);
    let kind = |id: &str| config.processors.iter().find(|c| c.id.as_str() == id).map(|c| c.kind.name);
    let kinds: Vec<&str> = config.processors.iter().map(|c| c.kind.name).collect();
    assert!(kinds.contains(&"metricsgeneration") && kinds.contains(&"metrics_transform"), "{kinds:?}");
    assert_eq!(kind("metricstransform/label_1"), Some("metrics_transform"));
    let delta = config.processors.iter().find(|c| c.kind.name == "cumulativetodelta").unwrap();
    assert_eq!(delta.node.at_path("include.match_type").as_str(), Some("strict"));
    assert!(!delta.node.at_path("include.metrics").items().is_empty());
    assert!(delta.node.get("metrics").is_none());
}

#[test]
fn values_that_are_easily_misread() {
    let (node, config, _) = load(&data("configs/local-amp.yaml"));
    // a null body is there, with all defaults
    assert!(
        node.at_path("extensions.sigv4auth").is_null()
            || !node.at_path("extensions.sigv4auth").entries().is_empty()
    );
    assert!(config.extensions.iter().any(|c| c.kind.name == "health_check" && c.node.is_null()));
    // unused, and no error
    let unused = config.receivers.iter().find(|c| c.kind.name == "awsecscontainermetrics").unwrap();
    assert!(!config.uses(unused));
    // host:port in a flow list is text
    let (node, ..) = load(&data("configs/ecs-amp-per-task.yaml"));
    let targets = "receivers.prometheus.config.scrape_configs[0].static_configs[0].targets[0]";
    assert_eq!(node.at_path(targets).as_str(), Some("0.0.0.0:8081"));
    // dollars
    let (node, ..) = load(&data("configs/addon-amp.yaml"));
    let mut texts = Vec::new();
    collect(&node, &mut texts);
    assert!(texts.iter().any(|text| text == "__param_$1"));
    assert!(texts.iter().all(|text| !text.contains("$$")));
    assert!(texts.iter().any(|text| text.contains("${1}") || text.contains("$1:$2")));
}

fn collect(node: &Node, texts: &mut Vec<String>) {
    texts.extend(node.as_str().map(str::to_owned));
    node.items().iter().for_each(|item| collect(item, texts));
    node.entries().iter().for_each(|(_, node)| collect(node, texts));
}

/// The problems of a configuration text, as they are printed.
fn rendered(text: &str) -> String {
    let mut problems = Problems::new();
    if let Some(mut node) = yaml::parse(text, &Arc::from("c.yaml"), &mut problems) {
        let env = Env::from_iter([("A", "${env:B}"), ("B", "${env:A}")]);
        otelpipe_collector::config::expand::expand(
            &mut node,
            &Providers { env: &env, fetch: &Unreachable },
            &mut problems,
        );
        CollectorConfig::read(node, &mut problems);
    }
    problems.render(false)
}

const PIPELINE: &str = "service: {pipelines: {metrics: {receivers: [prometheus], exporters: [debug]}}}\n";

#[test]
fn mistakes_are_shown_in_their_line_with_a_way_to_mend_them() {
    let parts = format!("receivers: {{prometheus: }}\nexporters: {{debug: }}\n{PIPELINE}");
    assert_eq!(rendered(&parts), "");
    assert_eq!(
        rendered(&format!("{parts}proccessors: {{}}\n")),
        "\
error: unknown key `proccessors`
 --> c.yaml:4:1
  |
4 | proccessors: {}
  | ^^^^^^^^^^^
  |
  = help: did you mean `processors`?
"
    );
    assert_eq!(
        rendered(&format!("receivers: {{promethus: }}\nexporters: {{debug: }}\n{PIPELINE}")),
        "\
error: receivers: unknown type: \"promethus\" for id: \"promethus\"
 --> c.yaml:1:13
  |
1 | receivers: {promethus: }
  |             ^^^^^^^^^
  |
  = help: did you mean `prometheus`?

error: service::pipelines::metrics: references receiver \"prometheus\" which is not configured
 --> c.yaml:3:45
  |
3 | service: {pipelines: {metrics: {receivers: [prometheus], exporters: [debug]}}}
  |                                             ^^^^^^^^^^
  |
  = help: add `prometheus:` under `receivers:`
"
    );
    let no_exporter = "receivers: {prometheus: }\nexporters: {debug: }\nservice:\n  pipelines:\n    metrics:\n      receivers: [prometheus]\n";
    assert_eq!(
        rendered(no_exporter),
        "\
error: service::pipelines::metrics: must have at least one exporter
 --> c.yaml:5:5
  |
5 |     metrics:
  |     ^^^^^^^
  |
  = help: add `exporters: […]` to the pipeline
"
    );
    assert_eq!(
        rendered("receivers:\n  prometheus: ${env:A}\nexporters: {debug: ${x}\n"),
        "\
error: this is not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'
 --> c.yaml:3:21
  |
3 | exporters: {debug: ${x}
  |                     ^
"
    );
}

#[test]
fn references_that_cannot_be_resolved_are_shown_where_they_stand() {
    let text = format!(
        "receivers:\n  prometheus: {{x: \"${{env:A}}\", y: \"${{B\"}}\nexporters: {{debug: }}\n{PIPELINE}"
    );
    assert_eq!(
        rendered(&text),
        "\
error: too many recursive expansions
 --> c.yaml:2:19
  |
2 |   prometheus: {x: \"${env:A}\", y: \"${B\"}
  |                   ^^^^^^^^^^

warning: `${` is not closed: the text is taken as it is written
 --> c.yaml:2:34
  |
2 |   prometheus: {x: \"${env:A}\", y: \"${B\"}
  |                                  ^^^^^
  |
  = help: close it with `}`, or write `$${`
"
    );
}

#[test]
fn structural_mistakes_have_the_words_of_upstream() {
    let first = |text: &str| rendered(text).lines().next().unwrap_or_default().to_owned();
    assert_eq!(first(""), "error: empty configuration file");
    assert_eq!(
        first(&format!("exporters: {{debug: }}\n{PIPELINE}")),
        "error: no receiver configuration specified in config"
    );
    assert_eq!(
        first("receivers: {prometheus: }\nexporters: {debug: }\n"),
        "error: service: service must have at least one pipeline"
    );
    let with = |pipelines: &str| {
        first(&format!(
            "receivers: {{prometheus: }}\nprocessors: {{batch: }}\nexporters: {{debug: }}\nservice: {{pipelines: {pipelines}}}"
        ))
    };
    assert_eq!(
        with("{foo: {receivers: [prometheus], exporters: [debug]}}"),
        "error: service::pipelines::foo: unknown pipeline signal: \"foo\""
    );
    assert_eq!(
        with("{metrics: {receivers: [prometheus], processors: [batch, batch], exporters: [debug]}}"),
        "error: service::pipelines::metrics: references processor \"batch\" multiple times"
    );
    assert_eq!(
        with("{metrics/: {receivers: [prometheus], exporters: [debug]}}"),
        "error: service::pipelines: in \"metrics/\" id: the part after / should not be empty"
    );
    assert_eq!(
        with("{metrics: {receivers: [prometheus], exporters: [debug, nope]}}"),
        "error: service::pipelines::metrics: references exporter \"nope\" which is not configured"
    );
}

#[test]
fn sources_are_merged_in_order_and_settings_come_last() {
    let run = |env: &[(&str, &str)], configs: &[&str], sets: &[&str], append_lists: bool| {
        let env: Env = env.iter().copied().collect();
        let mut problems = Problems::new();
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let inputs = Inputs { configs: texts(configs), sets: texts(sets), append_lists };
        let node = source::load(&inputs, &Providers { env: &env, fetch: &Unreachable }, &mut problems);
        (node.map(|node| format!("{node:?}")), problems.render(false))
    };
    let merged = |configs: &[&str], sets: &[&str], append, result: &str| {
        assert_eq!(run(&[], configs, sets, append), (Some(result.to_owned()), String::new()));
    };
    merged(
        &["yaml:{a: {b: 1, c: [1]}}", "yaml:a::c: [2]"],
        &["a.b={x: y}"],
        false,
        r#"{"a": {"b": {"x": "y"}, "c": [2]}}"#,
    );
    merged(
        &["yaml:exporters::debug::verbosity: detailed"],
        &[],
        false,
        r#"{"exporters": {"debug": {"verbosity": "detailed"}}}"#,
    );
    merged(
        &["yaml:service::extensions: [a, b]", "yaml:service::extensions: [b, c]"],
        &[],
        true,
        r#"{"service": {"extensions": ["a", "b", "c"]}}"#,
    );
    merged(
        &["yaml:service::extensions: [a, b]", "yaml:service::extensions: [b, c]"],
        &[],
        false,
        r#"{"service": {"extensions": ["b", "c"]}}"#,
    );
    let (result, said) = run(&[], &["yaml:", "yaml:a: 1"], &[], false);
    assert_eq!(result.as_deref(), Some(r#"{"a": 1}"#));
    assert!(said.starts_with("warning: the configuration is empty"), "{said}");
    let aot = [("AOT_CONFIG_CONTENT", "a: ${X}"), ("X", "5")];
    assert_eq!(
        run(&aot, &["/does/not/exist"], &["b=1"], false),
        (Some(r#"{"a": 5}"#.to_owned()), String::new())
    );
    assert_eq!(run(&[("AOT_CONFIG_CONTENT", "")], &[], &[], false).0.as_deref(), Some("null"));
    assert_eq!(
        run(&[], &["/does/not/exist.yaml"], &[], false),
        (
            None,
            "error: cannot read the file /does/not/exist.yaml: No such file or directory (os error 2)\n"
                .to_owned()
        )
    );
    assert!(
        run(&[], &["s3://b.s3.eu-west-1.amazonaws.com/k"], &[], false)
            .1
            .contains("does not read configurations from S3 yet")
    );
    assert!(run(&[], &["yaml:a: 1"], &["b"], false).1.contains("`--set b` has no equal sign"));
    assert!(run(&[], &["yaml:[a]"], &[], false).1.contains("a configuration must be a map, this is a list"));
}
