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
