//! The configurations below `deploy` are valid, and the EKS one makes documents.

#![allow(clippy::unwrap_used, clippy::std_instead_of_core, reason = "a test of a std program")]
#![allow(missing_docs, reason = "a test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(relative)
}

fn otelpipe(command: &str, config: &str) -> Command {
    let mut process = Command::new(env!("CARGO_BIN_EXE_otelpipe"));
    process.arg(command).arg("--config").arg(path(config)).env_clear();
    process.envs([
        ("AWS_REGION", "us-west-2"),
        (
            "AMP_ENDPOINT",
            "https://aps-workspaces.us-west-2.amazonaws.com/workspaces/ws-1/api/v1/remote_write",
        ),
        ("ECS_CONTAINER_METADATA_URI_V4", "http://127.0.0.1:9/v4/task"),
        ("KUBERNETES_SERVICE_HOST", "10.100.0.1"),
        ("KUBERNETES_SERVICE_PORT", "443"),
        ("OTEL_RESOURCE_ATTRIBUTES", "ClusterName=my-cluster"),
    ]);
    process
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn every_configuration_to_copy_is_valid() {
    for config in CONFIGS {
        let output = otelpipe("check", config).output().unwrap();
        assert!(output.status.success(), "{config}: {}", text(&output));
    }
}

const CONFIGS: [&str; 3] = ["deploy/eks/config.yaml", "deploy/ecs/config.yaml", "deploy/compose/config.yaml"];

#[test]
fn the_eks_configuration_sends_every_metric_it_declares() {
    let recording = path("examples/collector/tests/data/golden/eks-stages");
    let output = otelpipe("replay", CONFIGS[0]).arg("--input").arg(recording).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let documents = String::from_utf8(output.stdout).unwrap();
    for metric in
        ["pod_cpu_usage_total", "pod_memory_working_set", "pod_network_rx_bytes", "pod_network_tx_bytes"]
    {
        assert!(documents.contains(&format!(r#"{{"Name":"{metric}""#)), "{metric} in\n{documents}");
    }
}
