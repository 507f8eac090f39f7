//! Settings that do nothing here, and nothing is missed.
//!
//! No setting is accepted and left out in silence. Where ADOT does something for it that
//! otelpipe does not, that is a warning, at start as well ([`NoEffect`](super::NoEffect)). Where
//! nothing is missing, because a collector of ADOT does nothing with it either or because it
//! limits what otelpipe does not have at all, that is a note: `check` shows it, and a start only when the
//! log level is `debug`. So a configuration that runs as it is does not shout.

use super::catalog::Section;
use super::collector::Component;
use super::node::Node;
use super::problem::Problems;

/// Why nothing is missing.
#[derive(Clone, Copy)]
enum Why {
    /// ADOT does nothing with it either.
    AsInAdot(&'static str),
    /// It is about something that otelpipe does not have.
    Needless(&'static str),
}

use Why::{AsInAdot, Needless};

/// Section and type of a component, the setting's keys (`[]` is each item of a list), why.
type Row = (Section, &'static str, &'static str, Why);

const NO_RULES: Why = AsInAdot("a receiver evaluates no rules");
const FOR_A_SERVER: Why = AsInAdot("only a Prometheus server reads this section");
const NO_DROPPED_TARGETS: Why = Needless("otelpipe keeps no dropped targets");
const NO_CACHE: Why = Needless("otelpipe keeps no cache of matches");
const NOT_OF_METRICS: Why = AsInAdot("of metrics only the names are compared");
const NO_COLLECTION: Why = Needless("otelpipe has no garbage collector");
const NOT_READ: Why = AsInAdot("this exporter does not read it");

const IDLE: &[Row] = &[
    (Section::Receivers, "prometheus", "config.global.evaluation_interval", NO_RULES),
    (Section::Receivers, "prometheus", "config.global.rule_query_offset", NO_RULES),
    (
        Section::Receivers,
        "prometheus",
        "config.global.query_log_file",
        AsInAdot("a receiver runs no queries"),
    ),
    (Section::Receivers, "prometheus", "config.global.keep_dropped_targets", NO_DROPPED_TARGETS),
    (Section::Receivers, "prometheus", "config.scrape_configs[].keep_dropped_targets", NO_DROPPED_TARGETS),
    (Section::Receivers, "prometheus", "config.storage", FOR_A_SERVER),
    (Section::Receivers, "prometheus", "config.tracing", FOR_A_SERVER),
    (Section::Receivers, "prometheus", "config.otlp", FOR_A_SERVER),
    (Section::Receivers, "prometheus", "config.runtime", FOR_A_SERVER),
    (Section::Processors, "attributes", "include.regexp", NO_CACHE),
    (Section::Processors, "attributes", "include.resources", NOT_OF_METRICS),
    (Section::Processors, "attributes", "exclude.regexp", NO_CACHE),
    (Section::Processors, "attributes", "exclude.resources", NOT_OF_METRICS),
    (
        Section::Processors,
        "batch",
        "metadata_cardinality_limit",
        Needless("otelpipe makes no batches by metadata"),
    ),
    (Section::Processors, "cumulativetodelta", "include.regexp", NO_CACHE),
    (Section::Processors, "cumulativetodelta", "exclude.regexp", NO_CACHE),
    (Section::Processors, "filter", "metrics.regexp", NO_CACHE),
    (Section::Processors, "filter", "metrics.include.regexp", NO_CACHE),
    (Section::Processors, "filter", "metrics.exclude.regexp", NO_CACHE),
    (Section::Processors, "memory_limiter", "min_gc_interval_when_soft_limited", NO_COLLECTION),
    (Section::Processors, "memory_limiter", "min_gc_interval_when_hard_limited", NO_COLLECTION),
    (Section::Processors, "memory_limiter", "max_gc_interval_when_soft_limited", NO_COLLECTION),
    (Section::Processors, "memory_limiter", "max_gc_interval_when_hard_limited", NO_COLLECTION),
    (
        Section::Processors,
        "metrics_transform",
        "transforms[].submatch_case",
        AsInAdot("it is checked, and no action reads it"),
    ),
    (Section::Exporters, "awsemf", "local_mode", NOT_READ),
    (Section::Exporters, "awsemf", "resource_arn", NOT_READ),
    (Section::Exporters, "file", "flush_interval", Needless("each line is written at once")),
    (
        Section::Extensions,
        "ecs_observer",
        "docker_labels[].metrics_path",
        AsInAdot("the path is that of the label that `metrics_path_label` names"),
    ),
    (
        Section::Extensions,
        "health_check",
        "check_collector_pipeline.enabled",
        AsInAdot("the answer says whether all pipelines have started"),
    ),
    (
        Section::Extensions,
        "sigv4auth",
        "assume_role.session_name",
        AsInAdot("sessions get a name of their own"),
    ),
];

/// Notes the settings of a component that ask for something and do nothing.
pub fn note(component: &Component, problems: &mut Problems) {
    for (section, kind, keys, why) in IDLE {
        if *section == component.section && *kind == component.kind.name {
            let steps: Vec<&str> = keys.split('.').collect();
            visit(&component.node, component.path(), &steps, *why, problems);
        }
    }
}

fn visit(node: &Node, path: String, steps: &[&str], why: Why, problems: &mut Problems) {
    let Some((step, rest)) = steps.split_first() else {
        if !node.is_zero() {
            problems.note(Some(&node.span), &path, why.message(), Some(LEAVE_IT.to_owned()));
        }
        return;
    };
    let key = step.trim_end_matches("[]");
    let Some(value) = node.get(key) else { return };
    if key == *step {
        return visit(value, format!("{path}::{key}"), rest, why, problems);
    }
    for (at, item) in value.items().iter().enumerate() {
        visit(item, format!("{path}::{key}[{at}]"), rest, why, problems);
    }
}

impl Why {
    fn message(self) -> String {
        match self {
            AsInAdot(why) => format!("this setting has no effect, as in ADOT: {why}"),
            Needless(why) => format!("this setting has no effect, and nothing is missing: {why}"),
        }
    }
}

/// What to do about it.
pub const LEAVE_IT: &str = "it may stay, or be taken out";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Severity, load_text};
    use crate::env::Env;

    /// A configuration with all of them, next to settings that ask for nothing.
    const ALL: &str = "\
receivers:
  prometheus:
    config:
      global:
        evaluation_interval: 30s
        rule_query_offset: 1m
        query_log_file: /queries
        keep_dropped_targets: 7
      scrape_configs:
        - {job_name: a, keep_dropped_targets: 0}
        - {job_name: b, keep_dropped_targets: 9}
      storage: {tsdb: {out_of_order_time_window: 1h}}
      tracing: {endpoint: here}
      otlp: {keep_identifying_resource_attributes: true}
      runtime: {gogc: 50}
      rule_files: []
      remote_write:
      alerting: {alertmanagers: []}
processors:
  attributes:
    include: {match_type: strict, regexp: {cacheenabled: true}, resources: [{key: a}]}
    exclude: {match_type: strict, regexp: {cacheenabled: true}, resources: [{key: a}]}
    actions: [{key: a, action: delete}]
  batch: {metadata_cardinality_limit: 5}
  cumulativetodelta:
    include: {match_type: regexp, metrics: [a], regexp: {cacheenabled: true}}
    exclude: {match_type: regexp, metrics: [a], regexp: {cacheenabled: true}}
  filter:
    metrics:
      regexp: {cacheenabled: true}
      include: {match_type: regexp, metric_names: [a], regexp: {cacheenabled: true}}
      exclude: {match_type: regexp, metric_names: [a], regexp: {cacheenabled: true}}
  memory_limiter:
    check_interval: 1s
    limit_mib: 100
    min_gc_interval_when_soft_limited: 10s
    min_gc_interval_when_hard_limited: 10s
    max_gc_interval_when_soft_limited: 20s
    max_gc_interval_when_hard_limited: 20s
  metrics_transform:
    transforms:
      - {include: a, action: update}
      - {include: a, action: update, submatch_case: lower}
exporters:
  awsemf: {local_mode: true, resource_arn: arn}
  debug:
  file: {path: /dev/null, flush_interval: 2s}
extensions:
  ecs_observer: {docker_labels: [{port_label: P, metrics_path: /m}]}
  health_check: {check_collector_pipeline: {enabled: true, interval: 5m}}
  sigv4auth: {assume_role: {arn: arn, session_name: me}}
service: {pipelines: {metrics: {receivers: [prometheus], exporters: [debug]}}}
";

    #[test]
    fn each_is_a_note_at_its_place_and_nothing_else_is_said() {
        let none = "this setting has no effect, as in ADOT:";
        let needless = "this setting has no effect, and nothing is missing:";
        let global = "receivers::prometheus::config::global";
        let cache = format!("{needless} otelpipe keeps no cache of matches");
        let names = format!("{none} of metrics only the names are compared");
        let server = format!("{none} only a Prometheus server reads this section");
        let targets = format!("{needless} otelpipe keeps no dropped targets");
        let collection = format!("{needless} otelpipe has no garbage collector");
        let mut found = said(ALL);
        found.sort_by_key(|(line, column, _)| (*line, *column));
        assert_eq!(
            found,
            [
                (5, 30, format!("{global}::evaluation_interval: {none} a receiver evaluates no rules")),
                (6, 28, format!("{global}::rule_query_offset: {none} a receiver evaluates no rules")),
                (7, 25, format!("{global}::query_log_file: {none} a receiver runs no queries")),
                (8, 31, format!("{global}::keep_dropped_targets: {targets}")),
                (
                    11,
                    47,
                    format!(
                        "receivers::prometheus::config::scrape_configs[1]::keep_dropped_targets: {targets}"
                    )
                ),
                (12, 16, format!("receivers::prometheus::config::storage: {server}")),
                (13, 16, format!("receivers::prometheus::config::tracing: {server}")),
                (14, 13, format!("receivers::prometheus::config::otlp: {server}")),
                (15, 16, format!("receivers::prometheus::config::runtime: {server}")),
                (21, 43, format!("processors::attributes::include::regexp: {cache}")),
                (21, 76, format!("processors::attributes::include::resources: {names}")),
                (22, 43, format!("processors::attributes::exclude::regexp: {cache}")),
                (22, 76, format!("processors::attributes::exclude::resources: {names}")),
                (
                    24,
                    39,
                    format!(
                        "processors::batch::metadata_cardinality_limit: {needless} otelpipe makes no batches by metadata"
                    )
                ),
                (26, 57, format!("processors::cumulativetodelta::include::regexp: {cache}")),
                (27, 57, format!("processors::cumulativetodelta::exclude::regexp: {cache}")),
                (30, 15, format!("processors::filter::metrics::regexp: {cache}")),
                (31, 64, format!("processors::filter::metrics::include::regexp: {cache}")),
                (32, 64, format!("processors::filter::metrics::exclude::regexp: {cache}")),
                (
                    36,
                    40,
                    format!("processors::memory_limiter::min_gc_interval_when_soft_limited: {collection}")
                ),
                (
                    37,
                    40,
                    format!("processors::memory_limiter::min_gc_interval_when_hard_limited: {collection}")
                ),
                (
                    38,
                    40,
                    format!("processors::memory_limiter::max_gc_interval_when_soft_limited: {collection}")
                ),
                (
                    39,
                    40,
                    format!("processors::memory_limiter::max_gc_interval_when_hard_limited: {collection}")
                ),
                (
                    43,
                    53,
                    format!(
                        "processors::metrics_transform::transforms[1]::submatch_case: {none} it is checked, and no action reads it"
                    )
                ),
                (45, 24, format!("exporters::awsemf::local_mode: {none} this exporter does not read it")),
                (45, 44, format!("exporters::awsemf::resource_arn: {none} this exporter does not read it")),
                (47, 43, format!("exporters::file::flush_interval: {needless} each line is written at once")),
                (
                    49,
                    64,
                    format!(
                        "extensions::ecs_observer::docker_labels[0]::metrics_path: {none} the path is that of the label that `metrics_path_label` names"
                    )
                ),
                (
                    50,
                    54,
                    format!(
                        "extensions::health_check::check_collector_pipeline::enabled: {none} the answer says whether all pipelines have started"
                    )
                ),
                (
                    51,
                    53,
                    format!(
                        "extensions::sigv4auth::assume_role::session_name: {none} sessions get a name of their own"
                    )
                ),
            ]
        );
        assert_eq!(found.len(), IDLE.len(), "every row is in the configuration");
    }

    #[test]
    fn what_another_setting_makes_idle_is_noted_too() {
        let text = "\
receivers: {statsd: }
processors:
  filter: {metrics: {exclude: {match_type: strict, metric_names: [a], expressions: [a]}}}
  filter/2: {metrics: {exclude: {match_type: expr, expressions: ['MetricName == \"a\"']}}}
  metricsgeneration:
    rules: [{name: b, type: calculate, metric1: a, metric2: a}]
exporters:
  debug: {output_paths: [stdout]}
  debug/2: {output_paths: [stdout], use_internal_logger: false}
service: {pipelines: {metrics: {receivers: [statsd], exporters: [debug]}}}
";
        let mut problems = Problems::new();
        let config = load_text("c.yaml", text, &Env::default(), &mut problems).expect("a good configuration");
        crate::commands::run::check(&config, &[], &Env::default(), &mut problems);
        assert_eq!(
            problems.render(false),
            "\
note: exporters::debug::output_paths: this setting has no effect, as in ADOT: the output goes where the log goes
 --> c.yaml:8:25
  |
8 |   debug: {output_paths: [stdout]}
  |                         ^
  |
  = help: write `use_internal_logger: false` for it to go there

note: processors::filter::metrics.exclude.expressions: this setting has no effect, as in ADOT: it is read with `match_type: expr` only
 --> c.yaml:3:84
  |
3 |   filter: {metrics: {exclude: {match_type: strict, metric_names: [a], expressions: [a]}}}
  |                                                                                    ^
  |
  = help: write `match_type: expr`, or take it out

note: processors::metricsgeneration::rules[0]: the rule makes nothing without `operation`, as in ADOT
 --> c.yaml:6:13
  |
6 |     rules: [{name: b, type: calculate, metric1: a, metric2: a}]
  |             ^
  |
  = help: write `operation: divide`, or add, subtract, multiply, percent
"
        );
    }

    /// Line and column of each note, with its path and message. There is nothing but notes.
    fn said(text: &str) -> Vec<(u32, u32, String)> {
        let env = Env::default();
        let mut problems = Problems::new();
        let config = load_text("c.yaml", text, &env, &mut problems);
        let config = config.unwrap_or_else(|| panic!("{}", problems.render(false)));
        crate::commands::run::check(&config, &[], &env, &mut problems);
        let found = problems.iter().map(|problem| {
            assert_eq!(problem.severity, Severity::Note, "{problem:?}");
            assert_eq!(problem.fix.as_deref(), Some(LEAVE_IT));
            let span = problem.span.as_ref().expect("a note has a place");
            (span.line, span.column, format!("{}: {}", problem.path, problem.message))
        });
        found.collect()
    }
}
