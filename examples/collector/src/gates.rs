//! Feature gates: switches between old and new behaviour.

use std::collections::BTreeSet;

use crate::config::Problems;
use crate::config::suggest;

/// A switch that `--feature-gates` knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gate {
    /// Its name; upstream's own where it has one.
    pub name: &'static str,
    /// Whether it is on without being named.
    pub on: bool,
    /// What it does when it is on.
    pub about: &'static str,
}

const fn gate(name: &'static str, on: bool, about: &'static str) -> Gate {
    Gate { name, on, about }
}

/// Whether pipelines run compiled plans, or one processor after the other.
pub const PLAN: &str = "otelpipe.plan";

/// All gates, sorted by name.
pub const GATES: &[Gate] = &[
    gate("awsemf.nodimrollupdefault", false, "dimension_rollup_option is NoDimensionRollup by default"),
    gate(
        "awsemf.placeholderPerDocument",
        true,
        "placeholders of log groups and streams are resolved for each document",
    ),
    gate("awsemf.upstreamLimits", false, "documents, batches and log events have the limits of ADOT v0.49"),
    gate(
        "component.UseLocalHostAsDefaultHost",
        true,
        "default endpoints listen on localhost, not on all interfaces",
    ),
    gate("confmap.enableMergeAppendOption", false, "lists of components in several --config are joined"),
    gate(
        "exporter.prometheusremotewritexporter.EnableMultipleWorkers",
        false,
        "remote write sends in parallel",
    ),
    gate(
        "exporter.prometheusremotewritexporter.enableSendingRW2",
        false,
        "remote write may send protocol 2.0; without effect, it always may",
    ),
    gate(
        "exporter.prometheusremotewritexporter.RetryOn429",
        true,
        "remote write tries again later when it is throttled",
    ),
    gate(
        "metricsgeneration.MatchAttributes",
        true,
        "calculated metrics match data points by their attributes",
    ),
    gate(PLAN, true, "series are compiled: a known scrape costs a look-up and arithmetic"),
    gate(
        "pkg.translator.prometheus.PermissiveLabelSanitization",
        false,
        "labels may begin with an underscore",
    ),
    gate("processor.resourcedetection.propagateerrors", false, "a failing detector stops the start"),
    gate("receiver.kubeletstats.cpuUsageScrapeBased", false, "CPU usage is computed from two scrapes"),
    gate("receiver.prometheusreceiver.IgnoreScopeInfoMetric", true, "otel_scope_info is an ordinary metric"),
    gate(
        "receiver.prometheusreceiver.RemoveLegacyResourceAttributes",
        false,
        "old resource attributes of targets are left out",
    ),
    gate("receiver.prometheusreceiver.UseCreatedMetric", false, "start times come from _created series"),
];

/// The gates that are on after `arguments`, each a list such as `a,-b,+c`.
pub fn enabled(arguments: &[String], problems: &mut Problems) -> BTreeSet<String> {
    let mut on: BTreeSet<String> =
        GATES.iter().filter(|gate| gate.on).map(|gate| gate.name.to_owned()).collect();
    for word in arguments
        .iter()
        .flat_map(|argument| argument.split(','))
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        let (name, wanted) = match word.strip_prefix('-') {
            Some(name) => (name, false),
            None => (word.strip_prefix('+').unwrap_or(word), true),
        };
        if !GATES.iter().any(|gate| gate.name == name) {
            let names: Vec<&str> = GATES.iter().map(|gate| gate.name).collect();
            let fix = suggest::fix(name, &names, "valid gates");
            problems.error(None, "", format!("no such feature gate {name:?}"), fix);
        } else if wanted {
            on.insert(name.to_owned());
        } else {
            on.remove(name);
        }
    }
    on
}

/// The gates that are on when nothing is said.
pub fn defaults() -> BTreeSet<String> {
    enabled(&[], &mut Problems::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_switched_by_sign_and_unknown_ones_are_errors() {
        let mut problems = Problems::new();
        let arguments = [
            "confmap.enableMergeAppendOption,-metricsgeneration.MatchAttributes".to_owned(),
            "+awsemf.nodimrollupdefault".to_owned(),
        ];
        let on = enabled(&arguments, &mut problems);
        assert!(problems.is_empty());
        let changed: Vec<&str> =
            GATES.iter().filter(|gate| gate.on != on.contains(gate.name)).map(|gate| gate.name).collect();
        assert_eq!(
            changed,
            [
                "awsemf.nodimrollupdefault",
                "confmap.enableMergeAppendOption",
                "metricsgeneration.MatchAttributes"
            ]
        );
        enabled(&["-metricgeneration.MatchAttributes".to_owned()], &mut problems);
        assert_eq!(
            problems.render(false),
            "error: no such feature gate \"metricgeneration.MatchAttributes\"\n  |\n  = help: did you mean `metricsgeneration.MatchAttributes`?\n"
        );
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(GATES.is_sorted_by_key(|gate| gate.name.to_ascii_lowercase()));
    }
}
