//! What the processor makes of what detectors find, and of its settings.

use std::sync::{Arc, Mutex};

use otelpipe_core::batch::ResourceMetrics;
use otelpipe_core::resource::Resource;

use super::*;
use crate::config::yaml;
use crate::env::Env;
use crate::test_server::{Reply, Seen, TestServer, dead_url};

/// Builds the processor from YAML; messages are `path: text`.
fn built(yaml: &str, env: &Env, gates: &[&str]) -> (Option<Detected>, Vec<String>) {
    let mut problems = Problems::new();
    let node = yaml::parse(yaml, &Arc::from("c.yaml"), &mut problems).expect("valid YAML");
    let mut cx = crate::commands::run::context(env, crate::gates::defaults());
    let gates = cx.gates.iter().cloned().chain(gates.iter().map(|gate| (*gate).to_owned()));
    cx.gates = Arc::new(gates.collect());
    let id = ComponentId::parse("resourcedetection").expect("a valid id");
    let settings = Settings::read(&id, &node, &cx, &mut problems);
    let processor = settings.map(|settings| Detected::new(&id, settings, &cx));
    let cut = |path: &str| path.trim_start_matches("processors::resourcedetection").to_owned();
    let messages = problems.iter().map(|p| format!("{}: {}", cut(&p.path), p.message));
    (processor, messages.collect())
}

fn pass(processor: &mut dyn Processor, attributes: &[(&str, &str)]) -> Vec<(String, String)> {
    let attributes = attributes.iter().copied().collect();
    let resource = Resource { attributes, ..Resource::default() };
    let batch = MetricBatch { resources: vec![ResourceMetrics { resource, ..ResourceMetrics::default() }] };
    let mut out = Vec::new();
    processor.consume(batch.into(), 0, &mut out).expect("nothing is refused");
    let batch = out.swap_remove(0).into_batch();
    let found = &batch.resources[0].resource.attributes;
    let text = |value: &otelpipe_core::value::AttributeValue| {
        value.as_str().map_or_else(|| format!("{value:?}"), str::to_owned)
    };
    let mut pairs: Vec<_> = found.iter().map(|(key, value)| (key.to_string(), text(value))).collect();
    pairs.sort();
    pairs
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut expected: Vec<_> =
        expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    expected.sort();
    expected
}

/// What a started processor makes of these attributes.
async fn detected(yaml: &str, env: &Env, attributes: &[(&str, &str)]) -> Vec<(String, String)> {
    let (processor, messages) = built(yaml, env, &[]);
    assert_eq!(messages, Vec::<String>::new());
    let mut processor = processor.expect("the settings are valid");
    processor.start().await.expect("a failing detector does not stop the start");
    pass(&mut processor, attributes)
}

fn env(pairs: &[(&str, &str)]) -> Env {
    pairs.iter().copied().collect()
}

const EKS: [(&str, &str); 2] = [
    ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"),
];

#[tokio::test]
async fn detectors_named_first_win_as_in_case_e9() {
    let mut variables = EKS.to_vec();
    variables.push(("OTEL_RESOURCE_ATTRIBUTES", "cloud.provider=x"));
    let found = detected("detectors: [env, eks]", &env(&variables), &[]).await;
    assert_eq!(found, pairs(&[("cloud.provider", "x"), ("cloud.platform", "aws_eks")]));
    let found = detected("detectors: [' eks ', env]", &env(&variables), &[]).await;
    assert_eq!(found, pairs(&[("cloud.provider", "aws"), ("cloud.platform", "aws_eks")]));
}

#[tokio::test]
async fn override_decides_who_wins_as_in_case_e10() {
    let variables = env(&[("OTEL_RESOURCE_ATTRIBUTES", "a=new,b=1")]);
    let found = detected("", &variables, &[("a", "old")]).await;
    assert_eq!(found, pairs(&[("a", "new"), ("b", "1")]));
    let found = detected("override: false", &variables, &[("a", "old")]).await;
    assert_eq!(found, pairs(&[("a", "old"), ("b", "1")]));
}

#[tokio::test]
async fn the_old_allow_list_keeps_what_the_data_had_as_in_case_e11() {
    let variables = env(&[("OTEL_RESOURCE_ATTRIBUTES", "a=1,cloud.region=eu")]);
    let found = detected("attributes: [cloud.region]", &variables, &[("z", "1")]).await;
    assert_eq!(found, pairs(&[("z", "1"), ("cloud.region", "eu")]));
}

#[test]
fn the_second_variable_counts_only_if_the_first_is_blank_as_in_case_e8() {
    type Pairs = &'static [(&'static str, &'static str)];
    let cases: [(Pairs, Pairs); 3] = [
        (&[("OTEL_RESOURCE_ATTRIBUTES", " "), ("OTEL_RESOURCE", "x=1")], &[("x", "1")]),
        (&[("OTEL_RESOURCE_ATTRIBUTES", "y=2"), ("OTEL_RESOURCE", "x=1")], &[("y", "2")]),
        (&[], &[]),
    ];
    for (variables, expected) in cases {
        let (processor, messages) = built("", &env(variables), &[]);
        assert_eq!(messages, Vec::<String>::new());
        // Without a start, as in `replay`.
        assert_eq!(pass(&mut processor.expect("valid"), &[]), pairs(expected));
    }
}

#[test]
fn unknown_detectors_are_errors_and_those_of_others_warnings_as_in_case_e12() {
    let (processor, messages) = built("detectors: [env, nope]", &Env::default(), &[]);
    assert!(processor.is_none());
    assert_eq!(messages, ["::detectors[1]: invalid detector key: nope"]);
    let (processor, messages) = built("{detectors: [env, gcp], gcp: {}, env: {}}", &Env::default(), &[]);
    assert!(processor.is_some());
    assert_eq!(messages, ["::detectors[1]: otelpipe has no detector gcp: it finds nothing"]);
}

#[test]
fn mistakes_in_the_settings_point_to_their_place() {
    let cases = [
        ("ec2: {tags: ['^a', '(']}", "::ec2.tags[1]: failed creating detector type \"ec2\": "),
        (
            "eks: {resource_attributes: {k8s.cluster.nam: {enabled: true}}}",
            "::eks.resource_attributes.k8s.cluster.nam: the detector eks has no attribute k8s.cluster.nam",
        ),
        ("system: {hostname_sources: [dns, nis]}", "::system::hostname_sources[1]: "),
        ("nonsense: 1", ": unknown key `nonsense`"),
    ];
    for (yaml, message) in cases {
        let (_, messages) = built(yaml, &Env::default(), &[]);
        assert!(messages.len() == 1 && messages[0].starts_with(message), "{yaml}: {messages:?}");
    }
    let (processor, messages) = built("{timeout: 0s, tls: {insecure: true}}", &Env::default(), &[]);
    assert!(processor.is_some());
    assert_eq!(messages.len(), 2, "{messages:?}");
}

#[tokio::test]
async fn a_broken_variable_is_a_warning_and_with_the_gate_an_error_as_in_case_e14() {
    let variables = env(&[("OTEL_RESOURCE_ATTRIBUTES", "a=1,b"), ("HOSTNAME", "h")]);
    let yaml = "{detectors: [env, system], system: {hostname_sources: [os]}}";
    let (processor, messages) = built(yaml, &variables, &[]);
    assert_eq!(
        messages,
        ["::detectors[0]: the detector env takes nothing of OTEL_RESOURCE_ATTRIBUTES: no key=value at \"b\""]
    );
    let mut processor = processor.expect("it is a warning");
    processor.start().await.expect("it is a warning");
    let found = pass(&mut processor, &[]);
    assert_eq!(found.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["host.name", "os.type"]);
    let (processor, _) = built(yaml, &variables, &["processor.resourcedetection.propagateerrors"]);
    assert!(processor.is_none());
}

/// Answers of the metadata endpoint of a task.
fn task(seen: &Seen) -> Reply {
    match seen.path.as_str() {
        "/v4/id/task" => Reply::Status(
            200,
            r#"{"Cluster": "demo", "TaskARN": "arn:aws:ecs:eu-west-1:111122223333:task/demo/0123",
                "Family": "app", "Revision": "7", "LaunchType": "FARGATE"}"#
                .into(),
        ),
        "/v4/id" => Reply::Status(200, r#"{"DockerId": "me"}"#.into()),
        _ => Reply::Status(404, String::new()),
    }
}

#[tokio::test]
async fn ecs_gives_the_task_and_outside_of_ecs_nothing_as_in_case_e13() {
    let server = TestServer::start(task).await;
    let endpoint = format!("{}/v4/id", server.url());
    let inside = env(&[("ECS_CONTAINER_METADATA_URI_V4", &endpoint), ("OTEL_RESOURCE_ATTRIBUTES", "a=1")]);
    let yaml = "{detectors: [env, ecs], ecs: {resource_attributes: {cloud.account.id: {enabled: false}}}}";
    let found = detected(yaml, &inside, &[]).await;
    let expected = [
        ("a", "1"),
        ("aws.ecs.cluster.arn", "arn:aws:ecs:eu-west-1:111122223333:cluster/demo"),
        ("aws.ecs.launchtype", "fargate"),
        ("aws.ecs.task.arn", "arn:aws:ecs:eu-west-1:111122223333:task/demo/0123"),
        ("aws.ecs.task.family", "app"),
        ("aws.ecs.task.id", "0123"),
        ("aws.ecs.task.revision", "7"),
        ("cloud.platform", "aws_ecs"),
        ("cloud.provider", "aws"),
        ("cloud.region", "eu-west-1"),
    ];
    assert_eq!(found, pairs(&expected));
    let outside = env(&[("OTEL_RESOURCE_ATTRIBUTES", "a=1")]);
    assert_eq!(detected("detectors: [env, ecs]", &outside, &[]).await, pairs(&[("a", "1")]));
}

/// Answers of an instance's metadata service, version 2, and of the API of EC2.
fn instance(seen: &Seen) -> Reply {
    let authorized = seen.header("x-aws-ec2-metadata-token") == "t";
    let text = match seen.path.as_str() {
        "/latest/api/token" => "t",
        "/" if seen
            .body
            .starts_with(b"Action=DescribeTags&Filter.1.Name=resource-id&Filter.1.Value.1=i-1&") =>
        {
            "<item><key>team</key><value>a</value></item><item><key>other</key><value>b</value></item>"
        }
        "/" if seen.body.starts_with(b"Action=DescribeInstances&InstanceId.1=i-1&") => {
            "<ownerId>1</ownerId><privateDnsName>ip-1</privateDnsName><instanceType>m</instanceType>\
             <item><key>kubernetes.io/cluster/demo</key><value>owned</value></item>"
        }
        _ if !authorized => return Reply::Status(401, String::new()),
        "/latest/dynamic/instance-identity/document" => {
            r#"{"region": "eu-west-1", "availabilityZone": "eu-west-1a", "accountId": "111122223333",
                "instanceId": "i-1", "imageId": "ami-1", "instanceType": "m5.large"}"#
        }
        "/latest/meta-data/hostname" => "ip-10-0-0-1",
        "/latest/meta-data/tags/instance" => "team\nstage",
        "/latest/meta-data/tags/instance/team" => "a",
        "/latest/meta-data/tags/instance/stage" => "prod",
        _ => return Reply::Status(404, String::new()),
    };
    Reply::Status(200, text.into())
}

const INSTANCE: [(&str, &str); 9] = [
    ("cloud.provider", "aws"),
    ("cloud.platform", "aws_ec2"),
    ("cloud.region", "eu-west-1"),
    ("cloud.account.id", "111122223333"),
    ("cloud.availability_zone", "eu-west-1a"),
    ("host.id", "i-1"),
    ("host.image.id", "ami-1"),
    ("host.type", "m5.large"),
    ("host.name", "ip-10-0-0-1"),
];

fn aws(server: &TestServer) -> Env {
    let url = server.url();
    env(&[
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url),
        ("AWS_ENDPOINT_URL_EC2", &url),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ])
}

#[tokio::test]
async fn ec2_gives_the_instance_and_the_tags_that_match() {
    let server = TestServer::start(instance).await;
    let around = aws(&server);
    assert_eq!(detected("detectors: [ec2]", &around, &[]).await, pairs(&INSTANCE));
    let with = |tags: &[(&'static str, &'static str)]| pairs(&[&INSTANCE, tags].concat());
    let found = detected("{detectors: [ec2], ec2: {tags: [te]}}", &around, &[]).await;
    assert_eq!(found, with(&[("ec2.tag.team", "a")]));
    let found = detected("{detectors: [ec2], ec2: {tags: ['.'], tags_from_imds: true}}", &around, &[]).await;
    assert_eq!(found, with(&[("ec2.tag.team", "a"), ("ec2.tag.stage", "prod")]));
}

#[tokio::test]
async fn without_a_metadata_service_ec2_finds_nothing_unless_it_must() {
    let around = env(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &dead_url().await)]);
    assert_eq!(detected("detectors: [ec2]", &around, &[]).await, pairs(&[]));
    let yaml = "{detectors: [ec2], timeout: 100ms, ec2: {fail_on_missing_metadata: true}}";
    assert_eq!(detected(yaml, &around, &[]).await, pairs(&[]));
    let (processor, _) = built(yaml, &around, &["processor.resourcedetection.propagateerrors"]);
    let failure = processor.expect("valid").start().await.unwrap_err().to_string();
    assert!(failure.starts_with("failed to detect resource: ec2: no EC2 metadata service"), "{failure}");
}

#[tokio::test]
async fn a_hanging_service_costs_no_more_than_the_timeout_and_the_others_count() {
    let server = TestServer::start(|_: &Seen| Reply::Hang).await;
    let around = aws(&server)
        .with([("ECS_CONTAINER_METADATA_URI_V4", server.url()), ("OTEL_RESOURCE_ATTRIBUTES", "a=1".into())]);
    let found = detected("{detectors: [ec2, ecs, env], timeout: 50ms}", &around, &[]).await;
    assert_eq!(found, pairs(&[("a", "1")]));
}

#[tokio::test]
async fn eks_asks_for_details_only_where_they_are_wanted() {
    let server = TestServer::start(instance).await;
    let around = aws(&server).with(EKS);
    let usual = pairs(&[("cloud.provider", "aws"), ("cloud.platform", "aws_eks")]);
    assert_eq!(detected("detectors: [eks]", &around, &[]).await, usual);
    assert!(server.seen().is_empty());
    let yaml = "{detectors: [eks], eks: {resource_attributes: {k8s.cluster.name: {enabled: true}, \
                host.id: {enabled: true}, cloud.platform: {enabled: false}}}}";
    let found = detected(yaml, &around, &[]).await;
    assert_eq!(found, pairs(&[("cloud.provider", "aws"), ("host.id", "i-1"), ("k8s.cluster.name", "demo")]));
}

#[tokio::test]
async fn on_fargate_without_details_the_rest_is_kept_with_a_warning() {
    let around = env(&[("AWS_EC2_METADATA_DISABLED", "true")]).with(EKS);
    let yaml = "{detectors: [eks], timeout: 100ms, eks: {resource_attributes: {host.id: {enabled: true}}}}";
    let usual = pairs(&[("cloud.provider", "aws"), ("cloud.platform", "aws_eks")]);
    assert_eq!(detected(yaml, &around, &[]).await, usual);
    let (processor, _) = built(yaml, &around, &["processor.resourcedetection.propagateerrors"]);
    let failure = processor.expect("valid").start().await.unwrap_err().to_string();
    let start = "failed to detect resource: eks: can't get K8s Instance Metadata; node name is empty: ";
    assert!(failure.starts_with(start), "{failure}");
}

#[tokio::test]
async fn a_failing_service_is_asked_again() {
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let server = TestServer::start(move |seen: &Seen| {
        *count.lock().unwrap() += 1;
        let first = *count.lock().unwrap() == 1;
        if first { Reply::Status(500, String::new()) } else { task(seen) }
    })
    .await;
    let around = env(&[("ECS_CONTAINER_METADATA_URI_V4", &format!("{}/v4/id", server.url()))]);
    let found = detected("detectors: [ecs]", &around, &[]).await;
    assert!(found.contains(&("aws.ecs.task.id".to_owned(), "0123".to_owned())), "{found:?}");
    assert_eq!(*asked.lock().unwrap(), 3);
}

#[tokio::test]
async fn a_refresh_takes_what_is_new_and_keeps_what_was_found_when_it_fails() {
    let family = Arc::new(Mutex::new("one"));
    let current = Arc::clone(&family);
    let server = TestServer::start(move |seen: &Seen| match *current.lock().unwrap() {
        "down" => Reply::Status(500, String::new()),
        family if seen.path == "/task" => Reply::Status(200, format!(r#"{{"Family": "{family}"}}"#)),
        _ => Reply::Status(200, "{}".into()),
    })
    .await;
    let around = env(&[("ECS_CONTAINER_METADATA_URI_V4", &server.url())]);
    // A refusal is not asked again within half a second, so none costs time here.
    let yaml = "{detectors: [ecs], attributes: [aws.ecs.task.family], refresh_interval: 1ms, timeout: 400ms}";
    let (processor, _) = built(yaml, &around, &[]);
    let mut processor = processor.expect("valid");
    let mut rounds = processor.found.attributes.clone();
    processor.start().await.expect("it answers");
    let family_is = |found: &[(String, String)], name| found == pairs(&[("aws.ecs.task.family", name)]);
    assert!(family_is(&pass(&mut processor, &[]), "one"));
    *family.lock().unwrap() = "two";
    while !family_is(&pass(&mut processor, &[]), "two") {
        rounds.changed().await.expect("it goes on asking");
    }
    *family.lock().unwrap() = "down";
    rounds.mark_unchanged();
    for _ in ["the round under way", "one that failed"] {
        rounds.changed().await.expect("it goes on asking");
    }
    assert!(family_is(&pass(&mut processor, &[]), "two"));
}
