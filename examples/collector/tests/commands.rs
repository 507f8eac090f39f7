//! The commands as scripts use them: what goes to which stream, JSON, exit status.

#![allow(clippy::unwrap_used, clippy::std_instead_of_core, reason = "a test of a std program")]
#![allow(missing_docs, reason = "a test")]

mod support;

use std::io::Write as _;

use serde_json::Value;
use support::folder::Folder;
use support::process::{Collector, Ended};

const CONFIG: &str = "receivers:
  prometheus:
    config:
      scrape_configs:
        - job_name: app
          static_configs: [{targets: ['app:8080']}]
          relabel_configs:
            - {source_labels: [env], regex: test, action: drop}
processors:
  cumulativetodelta:
exporters:
  awsemf: {region: us-west-2, namespace: App, dimension_rollup_option: NoDimensionRollup}
service: {pipelines: {metrics: {receivers: [prometheus], processors: [cumulativetodelta], exporters: [awsemf]}}}
";

fn otelpipe(arguments: &[&str]) -> Ended {
    Collector::start(arguments, &[]).wait()
}

/// Each line as JSON.
#[track_caller]
fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Two scrapes of a counter, the second compressed.
fn scrapes(folder: &Folder) -> [String; 2] {
    let body =
        |value: u32| format!("# TYPE requests_total counter\nrequests_total{{code=\"200\"}} {value}\n");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(body(12).as_bytes()).unwrap();
    [folder.write("b-first.prom", body(5)), folder.write("a-second.prom.gz", packed.finish().unwrap())]
}

#[test]
fn bare_files_are_scrapes_of_one_target_with_the_labels_given() {
    let folder = Folder::new("replay-bare");
    let config = folder.write("config.yaml", CONFIG);
    let [first, second] = scrapes(&folder);
    let arguments =
        ["replay", "--config", &config, "--json", "--target-label", "env=prod", "--input", &first, &second];
    let ended = otelpipe(&arguments);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let documents = lines(&ended.stdout);
    let counted: Vec<&Value> =
        documents.iter().filter(|document| document.get("requests_total").is_some()).collect();
    assert_eq!(counted.len(), 1, "the first value of a delta has nothing before it: {}", ended.stdout);
    assert_eq!(counted[0]["requests_total"], 7.0);
    assert_eq!(counted[0]["env"], "prod");
    assert!(documents.iter().all(|document| document["up"] == 1 || document.get("up").is_none()));
    let summary = lines(&ended.stderr).pop().unwrap();
    assert_eq!((&summary["scrapes"], &summary["samples_scraped"]), (&Value::from(2), &Value::from(2)));
    assert_eq!(summary["failed_scrapes"], 0);
}

#[test]
fn a_target_that_relabelling_drops_is_an_error_with_a_remedy() {
    let folder = Folder::new("replay-dropped");
    let config = folder.write("config.yaml", CONFIG);
    let [first, _] = scrapes(&folder);
    let ended = otelpipe(&["replay", "--config", &config, "--target-label", "env=test", "--input", &first]);
    assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("b-first.prom: no scrape job has a target"), "{}", ended.stderr);
    assert!(ended.stderr.contains("--target-label"), "{}", ended.stderr);
}

#[test]
fn a_broken_scrape_ends_the_replay_with_status_1_after_the_rest() {
    let folder = Folder::new("replay-broken");
    let config = folder.write("config.yaml", CONFIG);
    let [first, second] = scrapes(&folder);
    let broken = folder.write("broken.prom", "no value here {\n");
    let ended = otelpipe(&["replay", "--config", &config, "--json", "--input", &first, &broken, &second]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let said = lines(&ended.stderr);
    let failure = said.iter().find(|line| line["severity"] == "error").unwrap();
    assert_eq!(failure["file"], broken);
    assert_eq!(
        (&said.last().unwrap()["scrapes"], &said.last().unwrap()["failed_scrapes"]),
        (&3.into(), &1.into())
    );
}

#[test]
fn every_command_says_in_json_what_is_wrong_and_ends_with_status_1() {
    let folder = Folder::new("json-wrong");
    let config = folder.write("config.yaml", CONFIG.replace("namespace:", "namespce:"));
    let [first, _] = scrapes(&folder);
    let check = otelpipe(&["check", "--json", "--config", &config]);
    let problems: Vec<Value> = serde_json::from_str(&check.stdout).unwrap();
    let wrong = problems.iter().find(|problem| problem["severity"] == "error").unwrap();
    assert_eq!(wrong["fix"], "did you mean `namespace`?");
    assert_eq!((wrong["line"].as_u64(), check.status.code()), (Some(12), Some(1)));
    let replay = otelpipe(&["replay", "--json", "--config", &config, "--input", &first]);
    let run = otelpipe(&["run", "--json", "--config", &config]);
    for ended in [replay, run] {
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(1), ""), "{}", ended.stderr);
        assert!(lines(&ended.stderr).contains(wrong), "{}", ended.stderr);
    }
}

#[test]
fn run_logs_json_lines_when_asked() {
    let folder = Folder::new("json-run");
    let config = folder.write(
        "config.yaml",
        CONFIG
            .replace(
                "awsemf: {region: us-west-2, namespace: App, dimension_rollup_option: NoDimensionRollup}",
                "debug:",
            )
            .replace("exporters: [awsemf]", "exporters: [debug]"),
    );
    let off = "--set=service.telemetry.metrics.level=none";
    let collector = Collector::start(&["run", "--json", "--config", &config, off], &[]);
    collector.wait_for_line(&["\"message\":\"Everything is ready", "\"level\":\"INFO\""]);
    let ended = collector.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    lines(&ended.stderr);
}

#[test]
fn notes_are_for_check_and_for_starts_that_log_everything() {
    let folder = Folder::new("notes");
    let text = CONFIG
        .replace("      scrape_configs:", "      global: {evaluation_interval: 1m}\n      scrape_configs:")
        .replace(", dimension_rollup_option", ", output_destination: stdout, dimension_rollup_option");
    let config = folder.write("config.yaml", text);
    let off = "--set=service.telemetry.metrics.level=none";
    let check = otelpipe(&["check", "--config", &config]);
    assert!(check.stderr.contains("evaluation_interval: this setting has no effect, as in ADOT"));
    assert_eq!(check.stdout, "the configuration is valid: 1 pipeline, 3 components, 0 warnings, 1 note\n");
    let check = otelpipe(&["check", "--json", "--config", &config]);
    let found: Vec<Value> = serde_json::from_str(&check.stdout).unwrap();
    assert_eq!((found.len(), &found[0]["severity"], &found[0]["line"]), (1, &"note".into(), &4.into()));
    for (level, shown) in [("info", false), ("debug", true)] {
        let level = format!("--set=service.telemetry.logs.level={level}");
        let collector = Collector::start(&["--config", &config, off, &level], &[]);
        collector.wait_for_line(&["Everything is ready"]);
        let ended = collector.terminate();
        assert_eq!(ended.stderr.contains("evaluation_interval"), shown, "{}", ended.stderr);
    }
}

/// What `check` says, as `line:column severity path: message`.
fn checked(config: &str) -> Vec<String> {
    let check = otelpipe(&["check", "--json", "--config", config]);
    let problems: Vec<Value> = serde_json::from_str(&check.stdout).unwrap();
    let line = |problem: &Value| {
        let text = |key: &str| problem[key].as_str().unwrap_or_default().to_owned();
        let (line, column) = (&problem["line"], &problem["column"]);
        format!("{line}:{column} {} {}: {}", text("severity"), text("path"), text("message"))
    };
    problems.iter().map(line).collect()
}

#[test]
fn check_finds_what_would_only_fail_at_start_or_at_every_scrape() {
    let folder = Folder::new("stranger");
    let config = folder.write(
        "config.yaml",
        "receivers:
  prometheus:
    config:
      scrape_configs:
        - job_name:
          static_configs: [{targets: 'a:1'}, {targets: ['http://a:1/x']}]
        - {job_name: b, scheme: htps, relabel_configs: [{action: kep}], kubernetes_sd_configs: [{role: pod}]}
        - {job_name: c, scrape_interval: 10}
  statsd: {endpoint: nowhere}
processors:
  batch: {timeout: 5}
  deltatorate:
exporters:
  debug: {verbosity: Detailed}
  debug/2: {verbosity: loud}
  prometheus: {endpoint: ':http'}
  prometheus_remote_write: {endpoint: ''}
extensions:
  health_check: {endpoint: '13133'}
service:
  telemetry: {metrics: {readers: [], address: localhost}}
  pipelines: {metrics: {receivers: [prometheus], exporters: [debug]}}
",
    );
    let job = "receivers::prometheus::config::scrape_configs";
    assert_eq!(
        checked(&config),
        [
            "21:47 warning service::telemetry::metrics::address: the key `address` has moved to `readers`",
            "21:47 error service::telemetry::metrics::address: \"localhost\" is no address to listen on",
            "19:28 error extensions::health_check::endpoint: \"13133\" is no address to listen on",
            &format!(
                "6:38 error {job}[0]::static_configs[0]::targets: expected a list, found the text `a:1`"
            ),
            &format!(
                "6:57 error {job}[0]::static_configs[1].targets[0]: \"http://a:1/x\" is not a valid hostname"
            ),
            &format!("5:11 error {job}[0]::job_name: job_name is empty"),
            &format!("7:33 warning {job}[1]::scheme: nothing can be scraped by \"htps\""),
            &format!("7:66 error {job}[1]::relabel_configs[0].action: unknown relabel action \"kep\""),
            &format!("8:42 error {job}[2]::scrape_interval: not a valid duration string: \"10\""),
            "9:22 error receivers::statsd::endpoint: \"nowhere\" is no address to listen on",
            "11:20 warning processors::batch::timeout: a number without a unit is nanoseconds: this is 5ns",
            "12:3 error processors::deltatorate: metrics: metric names are missing",
            "15:24 error exporters::debug/2::verbosity: unknown value `loud`",
            "16:26 error exporters::prometheus::endpoint: \":http\" is no address to listen on",
            "17:39 error exporters::prometheus_remote_write::endpoint: `endpoint` is empty",
        ]
    );
}

#[test]
fn a_start_that_fails_names_the_place_also_in_json() {
    let folder = Folder::new("start-fails");
    let config = folder.write("config.yaml", CONFIG);
    let log = "--set=service.telemetry.logs.output_paths=[/nowhere/log]";
    let ended = otelpipe(&["run", "--json", "--config", &config, log]);
    let message = "cannot write the log to /nowhere/log: No such file or directory (os error 2); \
                   change service::telemetry::logs::output_paths";
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(lines(&ended.stderr), [serde_json::json!({"severity": "error", "message": message})]);
    let ended = otelpipe(&["replay", "--config", &config, "--input", "/nowhere"]);
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(ended.stderr, "error: cannot read --input /nowhere: No such file or directory (os error 2)\n");
}

#[test]
fn a_configuration_for_a_command_that_reads_none_is_refused() {
    for command in ["demo", "components", "healthcheck"] {
        let ended = otelpipe(&[command, "--config=mine.yaml"]);
        let message = format!("the argument '--config' cannot be used with '{command}'");
        assert!(ended.stderr.contains(&message), "{}", ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{command}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let program = env!("CARGO_BIN_EXE_otelpipe");
    let pipe = format!("{program} demo --scrapes 3 2>&1 >/dev/full; {program} demo --scrapes 3 | true");
    let ended = std::process::Command::new("sh").args(["-c", &pipe]).output().unwrap();
    let said = String::from_utf8(ended.stdout).unwrap() + &String::from_utf8(ended.stderr).unwrap();
    assert_eq!(said, "error: No space left on device (os error 28)\n");
}

#[test]
fn components_lists_what_there_is_and_check_agrees() {
    let listed = otelpipe(&["components", "--json"]);
    assert_eq!(listed.status.code(), Some(0));
    let rows: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap();
    let support = |section: &str, name: &str| {
        let row = rows.iter().find(|row| row["section"] == section && row["name"] == name);
        row.unwrap_or_else(|| panic!("no {name} among {section}"))["support"].clone()
    };
    assert_eq!(support("processors", "resource_detection"), "served");
    assert_eq!(support("extensions", "zpages"), "accepted, no effect");
    // For every receiver: used in a pipeline, it is refused exactly if it is not served.
    for row in rows.iter().filter(|row| row["section"] == "receivers") {
        let name = row["name"].as_str().unwrap();
        let config = format!(
            "receivers: {{{name}: }}\nexporters: {{debug: }}\n\
             service: {{pipelines: {{metrics: {{receivers: [{name}], exporters: [debug]}}}}}}\n"
        );
        let check = otelpipe(&["check", "--json", "--config", &format!("yaml:{config}")]);
        let refused = check.stdout.matches(&format!("otelpipe does not have the receiver `{name}`")).count();
        assert_eq!(refused, usize::from(row["support"] != "served"), "{name}: {}", check.stdout);
    }
    let plain = otelpipe(&["components"]);
    assert!(
        plain.stdout.contains("  resource_detection (also resourcedetection): served\n"),
        "{}",
        plain.stdout
    );
}

#[test]
fn demo_prints_json_alone() {
    let ended = otelpipe(&["demo", "--json", "--scrapes", "2"]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let documents = lines(&ended.stdout);
    let summary = lines(&ended.stderr);
    assert_eq!(summary.len(), 1);
    assert_eq!(summary[0]["documents"], documents.len());
    assert_eq!(summary[0]["rounds"], 2);
}

#[test]
fn wrong_arguments_end_with_status_2_and_no_colour_when_nobody_wants_it() {
    for arguments in [
        &["replay"][..],
        &["demo", "--scrapes", "many"],
        &["nonsense"],
        &["replay", "--input", "a", "--target-label", "env"],
    ] {
        let ended = otelpipe(arguments);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains('\u{1b}'), "{}", ended.stderr);
    }
    assert_eq!(otelpipe(&["check"]).status.code(), Some(1), "no configuration");
}
