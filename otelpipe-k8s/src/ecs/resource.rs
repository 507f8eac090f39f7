//! Resource attributes of a task and of its containers.
//!
//! Source: contrib `receiver/awsecscontainermetricsreceiver`
//! `internal/awsecscontainermetrics/resource.go`.

use alloc::vec::Vec;

use otelpipe_core::attributes::{Attribute, Attributes};
use otelpipe_core::value::AttributeValue;

use super::metadata::{ContainerMetadata, TaskMetadata};

/// The attributes of a task. What the metadata do not say is an empty text.
pub fn task_attributes(task: &TaskMetadata) -> Attributes {
    Attributes::from_unique(task_list(task))
}

/// The attributes of a container, those of its task included.
pub fn container_attributes(task: &TaskMetadata, container: &ContainerMetadata) -> Attributes {
    let image = Image::parse(&container.image);
    let mut list: Vec<Attribute> = [
        ("container.name", container.name.as_str()),
        ("container.id", &container.docker_id),
        ("aws.ecs.docker.name", &container.docker_name),
        ("container.image.name", image.repository),
        ("aws.ecs.container.image.id", &container.image_id),
        ("container.image.tag", image.tag),
        ("aws.ecs.container.created_at", &container.created_at),
        ("aws.ecs.container.started_at", &container.started_at),
    ]
    .map(text)
    .into();
    if !container.finished_at.is_empty() {
        list.push(text(("aws.ecs.container.finished_at", &container.finished_at)));
    }
    // Upstream's spelling; dashboards know it.
    list.push(text(("aws.ecs.container.know_status", &container.known_status)));
    if let Some(code) = container.exit_code {
        list.push(("aws.ecs.container.exit_code".into(), AttributeValue::Int(code)));
    }
    list.extend(task_list(task));
    Attributes::from_unique(list)
}

fn task_list(task: &TaskMetadata) -> Vec<Attribute> {
    let arn = TaskArn::parse(&task.task_arn);
    let mut list: Vec<Attribute> = [
        ("aws.ecs.cluster.name", cluster_name(&task.cluster)),
        ("aws.ecs.task.arn", &task.task_arn),
        ("aws.ecs.task.id", arn.id),
        ("aws.ecs.task.family", &task.family),
        ("aws.ecs.task.version", &task.revision),
        ("aws.ecs.task.revision", &task.revision),
        ("aws.ecs.service.name", &task.service_name),
        ("cloud.availability_zone", &task.availability_zone),
        ("aws.ecs.task.pull_started_at", &task.pull_started_at),
        ("aws.ecs.task.pull_stopped_at", &task.pull_stopped_at),
        ("aws.ecs.task.known_status", &task.known_status),
        ("aws.ecs.task.launch_type", &task.launch_type),
        ("cloud.region", arn.region),
        ("cloud.account.id", arn.account),
    ]
    .map(text)
    .into();
    for known in ["ec2", "fargate"] {
        if task.launch_type.eq_ignore_ascii_case(known) {
            list.push(text(("aws.ecs.launchtype", known)));
        }
    }
    list
}

fn text((key, value): (&str, &str)) -> Attribute {
    (key.into(), AttributeValue::from(value))
}

/// The name in a cluster's ARN; anything else is a name already.
fn cluster_name(cluster: &str) -> &str {
    if cluster.starts_with("arn:aws") { cluster.rsplit('/').next().unwrap_or_default() } else { cluster }
}

/// What a task's ARN says. Upstream reads those of the main partition only, so all of it
/// is empty in China and GovCloud.
#[derive(Clone, Copy, Debug, Default)]
struct TaskArn<'a> {
    id: &'a str,
    region: &'a str,
    account: &'a str,
}

impl<'a> TaskArn<'a> {
    fn parse(arn: &'a str) -> Self {
        if !arn.starts_with("arn:aws:ecs") {
            return Self::default();
        }
        let place = arn.split('/').next().unwrap_or_default();
        let part = |at: usize| place.split(':').nth(at).unwrap_or_default();
        Self { id: arn.rsplit('/').next().unwrap_or_default(), region: part(3), account: part(4) }
    }
}

/// An image's name in two parts; a digest is left away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Image<'a> {
    repository: &'a str,
    tag: &'a str,
}

impl<'a> Image<'a> {
    fn parse(image: &'a str) -> Self {
        let named = image.split('@').next().unwrap_or_default();
        match named.rsplit_once(':') {
            // A colon before a slash is the registry's port.
            Some((repository, tag)) if !tag.contains('/') && !tag.is_empty() => Self { repository, tag },
            _ => Self { repository: named, tag: "latest" },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_a_repository_and_a_tag() {
        for (image, repository, tag) in [
            ("nginx:1.27", "nginx", "1.27"),
            ("nginx", "nginx", "latest"),
            ("repo:5000/team/app", "repo:5000/team/app", "latest"),
            ("repo:5000/team/app:2", "repo:5000/team/app", "2"),
            ("app@sha256:4d7620a3", "app", "latest"),
            ("app:3@sha256:4d7620a3", "app", "3"),
            ("", "", "latest"),
        ] {
            assert_eq!(Image::parse(image), Image { repository, tag }, "{image:?}");
        }
    }

    #[track_caller]
    fn check(task: TaskMetadata, key: &str, value: Option<&str>) {
        assert_eq!(task_attributes(&task).get_str(key), value, "{task:?}");
    }

    #[test]
    fn arns_of_the_main_partition_are_taken_apart() {
        let task = |arn: &str| TaskMetadata { task_arn: arn.into(), ..TaskMetadata::default() };
        let arn = "arn:aws:ecs:eu-west-1:111122223333:task/demo/0123";
        check(task(arn), "aws.ecs.task.id", Some("0123"));
        check(task(arn), "cloud.region", Some("eu-west-1"));
        check(task(arn), "cloud.account.id", Some("111122223333"));
        let china = "arn:aws-cn:ecs:cn-north-1:111122223333:task/demo/0123";
        check(task(china), "aws.ecs.task.arn", Some(china));
        check(task(china), "aws.ecs.task.id", Some(""));
        check(task(china), "cloud.region", Some(""));
        check(task("arn:aws:ecs"), "cloud.region", Some(""));
        check(task(""), "aws.ecs.task.id", Some(""));
    }

    #[test]
    fn a_cluster_is_named_or_given_as_an_arn() {
        let task = |cluster: &str| TaskMetadata { cluster: cluster.into(), ..TaskMetadata::default() };
        for (cluster, name) in [
            ("prod", "prod"),
            ("arn:aws:ecs:us-west-2:123456789012:cluster/prod", "prod"),
            ("arn:aws-cn:ecs:cn-north-1:123456789012:cluster/prod", "prod"),
            ("", ""),
        ] {
            check(task(cluster), "aws.ecs.cluster.name", Some(name));
        }
    }

    #[test]
    fn the_lower_case_launch_type_is_there_for_known_ones_only() {
        let task = |kind: &str| TaskMetadata { launch_type: kind.into(), ..TaskMetadata::default() };
        check(task("FARGATE"), "aws.ecs.launchtype", Some("fargate"));
        check(task("FARGATE"), "aws.ecs.task.launch_type", Some("FARGATE"));
        check(task("ec2"), "aws.ecs.launchtype", Some("ec2"));
        check(task("EXTERNAL"), "aws.ecs.launchtype", None);
        check(task(""), "aws.ecs.task.launch_type", Some(""));
    }
}
