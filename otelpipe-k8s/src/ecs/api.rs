//! What the APIs of ECS and EC2 answer about a cluster, reduced to what finding targets
//! reads.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::json::records;

records! {
    /// Answer of `ListTasks`, a page of it.
    TaskList {
        /// ARNs.
        task_arns: Vec<String> = "taskArns",
        /// Asks for the page after this; empty on the last.
        next_token: String = "nextToken",
    }
    /// Answer of `ListServices`, a page of it.
    ServiceList {
        /// ARNs.
        service_arns: Vec<String> = "serviceArns",
        /// Asks for the page after this; empty on the last.
        next_token: String = "nextToken",
    }
    /// Answer of `DescribeTasks`.
    DescribedTasks {
        /// Those that exist.
        tasks: Vec<Task> = "tasks",
    }
    /// Answer of `DescribeServices`.
    DescribedServices {
        /// Those that exist.
        services: Vec<Service> = "services",
    }
    /// Answer of `DescribeTaskDefinition`.
    DescribedTaskDefinition {
        /// The definition.
        task_definition: TaskDefinition = "taskDefinition",
    }
    /// Answer of `DescribeContainerInstances`.
    DescribedContainerInstances {
        /// Those that exist.
        container_instances: Vec<ContainerInstance> = "containerInstances",
    }
    /// A task.
    Task {
        /// Its ARN.
        task_arn: String = "taskArn",
        /// ARN of its definition.
        task_definition_arn: String = "taskDefinitionArn",
        /// `EC2`, `FARGATE` or `EXTERNAL`.
        launch_type: String = "launchType",
        /// Who started it: the id of a service's deployment, or anything.
        started_by: String = "startedBy",
        /// `service:NAME` or `family:NAME`.
        group: String = "group",
        /// `HEALTHY`, `UNHEALTHY`, `UNKNOWN`.
        health_status: String = "healthStatus",
        /// The machine in its cluster; empty on Fargate.
        container_instance_arn: String = "containerInstanceArn",
        /// Its network interfaces and disks.
        attachments: Vec<Attachment> = "attachments",
        /// Its containers.
        containers: Vec<Container> = "containers",
        /// Its tags.
        tags: Vec<Tag> = "tags",
    }
    /// Something that belongs to a task.
    Attachment {
        /// `ElasticNetworkInterface`.
        kind: String = "type",
        /// `privateIPv4Address` and others.
        details: Vec<Detail> = "details",
    }
    /// A detail of an attachment.
    Detail {
        /// What it says.
        name: String = "name",
        /// Its value.
        value: String = "value",
    }
    /// A container as it runs.
    Container {
        /// Its name in the task definition.
        name: String = "name",
        /// Its ports on the machine, in bridge mode.
        network_bindings: Vec<NetworkBinding> = "networkBindings",
    }
    /// A port of a container on its machine.
    NetworkBinding {
        /// In the container.
        container_port: i64 = "containerPort",
        /// On the machine.
        host_port: i64 = "hostPort",
    }
    /// A tag of a task.
    Tag {
        /// Its name.
        key: String = "key",
        /// Its value.
        value: String = "value",
    }
    /// What tasks are made from.
    TaskDefinition {
        /// Its ARN.
        task_definition_arn: String = "taskDefinitionArn",
        /// Its name.
        family: String = "family",
        /// Its number within the family.
        revision: i64 = "revision",
        /// `awsvpc`, `bridge`, `host`, `none`; empty for the machine's default, bridge.
        network_mode: String = "networkMode",
        /// Its containers.
        containers: Vec<ContainerDefinition> = "containerDefinitions",
    }
    /// What a container is made from.
    ContainerDefinition {
        /// Its name.
        name: String = "name",
        /// Labels that Docker gives it.
        docker_labels: BTreeMap<String, String> = "dockerLabels",
        /// Its ports.
        port_mappings: Vec<PortMapping> = "portMappings",
    }
    /// A port of a container that is reachable from outside.
    PortMapping {
        /// In the container.
        container_port: i64 = "containerPort",
        /// On the machine, or the task's interface; 0 for any that is free.
        host_port: i64 = "hostPort",
    }
    /// What keeps a number of tasks running.
    Service {
        /// Its name.
        name: String = "serviceName",
        /// Versions of it that have tasks.
        deployments: Vec<Deployment> = "deployments",
    }
    /// A version of a service.
    Deployment {
        /// What its tasks say in `startedBy`.
        id: String = "id",
        /// `PRIMARY`, `ACTIVE`, `INACTIVE`.
        status: String = "status",
    }
    /// A machine of a cluster.
    ContainerInstance {
        /// Its ARN.
        container_instance_arn: String = "containerInstanceArn",
        /// Its id in EC2.
        ec2_instance_id: String = "ec2InstanceId",
    }
}

/// A machine in EC2. What the API does not say is empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ec2Instance {
    /// `i-0123…`
    pub instance_id: String,
    /// `m5.large`
    pub instance_type: String,
    /// Address within its network.
    pub private_ip: String,
    /// Address outside of it.
    pub public_ip: String,
    /// Its network.
    pub vpc_id: String,
    /// Its part of the network.
    pub subnet_id: String,
    /// Key and value.
    pub tags: Vec<(String, String)>,
}
