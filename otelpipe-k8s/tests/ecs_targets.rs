//! Which containers of a cluster become targets, by tables.

#![allow(clippy::unwrap_used, clippy::std_instead_of_core, reason = "a test")]

use otelpipe_k8s::ecs::api::{
    Attachment, Container, ContainerDefinition, Deployment, Detail, Ec2Instance, NetworkBinding, PortMapping,
    Service, Tag, Task, TaskDefinition,
};
use otelpipe_k8s::ecs::targets::{
    Cluster, DockerLabelConfig, EcsTarget, ObserverConfig, ObserverRules, ServiceConfig,
    TaskDefinitionConfig, write_yaml,
};

const ARN: &str = "arn:aws:ecs:eu-west-1:111122223333:task-definition/shop:3";

/// A cluster of one task `t1` of service `checkout`: containers `app` (port 9404, mapped to
/// 32001 on the machine) and `side` (port 8080, not mapped in bridge mode).
fn cluster(network_mode: &str) -> Cluster {
    let port = |port: i64| PortMapping {
        container_port: port,
        host_port: if network_mode == "bridge" { 0 } else { port },
    };
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    Cluster {
        name: "demo".into(),
        tasks: vec![Task {
            task_arn: "t1".into(),
            task_definition_arn: ARN.into(),
            launch_type: "EC2".into(),
            started_by: "ecs-svc/1".into(),
            group: "service:checkout".into(),
            health_status: "UNKNOWN".into(),
            container_instance_arn: "ci".into(),
            attachments: vec![Attachment {
                kind: "ElasticNetworkInterface".into(),
                details: vec![
                    Detail { name: "subnetId".into(), value: "subnet-1".into() },
                    Detail { name: "privateIPv4Address".into(), value: "10.0.1.23".into() },
                ],
            }],
            containers: vec![Container {
                name: "app".into(),
                network_bindings: vec![NetworkBinding { container_port: 9404, host_port: 32001 }],
            }],
            tags: vec![Tag { key: "cost-center".into(), value: "7".into() }],
        }],
        definitions: [(
            ARN.to_owned(),
            TaskDefinition {
                task_definition_arn: ARN.into(),
                family: "shop".into(),
                revision: 3,
                network_mode: network_mode.into(),
                containers: vec![
                    ContainerDefinition {
                        name: "app".into(),
                        docker_labels: [
                            label("PORT", "9404"),
                            label("com.shop/job", "java"),
                            label("PATH", "/m"),
                        ]
                        .into(),
                        port_mappings: vec![port(9404), port(9405)],
                    },
                    ContainerDefinition {
                        name: "side".into(),
                        docker_labels: [].into(),
                        port_mappings: vec![port(8080)],
                    },
                ],
            },
        )]
        .into(),
        services: vec![Service {
            name: "checkout".into(),
            deployments: vec![
                Deployment { id: "ecs-svc/0".into(), status: "INACTIVE".into() },
                Deployment { id: "ecs-svc/1".into(), status: "PRIMARY".into() },
                Deployment { id: "ecs-svc/2".into(), status: "ACTIVE".into() },
            ],
        }],
        instances: [(
            "ci".to_owned(),
            Ec2Instance {
                instance_id: "i-1".into(),
                instance_type: "m5.large".into(),
                private_ip: "10.0.0.5".into(),
                public_ip: String::new(),
                vpc_id: "vpc-1".into(),
                subnet_id: "subnet-1".into(),
                tags: vec![("aws:name".into(), "n1".into())],
            },
        )]
        .into(),
    }
}

fn service(name: &str, container: &str, ports: &[i64]) -> ObserverConfig {
    let service = ServiceConfig {
        name_pattern: name.into(),
        container_name_pattern: container.into(),
        job_name: "from-service".into(),
        metrics_ports: ports.into(),
        ..ServiceConfig::default()
    };
    ObserverConfig { services: vec![service], ..ObserverConfig::default() }
}

fn definition(arn: &str, ports: &[i64]) -> ObserverConfig {
    let config = TaskDefinitionConfig {
        arn_pattern: arn.into(),
        metrics_ports: ports.into(),
        ..TaskDefinitionConfig::default()
    };
    ObserverConfig { task_definitions: vec![config], ..ObserverConfig::default() }
}

fn docker(port_label: &str, job_name: &str) -> ObserverConfig {
    let config = DockerLabelConfig {
        port_label: port_label.into(),
        job_name_label: "com.shop/job".into(),
        metrics_path_label: "PATH".into(),
        job_name: job_name.into(),
        metrics_path: "/ignored".into(),
        ..DockerLabelConfig::default()
    };
    ObserverConfig { docker_labels: vec![config], ..ObserverConfig::default() }
}

/// `address container job path` of each target.
fn found(config: &ObserverConfig, cluster: &Cluster) -> Vec<String> {
    let targets = ObserverRules::compile(config).unwrap().targets(cluster).unwrap().targets;
    let label =
        |target: &EcsTarget, name: &str| target.labels.get(name).cloned().unwrap_or_else(|| "-".into());
    let text = |target: &EcsTarget| {
        let labels = ["__meta_ecs_container_name", "job", "__metrics_path__"].map(|name| label(target, name));
        format!("{} {}", target.address, labels.join(" "))
    };
    targets.iter().map(text).collect()
}

#[track_caller]
fn check(config: &ObserverConfig, network_mode: &str, expected: &[&str]) {
    assert_eq!(found(config, &cluster(network_mode)), expected, "{config:?} in {network_mode:?}");
}

#[test]
fn services_match_by_a_search_in_their_name() {
    check(&service("check", "", &[9404]), "awsvpc", &["10.0.1.23:9404 app from-service /metrics"]);
    check(&service("^out", "", &[9404]), "awsvpc", &[]);
    check(&service("checkout", "", &[]), "awsvpc", &[]);
    check(
        &service("checkout", "", &[8080, 9405]),
        "awsvpc",
        &["10.0.1.23:9405 app from-service /metrics", "10.0.1.23:8080 side from-service /metrics"],
    );
    check(
        &service("checkout", "^side$", &[8080, 9405]),
        "awsvpc",
        &["10.0.1.23:8080 side from-service /metrics"],
    );
}

#[test]
fn a_task_belongs_to_a_service_by_its_first_deployment_that_has_tasks() {
    for (started_by, count) in [("ecs-svc/1", 1), ("ecs-svc/0", 0), ("ecs-svc/2", 0), ("", 0)] {
        let mut cluster = cluster("awsvpc");
        cluster.tasks[0].started_by = started_by.into();
        assert_eq!(found(&service(".", "", &[9404]), &cluster).len(), count, "{started_by}");
    }
}

#[test]
fn task_definitions_match_by_a_search_in_their_arn() {
    check(&definition("/shop:", &[9404]), "awsvpc", &["10.0.1.23:9404 app - /metrics"]);
    check(&definition("shop$", &[9404]), "awsvpc", &[]);
}

#[test]
fn a_docker_label_names_the_port_the_job_and_the_path() {
    check(&docker("PORT", ""), "awsvpc", &["10.0.1.23:9404 app java /m"]);
    check(&docker("PORT", "mine"), "awsvpc", &["10.0.1.23:9404 app mine /m"]);
    check(&docker("OTHER", ""), "awsvpc", &[]);
    let mut unmapped = cluster("awsvpc");
    let container = &mut unmapped.definitions.get_mut(ARN).unwrap().containers[0];
    container.docker_labels.insert("PORT".into(), "1234".into());
    assert_eq!(found(&docker("PORT", ""), &unmapped), [""; 0]);
}

#[test]
fn a_docker_label_that_is_no_number_fails_the_whole_pass() {
    for value in ["", "http", "94.04", "9404 "] {
        let mut cluster = cluster("awsvpc");
        let container = &mut cluster.definitions.get_mut(ARN).unwrap().containers[0];
        container.docker_labels.insert("PORT".into(), value.into());
        let config =
            ObserverConfig { services: service("checkout", "", &[8080]).services, ..docker("PORT", "") };
        let error = ObserverRules::compile(&config).unwrap().targets(&cluster).unwrap_err();
        let expected =
            format!("task definition {ARN}: container app has the label PORT={value:?}, which is not a port");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn the_first_rule_wins_for_a_port_and_path() {
    let config = ObserverConfig {
        docker_labels: docker("PORT", "").docker_labels,
        task_definitions: definition("shop", &[9404]).task_definitions,
        services: service("checkout", "", &[9404]).services,
    };
    // The label's path is another one, so it is another target.
    check(&config, "awsvpc", &["10.0.1.23:9404 app from-service /metrics", "10.0.1.23:9404 app java /m"]);
}

#[test]
fn address_and_port_follow_the_network_mode() {
    for (mode, expected) in [
        ("awsvpc", Some("10.0.1.23:9404")),
        ("host", Some("10.0.0.5:9404")),
        ("bridge", Some("10.0.0.5:32001")),
        ("", Some("10.0.0.5:32001")),
        ("none", None),
    ] {
        let targets =
            ObserverRules::compile(&definition("shop", &[9404])).unwrap().targets(&cluster(mode)).unwrap();
        assert_eq!(targets.targets.first().map(|target| target.address.as_str()), expected, "{mode:?}");
        assert_eq!(targets.unreachable.is_empty(), expected.is_some(), "{mode:?}");
    }
}

#[test]
fn what_matches_and_cannot_be_reached_is_said() {
    let said = |config: &ObserverConfig, cluster: &Cluster| -> Vec<String> {
        let found = ObserverRules::compile(config).unwrap().targets(cluster).unwrap();
        found.unreachable.iter().map(ToString::to_string).collect()
    };
    let config = definition("shop", &[8080, 9404]);
    assert_eq!(said(&config, &cluster("bridge")), ["task t1: port 8080 of container side is not mapped"]);
    let mut without = cluster("host");
    without.instances.clear();
    assert_eq!(said(&config, &without), ["task t1: no private IP address in network mode \"host\""]);
    let mut without = cluster("awsvpc");
    without.tasks[0].attachments.clear();
    assert_eq!(said(&config, &without), ["task t1: no private IP address in network mode \"awsvpc\""]);
}

#[test]
fn settings_that_cannot_work_are_refused_with_their_path() {
    let error = |config: &ObserverConfig| ObserverRules::compile(config).unwrap_err().to_string();
    assert_eq!(error(&service("", "", &[])), "services[0].name_pattern: name_pattern is empty");
    assert_eq!(error(&definition("", &[])), "task_definitions[0].arn_pattern: arn_pattern is empty");
    assert_eq!(
        error(&service("a", "(", &[])),
        "services[0].container_name_pattern: error parsing regexp: missing closing ): `(`"
    );
    assert_eq!(error(&docker("", "")), "docker_labels[0].port_label: port_label is empty");
    let mut config = docker("PORT", "");
    config.docker_labels[0].metrics_ports = vec![1];
    assert_eq!(
        error(&config),
        "docker_labels[0].metrics_ports: metrics_ports for docker_labels is not supported: the label holds the port"
    );
}

#[test]
fn the_result_file_holds_upstreams_labels() {
    let rules = ObserverRules::compile(&docker("PORT", "")).unwrap();
    let targets = rules.targets(&cluster("bridge")).unwrap().targets;
    let expected = r#"- targets:
  - "10.0.0.5:32001"
  labels:
    __meta_ecs_cluster_name: demo
    __meta_ecs_container_labels_PATH: /m
    __meta_ecs_container_labels_PORT: "9404"
    __meta_ecs_container_labels_com_shop_job: java
    __meta_ecs_container_name: app
    __meta_ecs_ec2_instance_id: i-1
    __meta_ecs_ec2_instance_type: m5.large
    __meta_ecs_ec2_private_ip: "10.0.0.5"
    __meta_ecs_ec2_subnet_id: subnet-1
    __meta_ecs_ec2_tags_aws_name: n1
    __meta_ecs_ec2_vpc_id: vpc-1
    __meta_ecs_health_status: UNKNOWN
    __meta_ecs_service_name: checkout
    __meta_ecs_source: t1
    __meta_ecs_task_definition_family: shop
    __meta_ecs_task_definition_revision: "3"
    __meta_ecs_task_group: "service:checkout"
    __meta_ecs_task_launch_type: EC2
    __meta_ecs_task_started_by: ecs-svc/1
    __meta_ecs_task_tags_cost_center: "7"
    __metrics_path__: /m
    prometheus_job: java
"#;
    assert_eq!(write_yaml(&targets, "prometheus_job"), expected);
    assert_eq!(write_yaml(&[], "prometheus_job"), "[]\n");
}

#[test]
fn values_that_yaml_would_read_otherwise_are_quoted() {
    for (value, written) in [
        ("yes", r#""yes""#),
        ("", r#""""#),
        ("1e3", r#""1e3""#),
        ("a: b", r#""a: b""#),
        ("a\"\\b", r#""a\"\\b""#),
        ("a\nb\u{e9}", r#""a\U0000000ab\U000000e9""#),
        ("-x", r#""-x""#),
    ] {
        let target = EcsTarget { address: "h".into(), labels: [("l".to_owned(), value.to_owned())].into() };
        assert_eq!(write_yaml(&[target], "job"), format!("- targets:\n  - h\n  labels:\n    l: {written}\n"));
    }
}
