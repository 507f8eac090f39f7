//! The receiver's settings: a Prometheus configuration inside a collector configuration.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use otelpipe_prom::scrape::{GlobalConfig, ScrapeConfig, ScrapeOptions, ScrapeRules};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::component::BuildContext;
use crate::config::{
    ComponentId, GoDuration, Leniency, NO_EFFECT, Node, Problems, PromDuration, Value, decode, suggest,
};
use crate::discovery::file::{FileDiscovery, is_valid_path};
use crate::discovery::http::HttpDiscovery;
use crate::discovery::kubernetes::KubernetesDiscovery;
use crate::discovery::{TargetGroup, static_list};

use super::body_room::BodyRoom;
use super::client::ScrapeClient;
use super::http_config::{self, HttpConfig};
use super::manager::Job;
use super::target_loop::JobSettings;

/// Everything the receiver needs to run.
pub(super) struct Settings {
    pub(super) jobs: Vec<Job>,
    /// Discoverers, each with the number of its job.
    pub(super) discovery: Vec<(usize, Discovery)>,
}

/// One way to find targets.
pub(super) enum Discovery {
    Static(Vec<TargetGroup>),
    File(FileDiscovery),
    Http(Box<HttpDiscovery>),
    Kubernetes(Box<KubernetesDiscovery>),
}

/// Keys of the receiver itself.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ReceiverKeys {
    config: Option<IgnoredAny>,
    trim_metric_suffixes: bool,
    target_allocator: Option<IgnoredAny>,
    api_server: Option<IgnoredAny>,
    scrape_on_shutdown: bool,
    discovery_reload_on_startup: bool,
    initial_scrape_offset: GoDuration,
    use_start_time_metric: Option<bool>,
    start_time_metric_regex: Option<String>,
    report_extra_scrape_metrics: Option<bool>,
}

/// Sections of a Prometheus configuration: those that a receiver reads, and those that mean
/// something to a server only and do no harm, which `config::idle` notes.
const SECTIONS: [&str; 7] =
    ["global", "scrape_configs", "scrape_config_files", "otlp", "runtime", "storage", "tracing"];

/// Sections that ask for something that a receiver does not do.
const UNSUPPORTED: [&str; 4] = ["alerting", "remote_read", "remote_write", "rule_files"];

/// Discovery mechanisms of Prometheus that are known and not built in.
const OTHER_DISCOVERY: [&str; 29] = [
    "aws_sd_configs",
    "azure_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "dns_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "ec2_sd_configs",
    "ecs_sd_configs",
    "elasticache_sd_configs",
    "eureka_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "ionos_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "msk_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "openstack_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "rds_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
];

/// Discovery mechanisms that are built in.
const DISCOVERY: [&str; 4] =
    ["file_sd_configs", "http_sd_configs", "kubernetes_sd_configs", "static_configs"];

impl Settings {
    /// Reads the settings; everything that is wrong goes to `problems`.
    pub(super) fn read(
        id: &ComponentId,
        node: &Node,
        cx: &BuildContext,
        problems: &mut Problems,
    ) -> Option<Self> {
        let path = format!("receivers::{id}");
        let keys = decode::<ReceiverKeys>(node, &path, Leniency::Strict, problems)?;
        warn_of_old_keys(node, &keys, problems);
        let empty = Node::new(Value::Map(Vec::new()), node.span.clone());
        let config = node.get("config").unwrap_or(&empty);
        let config_path = format!("{path}::config");
        refuse_sections(config, &config_path, problems);
        let global = read_global(config, &config_path, problems);
        let options = options(&keys, cx);
        let list = config.get("scrape_configs").map_or(&[][..], Node::items);
        if list.is_empty() && !problems.has_errors() {
            problems.error(
                Some(&config.span),
                &config_path,
                "no Prometheus scrape_configs or target_allocator set",
                Some("add scrape_configs with at least one job".into()),
            );
        }
        let mut settings = Self { jobs: Vec::new(), discovery: Vec::new() };
        let mut names = HashMap::new();
        for (at, job) in list.iter().enumerate() {
            let job_path = format!("{config_path}::scrape_configs[{at}]");
            if job.is_null() {
                problems.error(Some(&job.span), &job_path, "empty or null scrape config section", None);
                continue;
            }
            settings.read_job(job, &job_path, &global, &options, &keys, cx, problems);
            if let Some(name) = job.get("job_name").and_then(Node::as_str)
                && names.insert(name.to_owned(), at).is_some()
            {
                let message = format!("found multiple scrape configs with job name {name:?}");
                problems.error(
                    Some(&job.at_path("job_name").span),
                    &job_path,
                    message,
                    Some("give each job a name of its own".into()),
                );
            }
        }
        Some(settings)
    }

    #[expect(clippy::too_many_arguments, reason = "what a job takes over from around it")]
    fn read_job(
        &mut self,
        node: &Node,
        path: &str,
        global: &GlobalConfig,
        options: &ScrapeOptions,
        keys: &ReceiverKeys,
        cx: &BuildContext,
        problems: &mut Problems,
    ) {
        let (http_keys, rest) = node.split(http_config::KEYS);
        let (discovery_keys, rest) = take_discovery(&rest, path, problems);
        let http = HttpConfig::read(&http_keys, path, problems);
        let Some(mut config) = decode::<ScrapeConfig>(&rest, path, Leniency::Prometheus, problems) else {
            return;
        };
        warn_of_idle_keys(&rest, path, problems);
        for rules in [&mut config.relabel_configs, &mut config.metric_relabel_configs] {
            // Upstream writes its configuration out and reads it again, which loses empty texts.
            for rule in rules {
                *rule = core::mem::take(rule).as_collector();
            }
        }
        let job = self.jobs.len();
        self.read_discovery(&discovery_keys, path, job, !config.relabel_configs.is_empty(), cx, problems);
        problems.set_context(path); // others have set theirs since
        if !["http", "https"].contains(&config.scheme.as_str()) {
            problems.warning_at(
                node,
                "scheme",
                format!("nothing can be scraped by {:?}", config.scheme),
                suggest::fix(&config.scheme, &["http", "https"], "the schemes are"),
            );
        }
        match ScrapeRules::compile(&config, global, options) {
            Ok(rules) => {
                if rules.renames_metrics() {
                    problems.warning_at(
                        node,
                        "metric_relabel_configs",
                        "a rule writes __name__: renamed metrics lose their type, unit and description",
                        Some("rename with the metricstransform processor instead".into()),
                    );
                }
                let settings = JobSettings {
                    accept: rules.accept().to_owned(),
                    compression: rules.enable_compression(),
                    body_limit: usize::try_from(rules.limits().body_size).unwrap_or(usize::MAX),
                    initial_offset: *keys.initial_scrape_offset,
                    scrape_on_shutdown: keys.scrape_on_shutdown,
                    active_targets: AtomicU64::new(0),
                    seed: seed(global, cx),
                };
                self.jobs.push(Job { rules: Arc::new(rules), http, settings: Arc::new(settings) });
            }
            Err(error) => problems.error_at(node, &error.path, error.message, None),
        }
    }

    fn read_discovery(
        &mut self,
        node: &Node,
        path: &str,
        job: usize,
        relabeled: bool,
        cx: &BuildContext,
        problems: &mut Problems,
    ) {
        for (key, list) in node.entries() {
            let list_path = format!("{path}::{}", key.text);
            if key.text == "static_configs" {
                self.discovery
                    .push((job, Discovery::Static(static_list::read(list, &list_path, relabeled, problems))));
                continue;
            }
            for (at, entry) in list.items().iter().enumerate() {
                let path = format!("{list_path}[{at}]");
                let found = match key.text.as_str() {
                    "file_sd_configs" => read_file(entry, &path, problems).map(Discovery::File),
                    "http_sd_configs" => {
                        read_http(entry, &path, cx, problems).map(|found| Discovery::Http(Box::new(found)))
                    }
                    _ => KubernetesDiscovery::read(entry, &path, &cx.env, problems)
                        .map(|found| Discovery::Kubernetes(Box::new(found))),
                };
                self.discovery.extend(found.map(|discovery| (job, discovery)));
            }
        }
    }
}

fn read_global(config: &Node, path: &str, problems: &mut Problems) -> GlobalConfig {
    match config.get("global") {
        Some(global) => {
            let path = format!("{path}::global");
            warn_of_idle_keys(global, &path, problems);
            decode(global, &path, Leniency::Prometheus, problems).unwrap_or_default()
        }
        None => GlobalConfig::default(),
    }
}

fn read_file(node: &Node, path: &str, problems: &mut Problems) -> Option<FileDiscovery> {
    #[derive(Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Keys {
        files: Vec<String>,
        refresh_interval: Option<PromDuration>,
    }
    let keys = decode::<Keys>(node, path, Leniency::Prometheus, problems)?;
    if keys.files.is_empty() {
        problems.error_at(
            node,
            "files",
            "file service discovery config must contain at least one path name",
            None,
        );
    }
    for (at, file) in keys.files.iter().enumerate().filter(|(_, file)| !is_valid_path(file)) {
        let fix = "paths end in .json, .yml or .yaml and have at most one *, in the last part";
        problems.error_at(
            node,
            &format!("files[{at}]"),
            format!("path name {file:?} is not valid for file discovery"),
            Some(fix.into()),
        );
    }
    Some(FileDiscovery {
        files: keys.files,
        refresh_interval: keys.refresh_interval.map_or(Duration::from_secs(300), |d| *d),
    })
}

fn read_http(node: &Node, path: &str, cx: &BuildContext, problems: &mut Problems) -> Option<HttpDiscovery> {
    #[derive(Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Keys {
        url: String,
        refresh_interval: Option<PromDuration>,
    }
    let (http_keys, rest) = node.split(http_config::KEYS);
    let http = HttpConfig::read(&http_keys, path, problems);
    let keys = decode::<Keys>(&rest, path, Leniency::Prometheus, problems)?;
    let parsed: Option<::http::Uri> = keys.url.parse().ok();
    let usable =
        parsed.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if !usable {
        problems.error_at(node, "url", "URL is missing, or is no http or https URL with a host", None);
        return None;
    }
    match ScrapeClient::new(http, &cx.env, &cx.user_agent(), BodyRoom::default()) {
        Ok(client) => Some(HttpDiscovery {
            url: keys.url,
            refresh_interval: keys.refresh_interval.map_or(Duration::from_secs(60), |d| *d),
            client,
        }),
        Err(error) => {
            problems.error_at(node, "", error.to_string(), None);
            None
        }
    }
}

fn take_discovery(node: &Node, path: &str, problems: &mut Problems) -> (Node, Node) {
    let (other, rest) = node.split(&OTHER_DISCOVERY);
    for (key, _) in other.entries() {
        problems.error(
            Some(&key.span),
            &format!("{path}::{}", key.text),
            format!("{} is not supported", key.text),
            Some(format!(
                "supported are {}; file_sd_configs takes targets from any other tool",
                DISCOVERY.join(", ")
            )),
        );
    }
    rest.split(&DISCOVERY)
}

fn refuse_sections(config: &Node, path: &str, problems: &mut Problems) {
    for (key, section) in config.entries() {
        let name = key.text.as_str();
        if UNSUPPORTED.contains(&name) {
            // One that holds nothing asks for nothing, in ADOT as well.
            if !section.is_zero() && !holds_nothing(section) {
                problems.error(
                    Some(&key.span),
                    &format!("{path}::{name}"),
                    format!("unsupported feature: {name}"),
                    Some("remove the section: a receiver only scrapes".into()),
                );
            }
        } else if name == "scrape_config_files" {
            problems.error(
                Some(&key.span),
                &format!("{path}::{name}"),
                "scrape_config_files is not supported",
                Some("write the jobs into scrape_configs, or pass several --config files".into()),
            );
        } else if !SECTIONS.contains(&name) {
            let fix = suggest::fix(name, &SECTIONS, "the sections are");
            problems.error(
                Some(&key.span),
                &format!("{path}::{name}"),
                format!("field {name} not found in type config.plain"),
                fix,
            );
        }
    }
}

/// Whether all that the section has is empty: `alerting: {alertmanagers: []}`.
fn holds_nothing(section: &Node) -> bool {
    !section.entries().is_empty() && section.entries().iter().all(|(_, value)| value.is_zero())
}

/// Keys of a job, or of all, that do something in ADOT and nothing here; those that do nothing
/// there either are in `config::idle`.
fn warn_of_idle_keys(node: &Node, path: &str, problems: &mut Problems) {
    const IDLE: [&str; 4] = [
        "native_histogram_bucket_limit",
        "native_histogram_min_bucket_factor",
        "scrape_failure_log_file",
        "scrape_native_histograms",
    ];
    for key in IDLE {
        if let Some(value) = node.get(key).filter(|value| !value.is_zero()) {
            problems.warning(Some(&value.span), &format!("{path}::{key}"), NO_EFFECT, None);
        }
    }
    for (at, protocol) in node.get("scrape_protocols").map_or(&[][..], Node::items).iter().enumerate() {
        if protocol.as_str() == Some("PrometheusProto") {
            problems.warning(
                Some(&protocol.span),
                &format!("{path}::scrape_protocols[{at}]"),
                "otelpipe does not read protobuf: targets are asked for the text formats",
                Some("leave it out; counters, histograms and summaries are the same as text".into()),
            );
        }
    }
}

fn warn_of_old_keys(node: &Node, keys: &ReceiverKeys, problems: &mut Problems) {
    if keys.target_allocator.is_some() {
        problems.error_at(
            node,
            "target_allocator",
            "target_allocator is not supported yet",
            Some("use http_sd_configs with the allocator's /jobs/JOB/targets".into()),
        );
    }
    if keys.api_server.is_some() {
        problems.warning_at(node, "api_server", "the debugging API is not served", None);
    }
    if keys.use_start_time_metric == Some(true) || keys.start_time_metric_regex.is_some() {
        problems.warning_at(
            node,
            "use_start_time_metric",
            "start times from a metric are not computed: as in ADOT v0.49, points of a scrape have no start time",
            Some("remove use_start_time_metric and start_time_metric_regex".into()),
        );
    }
    if keys.report_extra_scrape_metrics.is_some() {
        problems.warning_at(
            node,
            "report_extra_scrape_metrics",
            "report_extra_scrape_metrics is the old spelling of extra_scrape_metrics in config.global",
            None,
        );
    }
    // Discovery is applied as soon as it has reported, with or without this key.
    let _ = (keys.discovery_reload_on_startup, &keys.config);
}

fn options(keys: &ReceiverKeys, cx: &BuildContext) -> ScrapeOptions {
    let mut options = ScrapeOptions::default();
    options.scope_version = cx.version.into();
    options.trim_metric_suffixes = keys.trim_metric_suffixes;
    options.created_timestamps = cx.gate("receiver.prometheusreceiver.EnableCreatedTimestampZeroIngestion");
    options.legacy_resource_attributes =
        !cx.gate("receiver.prometheusreceiver.RemoveLegacyResourceAttributes");
    options.report_extra_scrape_metrics = keys.report_extra_scrape_metrics == Some(true);
    options
}

/// Differs from host to host and from one set of external labels to another, so that
/// replicas do not scrape at the same moment.
fn seed(global: &GlobalConfig, cx: &BuildContext) -> u64 {
    let host = cx.env.get("HOSTNAME").unwrap_or_default();
    let labels = global.external_labels.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    core::iter::once(host)
        .chain(labels)
        .flat_map(str::bytes)
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said about the settings, as `line:column path: message`.
    fn said(text: &str) -> Vec<String> {
        let mut problems = Problems::new();
        let node = crate::config::yaml::parse(text, &Arc::from("c.yaml"), &mut problems).expect("valid YAML");
        let id = ComponentId::parse("prometheus").expect("a valid id");
        let cx = crate::commands::run::context(&crate::env::Env::default(), crate::gates::defaults());
        assert!(Settings::read(&id, &node, &cx, &mut problems).is_some());
        let line = |problem: &crate::config::Problem| {
            let span = problem.span.as_ref().expect("a place");
            let path = problem.path.strip_prefix("receivers::prometheus::config::").expect("of the document");
            format!("{}:{} {path}: {}", span.line, span.column, problem.message)
        };
        problems.iter().map(line).collect()
    }

    #[test]
    fn native_histograms_are_not_scraped_and_that_is_said() {
        let text =
            "config: {global: {scrape_native_histograms: true, evaluation_interval: 1m}, scrape_configs: [
{job_name: a, scrape_failure_log_file: f, native_histogram_bucket_limit: 0},
{job_name: b, scrape_protocols: [PrometheusText0.0.4, PrometheusProto]}]}";
        assert_eq!(
            said(text),
            [
                format!("1:45 global::scrape_native_histograms: {NO_EFFECT}"),
                format!("2:40 scrape_configs[0]::scrape_failure_log_file: {NO_EFFECT}"),
                "3:55 scrape_configs[1]::scrape_protocols[1]: otelpipe does not read protobuf: targets are asked for \
                 the text formats"
                    .to_owned(),
            ]
        );
    }

    #[test]
    fn sections_that_ask_for_what_a_receiver_does_not_do_are_refused() {
        let text = "config:
  scrape_configs: [{job_name: a}]
  rule_files: [a.yml]
  alerting: {alertmanagers: [{}]}
  remote_write: [{url: 'http://a'}]
  remote_read: [{url: 'http://a'}]
  storge: {tsdb: {}}
  scrape_config_files: [a.yml]
";
        assert_eq!(
            said(text),
            [
                "3:3 rule_files: unsupported feature: rule_files",
                "4:3 alerting: unsupported feature: alerting",
                "5:3 remote_write: unsupported feature: remote_write",
                "6:3 remote_read: unsupported feature: remote_read",
                "7:3 storge: field storge not found in type config.plain",
                "8:3 scrape_config_files: scrape_config_files is not supported",
            ]
        );
        let text = "config: {scrape_configs: [{job_name: a}], rule_files: , alerting: {alertmanagers: []},
  remote_write: [], remote_read: , otlp: {}, runtime: {}, storage: {}, tracing: }";
        assert_eq!(said(text), [""; 0], "as in ADOT, where they ask for nothing");
    }

    #[test]
    fn gates_of_upstream_change_what_scrapes_give() {
        let options = |arguments: &str| {
            let mut problems = Problems::new();
            let gates = crate::gates::enabled(&[arguments.to_owned()], &mut problems);
            assert!(problems.is_empty(), "{}", problems.render(false));
            let cx = crate::commands::run::context(&crate::env::Env::default(), gates);
            let options = super::options(&ReceiverKeys::default(), &cx);
            (options.created_timestamps, options.legacy_resource_attributes)
        };
        assert_eq!(options(""), (false, false));
        assert_eq!(options("receiver.prometheusreceiver.EnableCreatedTimestampZeroIngestion"), (true, false));
        assert_eq!(options("-receiver.prometheusreceiver.RemoveLegacyResourceAttributes"), (false, true));
    }
}
