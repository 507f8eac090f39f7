//! Attributes of an ECS task.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec::Vec;

use otelpipe_core::attributes::Attributes;
use otelpipe_core::value::AttributeValue;

use crate::ecs::metadata::{LogOptions, TaskMetadata};

/// The attributes of a task. `own_docker_id` is the container that asks: its own logs do
/// not count. Version 3 of the endpoint says neither launch type nor log drivers.
///
/// ```
/// use otelpipe_k8s::detect::ecs::attributes;
/// use otelpipe_k8s::ecs::metadata::TaskMetadata;
///
/// let task = TaskMetadata {
///     cluster: "demo".into(),
///     task_arn: "arn:aws:ecs:eu-west-1:111122223333:task/demo/0123".into(),
///     launch_type: "FARGATE".into(),
///     ..TaskMetadata::default()
/// };
/// let found = attributes(&task, "");
/// assert_eq!(found.get_str("aws.ecs.task.id"), Some("0123"));
/// assert_eq!(found.get_str("aws.ecs.cluster.arn"), Some("arn:aws:ecs:eu-west-1:111122223333:cluster/demo"));
/// assert_eq!(found.get_str("aws.ecs.launchtype"), Some("fargate"));
/// ```
///
/// Source: `internal/aws/ecs/ecs.go`.
pub fn attributes(task: &TaskMetadata, own_docker_id: &str) -> Attributes {
    let part = |at: usize| task.task_arn.split(':').nth(at).unwrap_or_default();
    let (region, account) = (part(3), part(4));
    let cluster = if task.cluster.contains(':') || task.cluster.is_empty() {
        task.cluster.clone()
    } else {
        format!("arn:aws:ecs:{region}:{account}:cluster/{}", task.cluster)
    };
    let launch_type = match task.launch_type.to_ascii_lowercase().as_str() {
        "ec2" => "ec2",
        "fargate" => "fargate",
        _ => "",
    };
    let task_id = task.task_arn.rsplit_once('/').map_or("", |(_, id)| id);
    let mut found: Attributes = [
        ("cloud.provider", "aws"),
        ("cloud.platform", "aws_ecs"),
        ("aws.ecs.task.arn", &task.task_arn),
        ("aws.ecs.task.family", &task.family),
        ("aws.ecs.task.revision", &task.revision),
        ("aws.ecs.task.id", task_id),
        ("aws.ecs.cluster.arn", &cluster),
        ("cloud.account.id", account),
        ("cloud.region", region),
        ("cloud.availability_zone", &task.availability_zone),
        ("aws.ecs.launchtype", launch_type),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .collect();
    add_logs(task, own_docker_id, account, &mut found);
    found
}

fn add_logs(task: &TaskMetadata, own_docker_id: &str, account: &str, found: &mut Attributes) {
    let logging = task.containers.iter().filter(|container| {
        container.container_type == "NORMAL"
            && container.known_status == "RUNNING"
            && container.log_driver == "awslogs"
            && container.docker_id != own_docker_id
    });
    let mut lists: [Vec<AttributeValue>; 4] = Default::default();
    for LogOptions { group, region, stream } in logging.map(|container| &container.log_options) {
        let group_arn = format!("arn:aws:logs:{region}:{account}:log-group:{group}");
        let stream_arn = format!("{group_arn}:log-stream:{stream}");
        for (list, text) in lists.iter_mut().zip([group.to_owned(), group_arn, stream.to_owned(), stream_arn])
        {
            list.push(text.into());
        }
    }
    let keys = ["aws.log.group.names", "aws.log.group.arns", "aws.log.stream.names", "aws.log.stream.arns"];
    for (key, list) in keys.into_iter().zip(lists) {
        if !list.is_empty() {
            found.insert(key, AttributeValue::Array(list.into()));
        }
    }
}

#[cfg(test)]
#[cfg(feature = "serde")]
mod tests {
    use super::*;
    use alloc::vec;

    fn task() -> TaskMetadata {
        serde_json::from_str(
            r#"{"Cluster": "arn:aws:ecs:ap-northeast-1:111122223333:cluster/c",
                "TaskARN": "arn:aws:ecs:ap-northeast-1:111122223333:task/c/158d", "Family": "app", "Revision": "42",
                "AvailabilityZone": "ap-northeast-1a", "LaunchType": "EC2", "Limits": {"CPU": 0.25}, "Containers": [
                {"DockerId": "me", "Type": "NORMAL", "KnownStatus": "RUNNING", "LogDriver": "awslogs",
                 "LogOptions": {"awslogs-group": "mine"}},
                {"DockerId": "app", "Type": "NORMAL", "KnownStatus": "RUNNING", "LogDriver": "awslogs",
                 "LogOptions": {"awslogs-group": "/ecs/app", "awslogs-region": "eu-west-1", "awslogs-stream": "s/1"}},
                {"DockerId": "old", "Type": "NORMAL", "KnownStatus": "STOPPED", "LogDriver": "awslogs"},
                {"DockerId": "pause", "Type": "CNI_PAUSE", "KnownStatus": "RUNNING", "LogDriver": "awslogs"},
                {"DockerId": "other", "Type": "NORMAL", "KnownStatus": "RUNNING", "LogDriver": "fluentd"}]}"#,
        )
        .expect("valid JSON")
    }

    #[test]
    fn a_task_gives_its_place_and_the_logs_of_its_other_containers() {
        let list = |text: &str| AttributeValue::Array(vec![AttributeValue::from(text)].into());
        let text = |text: &str| AttributeValue::from(text);
        let group = "arn:aws:logs:eu-west-1:111122223333:log-group:/ecs/app";
        let expected: Attributes = [
            ("cloud.provider", text("aws")),
            ("cloud.platform", text("aws_ecs")),
            ("aws.ecs.task.arn", text("arn:aws:ecs:ap-northeast-1:111122223333:task/c/158d")),
            ("aws.ecs.task.family", text("app")),
            ("aws.ecs.task.revision", text("42")),
            ("aws.ecs.task.id", text("158d")),
            ("aws.ecs.cluster.arn", text("arn:aws:ecs:ap-northeast-1:111122223333:cluster/c")),
            ("cloud.account.id", text("111122223333")),
            ("cloud.region", text("ap-northeast-1")),
            ("cloud.availability_zone", text("ap-northeast-1a")),
            ("aws.ecs.launchtype", text("ec2")),
            ("aws.log.group.names", list("/ecs/app")),
            ("aws.log.group.arns", list(group)),
            ("aws.log.stream.names", list("s/1")),
            ("aws.log.stream.arns", list(&format!("{group}:log-stream:s/1"))),
        ]
        .into_iter()
        .collect();
        assert_eq!(attributes(&task(), "me"), expected);
    }

    #[test]
    fn null_stands_for_what_is_not_known_as_in_go() {
        let text = r#"{"Cluster": null, "TaskARN": "arn:aws:ecs:r:1:task/c/t", "Containers": [null], "Limits": null}"#;
        let task: TaskMetadata = serde_json::from_str(text).expect("valid JSON");
        let found = attributes(&task, "");
        assert_eq!((found.get_str("aws.ecs.task.id"), found.get("aws.ecs.cluster.arn")), (Some("t"), None));
    }

    #[test]
    fn without_logging_containers_there_are_no_log_attributes() {
        let task = TaskMetadata { containers: Vec::new(), launch_type: "EXTERNAL".into(), ..task() };
        let found = attributes(&task, "");
        assert_eq!(found.get("aws.log.group.names"), None);
        assert_eq!(found.get("aws.ecs.launchtype"), None);
    }
}
