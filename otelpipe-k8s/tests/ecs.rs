//! Task metrics from recorded and written answers of the metadata endpoint.
//! `data/ecs/README.md` says where they come from.

#![allow(clippy::unwrap_used, clippy::std_instead_of_core, reason = "a test")]

use std::collections::BTreeMap;

use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::metric::{Metric, MetricData, Temporality};
use otelpipe_core::point::NumberValue;
use otelpipe_k8s::ecs::metadata::TaskMetadata;
use otelpipe_k8s::ecs::stats::{TaskStats, read_task_stats};
use otelpipe_k8s::ecs::{Collected, Warning, task_metrics};
use serde_json::{Value, json};

const AT_NS: u64 = 1_795_257_470_777_000_000;

fn task(text: &str) -> TaskMetadata {
    serde_json::from_str(text).unwrap()
}

fn stats(text: &str) -> TaskStats {
    read_task_stats(&mut serde_json::Deserializer::from_str(text)).unwrap()
}

fn collect(task_text: &str, stats_text: &str) -> Collected {
    task_metrics(&task(task_text), &stats(stats_text), AT_NS)
}

fn attributes(batch: &MetricBatch) -> &Attributes {
    &batch.resources[0].resource.attributes
}

fn metric<'b>(batch: &'b MetricBatch, name: &str) -> &'b Metric {
    let found = batch.metrics().find(|metric| metric.name == *name);
    found.unwrap_or_else(|| panic!("no metric {name}"))
}

/// The value of a metric's only point.
fn value(metric: &Metric) -> Value {
    let (MetricData::Gauge(points) | MetricData::Sum(otelpipe_core::metric::Sum { points, .. })) =
        &metric.data
    else {
        panic!("{} is neither gauge nor sum", metric.name);
    };
    let [point] = points.as_slice() else { panic!("{} has {} points", metric.name, points.len()) };
    assert_eq!((point.time_ns, point.start_time_ns), (AT_NS, 0));
    assert!(point.attributes.is_empty());
    match point.value {
        NumberValue::Int(value) => json!(value),
        NumberValue::Double(value) => json!(value),
        NumberValue::Empty => Value::Null,
    }
}

fn values(batch: &MetricBatch) -> BTreeMap<String, Value> {
    batch.metrics().map(|metric| (metric.name.to_string(), value(metric))).collect()
}

fn upstream() -> Collected {
    collect(include_str!("data/ecs/task_metadata.json"), include_str!("data/ecs/task_stats.json"))
}

fn fargate() -> Collected {
    collect(
        include_str!("data/ecs/task_metadata_fargate.json"),
        include_str!("data/ecs/task_stats_fargate.json"),
    )
}

#[track_caller]
fn check(batch: &MetricBatch, expected: &[(&str, Value)]) {
    for (name, expected) in expected {
        assert_eq!(value(metric(batch, name)), *expected, "{name}");
    }
}

#[test]
fn a_task_on_ec2_gives_its_containers_in_order_and_then_itself() {
    let found = upstream();
    assert_eq!(found.warnings, []);
    let names: Vec<_> =
        found.batches.iter().map(|batch| attributes(batch).get_str("container.name")).collect();
    assert_eq!(names, [Some("nginx100"), Some("nginx300"), Some("nginx200"), None]);
    let [first, second, ended, task] = found.batches.as_slice() else { unreachable!() };
    check(
        first,
        &[
            ("container.memory.utilized", json!((2_568_192 - 69_632) / 1_048_576)),
            ("container.cpu.cores", json!(2)),
            ("container.cpu.reserved", json!(100.0)),
            ("container.cpu.usage.vcpu", json!(0.0)),
            ("container.network.rate.rx", json!(10.0)),
        ],
    );
    check(
        second,
        &[
            ("container.network.io.usage.rx_bytes", json!(2156 + 100)),
            ("container.network.io.usage.rx_packets", json!(28 + 100)),
            ("container.storage.read_bytes", json!(3_452_928)),
            ("container.storage.write_bytes", json!(0)),
        ],
    );
    assert_eq!(values(ended), [("container.duration".to_owned(), json!(2_671_138.402_013_99))].into());
    assert_eq!(attributes(ended).get("aws.ecs.container.exit_code"), Some(&3i64.into()));
    assert_eq!(ended.resources[0].resource.schema_url, *"");
    check(
        task,
        &[
            ("ecs.task.memory.reserved", json!(256)),
            ("ecs.task.cpu.reserved", json!(100.0)),
            ("ecs.task.network.rate.rx", json!(111.091)),
            ("ecs.task.network.rate.tx", json!(110.322)),
            ("ecs.task.ephemeral_storage.reserved", json!(0)),
        ],
    );
    assert_eq!(task.resources[0].resource.schema_url, *"https://opentelemetry.io/schemas/1.40.0");
}

#[test]
fn a_fargate_task_of_cgroup_2_gives_exactly_upstreams_values() {
    let expected: BTreeMap<String, BTreeMap<String, Value>> =
        serde_json::from_str(include_str!("data/ecs/task_fargate_expected.json")).unwrap();
    let found = fargate();
    let key = |batch: &MetricBatch| match attributes(batch).get_str("container.name") {
        Some(name) => format!("container:{name}"),
        None => "task".to_owned(),
    };
    let got: BTreeMap<_, _> = found.batches.iter().map(|batch| (key(batch), values(batch))).collect();
    assert_eq!(got, expected);
    assert_eq!(found.warnings, []);
}

#[test]
fn units_and_kinds_are_those_of_the_table() {
    let table = [
        ("memory.usage", "Bytes", false),
        ("memory.usage.max", "Bytes", false),
        ("memory.usage.limit", "Bytes", false),
        ("memory.utilized", "MiB", false),
        ("memory.reserved", "MiB", false),
        ("cpu.usage.total", "Nanoseconds", true),
        ("cpu.usage.kernelmode", "Nanoseconds", true),
        ("cpu.usage.usermode", "Nanoseconds", true),
        ("cpu.usage.system", "Nanoseconds", true),
        ("cpu.cores", "Count", false),
        ("cpu.onlines", "Count", false),
        ("cpu.usage.vcpu", "vCPU", false),
        ("cpu.utilized", "None", false),
        ("cpu.reserved", "None", false),
        ("network.rate.rx", "Bytes/Second", false),
        ("network.rate.tx", "Bytes/Second", false),
        ("network.io.usage.rx_bytes", "Bytes", true),
        ("network.io.usage.tx_bytes", "Bytes", true),
        ("network.io.usage.rx_packets", "Count", true),
        ("network.io.usage.rx_errors", "Count", true),
        ("network.io.usage.rx_dropped", "Count", true),
        ("network.io.usage.tx_packets", "Count", true),
        ("network.io.usage.tx_errors", "Count", true),
        ("network.io.usage.tx_dropped", "Count", true),
        ("storage.read_bytes", "Bytes", true),
        ("storage.write_bytes", "Bytes", true),
    ];
    let found = upstream();
    let more = [("ephemeral_storage.utilized", "MiB", false), ("ephemeral_storage.reserved", "MiB", false)];
    for (batch, prefix, more) in
        [(&found.batches[0], "container.", &more[..0]), (&found.batches[3], "ecs.task.", &more[..])]
    {
        assert_eq!(batch.metric_count(), table.len() + more.len());
        for (suffix, unit, is_sum) in table.iter().chain(more) {
            let metric = metric(batch, &format!("{prefix}{suffix}"));
            assert_eq!(metric.unit, **unit, "{suffix}");
            match &metric.data {
                MetricData::Sum(sum) => {
                    assert!(is_sum, "{suffix}");
                    assert_eq!((sum.temporality, sum.is_monotonic), (Temporality::Cumulative, false));
                }
                MetricData::Gauge(_) => assert!(!is_sum, "{suffix}"),
                _ => panic!("{suffix}: neither gauge nor sum"),
            }
        }
        for (_, scope) in batch.scopes() {
            assert_eq!((scope.metrics.len(), scope.scope.name.as_str()), (1, ""));
        }
    }
}

#[test]
fn attributes_of_a_container_hold_those_of_its_task() {
    let found = upstream();
    let text = [
        ("aws.ecs.cluster.name", "test200"),
        (
            "aws.ecs.task.arn",
            "arn:aws:ecs:us-west-2:803860917211:task/test200/d22aaa11bf0e4ab19c2c940a1cbabbee",
        ),
        ("aws.ecs.task.id", "d22aaa11bf0e4ab19c2c940a1cbabbee"),
        ("aws.ecs.task.family", "three-nginx"),
        ("aws.ecs.task.version", "1"),
        ("aws.ecs.task.revision", "1"),
        ("aws.ecs.service.name", ""),
        ("cloud.availability_zone", "us-west-2a"),
        ("cloud.region", "us-west-2"),
        ("cloud.account.id", "803860917211"),
        ("aws.ecs.task.pull_started_at", "2020-07-30T22:12:25.705983342Z"),
        ("aws.ecs.task.pull_stopped_at", "2020-07-30T22:12:29.827677602Z"),
        ("aws.ecs.task.known_status", "RUNNING"),
        ("aws.ecs.task.launch_type", "ec2"),
        ("aws.ecs.launchtype", "ec2"),
    ];
    let expected: Attributes = text.into_iter().collect();
    assert!(attributes(&found.batches[3]).equals_unordered(&expected), "{:?}", attributes(&found.batches[3]));

    let mut expected: Attributes = [
        ("container.name", "nginx200"),
        ("container.id", "fffb51bc2ca1f0205be9579b893372e728cd3bf6823c006f417323565b8cb7d1"),
        ("aws.ecs.docker.name", "ecs-three-nginx-1-nginx200-9ef593decba69cf7b501"),
        ("container.image.name", "nginx"),
        ("container.image.tag", "latest"),
        (
            "aws.ecs.container.image.id",
            "sha256:8cf1bfb43ff5d9b05af9b6b63983440f137c6a08320fa7592197c1474ef30241",
        ),
        ("aws.ecs.container.created_at", "2020-07-30T22:12:29.842610987Z"),
        ("aws.ecs.container.started_at", "2020-07-30T22:12:30.95668701Z"),
        ("aws.ecs.container.finished_at", "2020-08-30T20:11:29.358701Z"),
        ("aws.ecs.container.know_status", "STOPPED"),
    ]
    .into_iter()
    .chain(text)
    .collect();
    expected.insert("aws.ecs.container.exit_code", 3i64);
    assert!(attributes(&found.batches[2]).equals_unordered(&expected), "{:?}", attributes(&found.batches[2]));
    let running = attributes(&found.batches[0]);
    assert_eq!(running.get("aws.ecs.container.finished_at"), None);
    assert_eq!(running.get("aws.ecs.container.exit_code"), None);
}

/// What ADOT's collector sent for the same answers: name with unit, attributes as labels.
#[test]
fn a_recorded_run_gives_what_adot_sent() {
    let sent: Value = serde_json::from_str(include_str!("data/ecs/golden/sent.json")).unwrap();
    let polls = sent["polls"].as_array().unwrap();
    assert_eq!(polls.len(), 9);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ecs/golden");
    let task_text = std::fs::read_to_string(format!("{folder}/task.json")).unwrap();
    for (number, poll) in polls.iter().enumerate() {
        let stats_text = std::fs::read_to_string(format!("{folder}/task-stats.{number:04}.json")).unwrap();
        let found = collect(&task_text, &stats_text);
        let task = found.batches.last().unwrap();
        let labels: BTreeMap<String, &str> = attributes(task)
            .iter()
            .map(|(key, value)| (key.replace('.', "_"), value.as_str().unwrap()))
            .collect();
        assert_eq!(json!(labels), sent["labels"], "poll {number}");
        let named: BTreeMap<String, f64> = values(task)
            .into_iter()
            .map(|(name, value)| {
                let unit = metric(task, &name).unit.replace('/', "_per_");
                (format!("{}_{unit}", name.replace('.', "_")), value.as_f64().unwrap())
            })
            .collect();
        for (name, value) in poll["values"].as_object().unwrap() {
            assert_eq!(named.get(name), value.as_f64().as_ref(), "poll {number}: {name}");
        }
    }
}

#[test]
fn the_utilisation_of_a_task_counts_in_1024ths_of_a_vcpu() {
    let task = fargate().batches.pop().unwrap();
    check(
        &task,
        &[
            ("ecs.task.cpu.reserved", json!(256.0)),
            ("ecs.task.cpu.utilized", json!(0.120_000_000_000_000_01 * 1024.0)),
        ],
    );
    // Nothing reserved: nothing to be a share of.
    let found = collect(r#"{"Containers": [{"DockerId": "a"}]}"#, &cpu_of("a", 3, 1));
    check(
        &found.batches[1],
        &[("ecs.task.cpu.usage.vcpu", json!(2e-9)), ("ecs.task.cpu.utilized", json!(0.0))],
    );
}

/// Statistics of a container that used `now - before` ns of CPU in a second.
fn cpu_of(id: &str, now: u64, before: u64) -> String {
    json!({id: {
        "id": id, "read": "2024-05-01T10:00:01Z", "preread": "2024-05-01T10:00:00Z",
        "cpu_stats": {"cpu_usage": {"total_usage": now}, "online_cpus": 2},
        "precpu_stats": {"cpu_usage": {"total_usage": before}},
    }})
    .to_string()
}

#[test]
fn a_container_without_statistics_is_not_measured() {
    let metadata =
        r#"{"Containers": [{"DockerId": "a"}, {"DockerId": "b"}, {"DockerId": "c"}, {"DockerId": "d"}]}"#;
    let found = collect(metadata, r#"{"a": null, "b": {}, "c": {"id": ""}}"#);
    assert_eq!(found.batches.len(), 1);
    assert_eq!(found.batches[0].metric_count(), 28);
    assert!(values(&found.batches[0]).values().all(|value| value.as_f64() == Some(0.0)));
}

#[test]
fn a_malformed_time_is_a_warning_and_a_duration_of_zero() {
    let metadata = r#"{"Containers": [
        {"Name": "x", "StartedAt": "yesterday", "FinishedAt": "2024-05-01T10:01:00.75Z"},
        {"Name": "y", "StartedAt": "2024-05-01T10:00:02.5Z", "FinishedAt": "2024-05-01T10:01:00.75Z"},
        {"Name": "z", "StartedAt": "2024-05-01T10:00:02.5Z"}]}"#;
    let found = collect(metadata, "{}");
    assert_eq!(found.batches.len(), 3);
    check(&found.batches[0], &[("container.duration", json!(0.0))]);
    check(&found.batches[1], &[("container.duration", json!(58.25))]);
    let texts: Vec<String> = found.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(texts, [r#"container x: StartedAt "yesterday" is not a time, its duration counts as 0"#]);
}

#[test]
fn without_a_reading_before_cpu_counts_as_zero_and_is_said() {
    for previous in [r#""precpu_stats": null"#, r#""precpu_stats": {}"#, r#""x": 0"#] {
        let stats = format!(
            r#"{{"a": {{"id": "a", "read": "2024-05-01T10:00:01Z", "preread": "0001-01-01T00:00:00Z",
                "cpu_stats": {{"cpu_usage": {{"total_usage": 5}}, "online_cpus": 2}}, {previous}}}}}"#
        );
        let found = collect(r#"{"Containers": [{"DockerId": "a", "Name": "app"}]}"#, &stats);
        assert_eq!(found.warnings, [Warning::NoPreviousReading { container: "app".into() }]);
        check(
            &found.batches[0],
            &[
                ("container.cpu.usage.total", json!(0)),
                ("container.cpu.onlines", json!(0)),
                ("container.cpu.usage.vcpu", json!(0.0)),
            ],
        );
    }
}

#[test]
fn readings_at_one_time_or_in_reverse_give_no_vcpu() {
    for read in ["2024-05-01T10:00:00Z", "2024-05-01T09:59:59Z"] {
        let text = cpu_of("a", 3, 1).replace("2024-05-01T10:00:01Z", read);
        let found = collect(r#"{"Containers": [{"DockerId": "a"}]}"#, &text);
        check(
            &found.batches[0],
            &[("container.cpu.usage.vcpu", json!(0.0)), ("container.cpu.usage.total", json!(3))],
        );
    }
}

#[test]
fn unsigned_numbers_wrap_and_are_sent_as_signed() {
    let one =
        r#"{"id": "ID", "memory_stats": {"usage": 1, "limit": 9223372036854775808, "stats": {"cache": 2}}}"#;
    let text = format!(r#"{{"a": {}, "b": {}}}"#, one.replace("ID", "a"), one.replace("ID", "b"));
    let found = collect(r#"{"Containers": [{"DockerId": "a"}, {"DockerId": "b"}]}"#, &text);
    check(
        &found.batches[0],
        &[
            ("container.memory.usage.limit", json!(i64::MIN)),
            ("container.memory.utilized", json!(u64::MAX / 1_048_576)),
        ],
    );
    check(&found.batches[2], &[("ecs.task.memory.usage.limit", json!(0))]);
}

#[test]
fn members_match_in_any_case_and_null_is_absent() {
    let metadata = r#"{"cluster": "c", "TASKARN": null, "Revision": "1", "revision": "2", "LIMITS": {"cpu": 0.25, "MEMORY": null},
        "unknown": [{"x": null}], "containers": [null, {"dockerid": "a", "Limits": null, "ExitCode": null}]}"#;
    let task = task(metadata);
    assert_eq!((task.cluster.as_str(), task.task_arn.as_str(), task.revision.as_str()), ("c", "", "2"));
    assert_eq!((task.limits.cpu, task.limits.memory), (Some(0.25), None));
    let stats = stats(
        r#"{"a": {"ID": "a", "networks": {"eth0": null, "eth1": {"rx_bytes": 7, "tx_bytes": null}}, "memory_stats": {"stats": null, "usage": 9},
            "cpu_stats": {"cpu_usage": {"percpu_usage": [1, null, 3]}}, "precpu_stats": {"cpu_usage": {}},
            "blkio_stats": {"io_service_bytes_recursive": [null, {"op": "Read", "value": 1}, {"op": "read", "value": 2}, {"op": "Read", "value": 4}]}}}"#,
    );
    let found = task_metrics(&task, &stats, AT_NS);
    check(
        &found.batches[0],
        &[
            ("container.network.io.usage.rx_bytes", json!(7)),
            ("container.memory.utilized", json!(0)),
            ("container.cpu.cores", json!(3)),
            ("container.storage.read_bytes", json!(5)),
        ],
    );
}

#[test]
fn truncated_or_wrongly_typed_answers_are_errors() {
    for text in
        ["", "{", r#"{"Cluster": 1}"#, r#"{"Containers": {}}"#, r#"{"Limits": {"Memory": -1}}"#, "[]", "null"]
    {
        assert!(serde_json::from_str::<TaskMetadata>(text).is_err(), "{text}");
    }
    for text in
        [r#"{"a": {"id": "a", "read": "soon"}}"#, r#"{"a": {"memory_stats": {"usage": 1.5}}}"#, r#"{"a": "#]
    {
        assert!(read_task_stats(&mut serde_json::Deserializer::from_str(text)).is_err(), "{text}");
    }
}
