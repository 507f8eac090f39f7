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
    /// Whether it switches anything here; naming one that does not is a warning.
    pub has_effect: bool,
}

const fn gate(name: &'static str, on: bool, about: &'static str) -> Gate {
    Gate { name, on, about, has_effect: true }
}

/// A gate of upstream whose two sides are one here.
const fn idle(name: &'static str, on: bool, about: &'static str) -> Gate {
    Gate { name, on, about, has_effect: false }
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
    idle(
        "exporter.prometheusremotewritexporter.enableSendingRW2",
        false,
        "remote write may send protocol 2.0; here it always may",
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
    idle("receiver.kubeletstats.cpuUsageScrapeBased", false, "CPU usage is computed from two scrapes"),
    gate(
        "receiver.prometheusreceiver.EnableCreatedTimestampZeroIngestion",
        false,
        "start times are read while a scrape is parsed",
    ),
    idle(
        "receiver.prometheusreceiver.IgnoreScopeInfoMetric",
        true,
        "otel_scope_info is an ordinary metric; here it always is",
    ),
    gate(
        "receiver.prometheusreceiver.RemoveLegacyResourceAttributes",
        true,
        "net.host.name, net.host.port and http.scheme of targets are left out",
    ),
    idle(
        "receiver.prometheusreceiver.UseCreatedMetric",
        false,
        "start times come from _created series; here they always do",
    ),
];

/// The gates that are on after `arguments`, each a list such as `a,-b,+c`. What is wrong with
/// them goes to `problems`, also that one is set against its default and has no effect here.
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
        let Some(gate) = GATES.iter().find(|gate| gate.name == name) else {
            let names: Vec<&str> = GATES.iter().map(|gate| gate.name).collect();
            let fix = suggest::fix(name, &names, "valid gates");
            problems.error(None, "", format!("no such feature gate {name:?}"), fix);
            continue;
        };
        if !gate.has_effect && wanted != gate.on {
            let message = format!("the feature gate {name:?} is accepted, but has no effect in otelpipe");
            problems.warning(None, "", message, Some(gate.about.to_owned()));
        }
        if wanted {
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
    fn a_gate_without_effect_is_a_warning_when_it_is_set_against_its_default() {
        let mut problems = Problems::new();
        let idle = GATES.iter().filter(|gate| !gate.has_effect);
        let arguments = idle.clone().map(|gate| format!("{}{}", if gate.on { '+' } else { '-' }, gate.name));
        enabled(&arguments.collect::<Vec<_>>(), &mut problems);
        assert!(problems.is_empty(), "{}", problems.render(false));
        let arguments = idle.map(|gate| format!("{}{}", if gate.on { '-' } else { '+' }, gate.name));
        enabled(&arguments.collect::<Vec<_>>(), &mut problems);
        let named: Vec<&str> = problems
            .iter()
            .filter_map(|problem| problem.message.split('"').nth(1)?.rsplit('.').next())
            .collect();
        assert!(!problems.has_errors());
        assert_eq!(
            named,
            ["enableSendingRW2", "cpuUsageScrapeBased", "IgnoreScopeInfoMetric", "UseCreatedMetric"]
        );
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(GATES.is_sorted_by_key(|gate| gate.name.to_ascii_lowercase()));
    }
}
