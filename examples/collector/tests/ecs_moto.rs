//! The `ecs_observer` extension against moto, an independent ECS and EC2.
//!
//! Needs `moto_server` (`pip install 'moto[server,logs,ecs,ec2]'`) in the path or under
//! `MOTO_SERVER`. Without it the tests say so and pass, unless `OTELPIPE_NEED_MOTO` is set.

#![allow(clippy::unwrap_used, clippy::std_instead_of_core, reason = "a test of a std program")]
#![allow(missing_docs, reason = "a test")]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use bytes::Bytes;
use http::Request;
use otelpipe_collector::aws::sign::{Scope, sign};
use otelpipe_collector::component::{BuildContext, Extension, Fatal};
use otelpipe_collector::components;
use otelpipe_collector::config::{CollectorConfig, ComponentId, Leniency, Problems, Section, decode, yaml};
use otelpipe_collector::http_client::Limits;
use serde_json::{Value, json};
use support::DEADLINE;
use support::folder::Folder;
use support::moto::Moto;
use support::process::Collector;
use support::server::{Reply, Server};

impl Moto {
    async fn ecs(&self, operation: &str, body: Value) -> Value {
        let request = Request::post(&self.url)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("AmazonEC2ContainerServiceV20141113.{operation}"))
            .body(Bytes::from(body.to_string()));
        let answer = self.send("ecs", request.unwrap()).await;
        serde_json::from_str(&answer).unwrap()
    }

    async fn ec2(&self, action: &str, query: &str) -> String {
        let request = Request::post(&self.url)
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(Bytes::from(format!("Action={action}&Version=2016-11-15&{query}")));
        self.send("ec2", request.unwrap()).await
    }

    async fn send(&self, service: &str, mut request: Request<Bytes>) -> String {
        let key = Credentials::new("AKIATEST", "s", None, None, "test");
        sign(&mut request, &key, Scope { region: "eu-west-1", service }, SystemTime::now()).unwrap();
        let limits = Limits { timeout: DEADLINE, max_body: 1 << 26 };
        let answer = self.http.fetch(request, limits).await.unwrap();
        let text = String::from_utf8(answer.body().to_vec()).unwrap();
        assert_eq!(answer.status(), 200, "{service}: {text}");
        text
    }

    /// A task on Fargate that belongs to a service, and one on a machine with host network.
    async fn set_up(&self) -> Cluster {
        self.ecs("CreateCluster", json!({"clusterName": "demo"})).await;
        for (family, mode, kind) in [("web", "awsvpc", "FARGATE"), ("node", "host", "EC2")] {
            let container = json!({
                "name": "app", "image": "x", "memory": 64, "cpu": 10,
                "dockerLabels": {"ECS_PROMETHEUS_EXPORTER_PORT": "9404", "com.shop/job": "java"},
                "portMappings": [{"containerPort": 9404, "hostPort": 9404}, {"containerPort": 9405, "hostPort": 9405}],
            });
            let definition = json!({
                "family": family, "networkMode": mode, "requiresCompatibilities": [kind], "cpu": "256", "memory": "512",
                "containerDefinitions": [container],
            });
            self.ecs("RegisterTaskDefinition", definition).await;
        }
        let images = self.ec2("DescribeImages", "").await;
        let run = format!(
            "ImageId={}&MinCount=1&MaxCount=1&InstanceType=m5.large&TagSpecification.1.ResourceType=instance\
             &TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=n1",
            element(&images, "imageId")
        );
        let machine = self.ec2("RunInstances", &run).await;
        let identity = json!({
            "instanceId": element(&machine, "instanceId"), "accountId": "123456789012", "region": "eu-west-1",
        });
        let register = json!({"cluster": "demo", "instanceIdentityDocument": identity.to_string()});
        self.ecs("RegisterContainerInstance", register).await;

        let service =
            json!({"cluster": "demo", "serviceName": "checkout", "taskDefinition": "web", "desiredCount": 0});
        let service = self.ecs("CreateService", service).await;
        let network = json!({"awsvpcConfiguration": {
            "subnets": [element(&self.ec2("DescribeSubnets", "").await, "subnetId")],
            "securityGroups": [element(&self.ec2("DescribeSecurityGroups", "").await, "groupId")],
        }});
        let web = json!({
            "cluster": "demo", "taskDefinition": "web", "launchType": "FARGATE", "networkConfiguration": network,
            "startedBy": service["service"]["deployments"][0]["id"], "tags": [{"key": "team", "value": "shop"}],
        });
        let web = self.ecs("RunTask", web).await["tasks"][0].take();
        let node = json!({"cluster": "demo", "taskDefinition": "node", "launchType": "EC2"});
        let node = self.ecs("RunTask", node).await["tasks"][0].take();
        Cluster { web, node, machine }
    }
}

struct Cluster {
    web: Value,
    node: Value,
    /// The answer of `RunInstances`.
    machine: String,
}

/// The text of the first element of that name.
fn element<'x>(xml: &'x str, name: &str) -> &'x str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap();
    rest.split_once(&format!("</{name}>")).unwrap().0
}

fn observer(url: &str, settings: &str) -> Box<dyn Extension> {
    let env = [
        ("AWS_ACCESS_KEY_ID", "AKIATEST"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ENDPOINT_URL", url),
    ];
    let cx = BuildContext {
        env: env.into_iter().collect(),
        metrics: Arc::default(),
        version: "test",
        now_ns: 0,
        gates: Arc::default(),
        authenticators: Default::default(),
        handover: Default::default(),
    };
    let mut problems = Problems::new();
    let text = format!(
        "receivers: {{prometheus: {{config: {{scrape_configs: []}}}}}}\nexporters: {{debug: }}\n\
         extensions:\n  ecs_observer:\n    refresh_interval: 50ms\n{settings}\n\
         service:\n  extensions: [ecs_observer]\n  pipelines: {{metrics: {{receivers: [prometheus], exporters: [debug]}}}}\n"
    );
    let node = yaml::parse(&text, &Arc::from("observer.yaml"), &mut problems).unwrap();
    let config = CollectorConfig::read(node, &mut problems);
    let component = config.find(Section::Extensions, &ComponentId::parse("ecs_observer").unwrap()).unwrap();
    let extension = components::extension(component, &cx, &mut problems);
    assert!(problems.is_empty(), "{}", problems.render(false));
    extension.unwrap()
}

#[tokio::test]
async fn tasks_of_a_cluster_become_targets_in_the_result_file() {
    let Some(moto) = Moto::start("tasks of a cluster become targets") else { return };
    let cluster = moto.set_up().await;
    let folder = Folder::new("ecs_observer");
    let file = folder.path().join("targets.yaml");
    let settings = format!(
        "    cluster_name: demo\n    result_file: {}\n    services:\n      - name_pattern: ^check\n        metrics_ports: [9405]\n        \
         job_name: shop\n    docker_labels:\n      - port_label: ECS_PROMETHEUS_EXPORTER_PORT\n        job_name_label: com.shop/job",
        file.display()
    );
    let mut observer = observer(&moto.url, &settings);
    observer.start().await.unwrap();
    let written = tokio::time::timeout(DEADLINE, async {
        loop {
            if let Ok(text) = std::fs::read_to_string(&file) {
                break text;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let written = written.await.unwrap();
    observer.shutdown().await;

    let Cluster { web, node, machine } = cluster;
    let details = web["attachments"][0]["details"].as_array().unwrap();
    let web_ip =
        details.iter().find(|detail| detail["name"] == "privateIPv4Address").unwrap()["value"].clone();
    let web_ip = web_ip.as_str().unwrap();
    let node_ip = element(&machine, "privateIpAddress");
    let target = |address: &str, labels: &[(&str, &str)]| {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
        json!({"targets": [address], "labels": labels.collect::<serde_json::Map<_, _>>()})
    };
    let common = [
        ("__metrics_path__", "/metrics"),
        ("__meta_ecs_cluster_name", "demo"),
        ("__meta_ecs_container_name", "app"),
        ("__meta_ecs_container_labels_ECS_PROMETHEUS_EXPORTER_PORT", "9404"),
        ("__meta_ecs_container_labels_com_shop_job", "java"),
        ("__meta_ecs_health_status", ""),
        ("__meta_ecs_task_definition_revision", "1"),
    ];
    let started_by = web["startedBy"].as_str().unwrap();
    let of_web = [
        ("__meta_ecs_source", web["taskArn"].as_str().unwrap()),
        ("__meta_ecs_service_name", "checkout"),
        ("__meta_ecs_task_definition_family", "web"),
        ("__meta_ecs_task_group", "family:web"),
        ("__meta_ecs_task_launch_type", "FARGATE"),
        ("__meta_ecs_task_started_by", started_by),
        ("__meta_ecs_task_tags_team", "shop"),
    ];
    let of_node = [
        ("__meta_ecs_source", node["taskArn"].as_str().unwrap()),
        ("__meta_ecs_task_definition_family", "node"),
        ("__meta_ecs_task_group", "family:node"),
        ("__meta_ecs_task_launch_type", "EC2"),
        ("__meta_ecs_task_started_by", ""),
        ("__meta_ecs_ec2_instance_id", element(&machine, "instanceId")),
        ("__meta_ecs_ec2_instance_type", "m5.large"),
        ("__meta_ecs_ec2_private_ip", node_ip),
        ("__meta_ecs_ec2_public_ip", element(&machine, "ipAddress")),
        ("__meta_ecs_ec2_subnet_id", element(&machine, "subnetId")),
        ("__meta_ecs_ec2_vpc_id", element(&machine, "vpcId")),
        ("__meta_ecs_ec2_tags_Name", "n1"),
        ("prometheus_job", "java"),
    ];
    let labels = |own: &[(&'static str, &str)], job: Option<&'static str>| {
        let job = job.map(|job| ("prometheus_job", job));
        common.iter().chain(own).copied().chain(job).map(|(n, v)| (n, v.to_owned())).collect::<Vec<_>>()
    };
    let expected = [
        (format!("{web_ip}:9405"), labels(&of_web, Some("shop"))),
        (format!("{web_ip}:9404"), labels(&of_web, Some("java"))),
        (format!("{node_ip}:9404"), labels(&of_node, None)),
    ]
    .map(|(address, labels)| {
        let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        target(&address, &labels)
    });

    let mut problems = Problems::new();
    let node = yaml::parse(&written, &Arc::from("targets.yaml"), &mut problems).unwrap();
    assert!(problems.is_empty(), "{}", problems.render(false));
    let mut read: Vec<Value> = decode(&node, "", Leniency::Strict, &mut problems).unwrap();
    let mut expected = expected.to_vec();
    for list in [&mut read, &mut expected] {
        list.sort_by_key(|target| target["targets"][0].as_str().unwrap().to_owned());
    }
    assert_eq!(json!(read), json!(expected));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
}

#[tokio::test]
async fn targets_are_scraped_at_once_and_without_the_file() {
    let Some(moto) = Moto::start("targets are scraped at once") else { return };
    moto.set_up().await;
    let app = Server::http(|_| Reply::exposition("up_and_running 1\n"));
    let folder = Folder::new("ecs_observer_fed");
    // A folder that does not exist: the file cannot be written.
    let file = folder.path().join("missing/targets.yaml");
    let config = folder.write(
        "config.yaml",
        format!(
            "extensions:
  ecs_observer:
    cluster_name: demo
    refresh_interval: 200ms
    result_file: {file}
    docker_labels: []
    services: [{{ name_pattern: ^check, metrics_ports: [9405] }}]
receivers:
  prometheus:
    config:
      scrape_configs:
      - job_name: ecs
        scrape_interval: 250ms
        scrape_timeout: 250ms
        file_sd_configs: [{{ files: ['{file}'], refresh_interval: 1h }}]
        relabel_configs:
        - {{ source_labels: [__meta_ecs_service_name, __address__], regex: '(.*);.*:(.*)', target_label: found, replacement: $$1-$$2 }}
        - {{ target_label: __address__, replacement: '{}' }}
exporters:
  debug: {{ verbosity: detailed }}
service:
  extensions: [ecs_observer]
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    metrics: {{ receivers: [prometheus], exporters: [debug] }}
",
            app.address(),
            file = file.display(),
        ),
    );
    let env = [
        ("AWS_ACCESS_KEY_ID", "AKIATEST"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ENDPOINT_URL", &moto.url),
    ];
    let collector = Collector::start(&["--config", &config], &env);
    app.wait_for("scrape", |seen| seen.iter().any(|seen| seen.path == "/metrics").then_some(()));
    collector.wait_for_line(&["-> found: Str(checkout-9405)"]);
    collector.wait_for_line(&["ecs_observer: cannot write", "missing/targets.yaml"]);
    let ended = collector.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn a_cluster_that_does_not_exist_stops_the_collector() {
    let Some(moto) = Moto::start("a cluster that does not exist") else { return };
    let mut observer = observer(&moto.url, "    cluster_name: nowhere");
    let (fatal, mut reports) = Fatal::channel();
    observer.attach(fatal);
    observer.start().await.unwrap();
    let error = tokio::time::timeout(DEADLINE, reports.recv()).await.unwrap().unwrap().to_string();
    observer.shutdown().await;
    assert!(error.starts_with("ecs:ListTasks: 400 ClusterNotFoundException: "), "{error}");
    assert!(error.ends_with("; check cluster_name and cluster_region"), "{error}");
}
