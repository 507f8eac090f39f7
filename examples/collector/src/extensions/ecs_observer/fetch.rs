//! What the APIs say about a cluster, with a memory for what does not change.

use std::collections::{BTreeMap, BTreeSet};

use otelpipe_k8s::ecs::api::{Ec2Instance, Task, TaskDefinition};
use otelpipe_k8s::ecs::targets::{Cluster, ObserverRules};

use crate::aws::ecs::{EcsClient, EcsError};

/// Asks the APIs; remembers task definitions and machines of the tasks seen last.
#[derive(Debug)]
pub(super) struct Fetcher {
    pub(super) client: EcsClient,
    pub(super) cluster: String,
    definitions: BTreeMap<String, TaskDefinition>,
    instances: BTreeMap<String, Ec2Instance>,
}

impl Fetcher {
    pub(super) fn new(client: EcsClient, cluster: String) -> Self {
        Self { client, cluster, definitions: BTreeMap::new(), instances: BTreeMap::new() }
    }

    /// The cluster as it is now.
    pub(super) async fn fetch(&mut self, rules: &ObserverRules) -> Result<Cluster, EcsError> {
        let arns = self.client.list_tasks(&self.cluster).await?;
        let tasks = self.client.describe_tasks(&self.cluster, &arns).await?;
        self.learn_definitions(&tasks).await?;
        self.learn_instances(&tasks).await?;
        let mut services = Vec::new();
        if rules.wants_services() {
            let mut arns = self.client.list_services(&self.cluster).await?;
            arns.retain(|arn| rules.wants_service(arn.rsplit('/').next().unwrap_or_default()));
            services = self.client.describe_services(&self.cluster, &arns).await?;
        }
        Ok(Cluster {
            name: self.cluster.clone(),
            tasks,
            definitions: self.definitions.clone(),
            services,
            instances: self.instances.clone(),
        })
    }

    async fn learn_definitions(&mut self, tasks: &[Task]) -> Result<(), EcsError> {
        let used: BTreeSet<&str> = tasks.iter().map(|task| task.task_definition_arn.as_str()).collect();
        self.definitions.retain(|arn, _| used.contains(arn.as_str()));
        for arn in used {
            if !self.definitions.contains_key(arn) && !arn.is_empty() {
                let definition = self.client.describe_task_definition(arn).await?;
                self.definitions.insert(arn.to_owned(), definition);
            }
        }
        Ok(())
    }

    async fn learn_instances(&mut self, tasks: &[Task]) -> Result<(), EcsError> {
        let used: BTreeSet<&str> = tasks
            .iter()
            .filter(|task| task.launch_type == "EC2" && !task.container_instance_arn.is_empty())
            .map(|task| task.container_instance_arn.as_str())
            .collect();
        self.instances.retain(|arn, _| used.contains(arn.as_str()));
        let unknown: Vec<String> =
            used.into_iter().filter(|arn| !self.instances.contains_key(*arn)).map(str::to_owned).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let found = self.client.describe_container_instances(&self.cluster, &unknown).await?;
        let ids: Vec<String> = found.iter().map(|instance| instance.ec2_instance_id.clone()).collect();
        let machines = self.client.describe_instances(&ids).await?;
        for instance in found {
            let machine = machines.iter().find(|machine| machine.instance_id == instance.ec2_instance_id);
            if let Some(machine) = machine {
                self.instances.insert(instance.container_instance_arn, machine.clone());
            }
        }
        Ok(())
    }
}
