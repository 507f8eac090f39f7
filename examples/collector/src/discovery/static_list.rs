//! `static_configs`: targets written in the configuration.

use crate::config::{Node, Problems};

use super::{TargetGroup, read_groups};

/// Reads `static_configs`. Without relabeling, an address that holds a `/` can never
/// be right, so it is an error here and not at every scrape.
pub fn read(node: &Node, path: &str, relabeled: bool, problems: &mut Problems) -> Vec<TargetGroup> {
    let groups = read_groups(node, path, "", problems);
    if !relabeled {
        for group in &groups {
            let at = group.source.trim_start_matches(':'); // its number in the list
            for (index, target) in group.targets.iter().enumerate() {
                let address = target.get("__address__").unwrap_or_default();
                if address.contains('/') {
                    let place = format!("[{at}].targets[{index}]");
                    problems.error(
                        Some(&node.at_path(&place).span),
                        &format!("{path}{place}"),
                        format!("{address:?} is not a valid hostname"),
                        Some(
                            "write host:port; scheme and path have keys of their own: scheme, metrics_path"
                                .into(),
                        ),
                    );
                }
            }
        }
    }
    groups
}
