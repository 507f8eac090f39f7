//! The settings of the processor, as users write them and as they are run.

use std::time::Duration;

use otelpipe_core::attributes::Attributes;
use otelpipe_k8s::detect::env;
use serde::Deserialize;

use crate::component::BuildContext;
use crate::config::{ComponentId, GoDuration, Leniency, NO_EFFECT, Node, Problems, decode, suggest};
use crate::detect::{Detector, Known, Switches, ec2, ecs, eks, system};

/// The settings, as users write them.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Names of detectors; of equal attributes that of the first one counts. Default: `env`.
    detectors: Vec<String>,
    /// Whether what is found replaces attributes that the data have. Default: true.
    r#override: bool,
    /// Limit for all detectors together. Default: 5 s.
    timeout: GoDuration,
    /// How often they are asked again; 0 means never. Default: 0.
    refresh_interval: GoDuration,
    /// A metadata service that is missing is an error. Default: false.
    fail_on_missing_metadata: bool,
    /// What to keep of what was found. Default: all. Collectors before 0.142 only.
    attributes: Vec<String>,
    ec2: Option<ec2::Keys>,
    ecs: Option<ecs::Config>,
    eks: Option<eks::Config>,
    system: Option<system::Config>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            detectors: vec!["env".into()],
            r#override: true,
            timeout: GoDuration::new(TIMEOUT),
            refresh_interval: GoDuration::default(),
            fail_on_missing_metadata: false,
            attributes: Vec::new(),
            ec2: None,
            ecs: None,
            eks: None,
            system: None,
        }
    }
}

/// The settings, found good. What the environment variable says has been read.
pub(super) struct Settings {
    pub(super) detectors: Vec<Detector>,
    /// Limit for all detectors together.
    pub(super) timeout: Duration,
    /// How often they are asked again; 0 means never.
    pub(super) interval: Duration,
    /// What to keep of what was found; all if empty.
    pub(super) allowed: Vec<String>,
    /// Whether what is found replaces attributes that the data have.
    pub(super) overrides: bool,
    /// A detector that fails is an error.
    pub(super) strict: bool,
}

impl Settings {
    /// `None` if they cannot be run.
    pub(super) fn read(
        id: &ComponentId,
        node: &Node,
        cx: &BuildContext,
        problems: &mut Problems,
    ) -> Option<Self> {
        let (others, own) = node.split(&[CLIENT_KEYS, ELSEWHERE, &["env"]].concat());
        let mut config = decode::<Config>(&own, &format!("processors::{id}"), Leniency::Strict, problems)?;
        for (key, _) in others.entries().iter().filter(|(key, _)| CLIENT_KEYS.contains(&key.text.as_str())) {
            let message = format!("{NO_EFFECT}: metadata services are asked directly");
            problems.warning_at(node, &key.text, message, None);
        }
        let timeout = match *config.timeout {
            Duration::ZERO => {
                let message = "a timeout of 0 leaves detectors no time: otelpipe takes 5s";
                problems.warning_at(node, "timeout", message, Some("write `timeout: 5s`".into()));
                TIMEOUT
            }
            timeout => timeout,
        };
        let strict = cx.gate("processor.resourcedetection.propagateerrors");
        let (interval, overrides) = (*config.refresh_interval, config.r#override);
        let allowed = core::mem::take(&mut config.attributes);
        let mut reader = Reader { node, cx, strict, problems, failed: false };
        let detectors = reader.detectors(config);
        (!reader.failed).then_some(Self { detectors, timeout, interval, allowed, overrides, strict })
    }
}

/// Reads the parts of the settings that have rules of their own.
struct Reader<'a> {
    node: &'a Node,
    cx: &'a BuildContext,
    strict: bool,
    problems: &'a mut Problems,
    failed: bool,
}

impl Reader<'_> {
    fn detectors(&mut self, config: Config) -> Vec<Detector> {
        let Config { detectors: names, ec2, ecs, eks, system, fail_on_missing_metadata, .. } = config;
        let (mut ec2, ecs) = (ec2.unwrap_or_default(), ecs.unwrap_or_default());
        let (eks, system) = (eks.unwrap_or_default(), system.unwrap_or_default());
        ec2.fail_on_missing_metadata |= fail_on_missing_metadata;
        self.check("ec2", &ec2.resource_attributes, ec2::Config::KNOWN);
        self.check("ecs", &ecs.resource_attributes, ecs::Config::KNOWN);
        self.check("eks", &eks.resource_attributes, eks::Config::KNOWN);
        self.check("system", &system.resource_attributes, system::Config::KNOWN);
        let ec2 = ec2::Config::new(ec2)
            .map_err(|(path, message)| self.error(&format!("ec2.{path}"), message, None));
        let mut detectors = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let path = format!("detectors[{at}]");
            detectors.extend(match name.trim() {
                "env" => Some(Detector::Env(self.environment(&path))),
                "system" => Some(Detector::System(system.clone())),
                "ec2" => ec2.clone().ok().map(Detector::Ec2),
                "ecs" => Some(Detector::Ecs(ecs.clone())),
                "eks" => Some(Detector::Eks(eks.clone())),
                name => {
                    self.refuse(&path, name);
                    None
                }
            });
        }
        detectors
    }

    fn environment(&mut self, path: &str) -> Attributes {
        let text = |name| self.cx.env.get(name).filter(|text| !text.trim().is_empty());
        let variables = ["OTEL_RESOURCE_ATTRIBUTES", "OTEL_RESOURCE"];
        let Some((variable, text)) = variables.iter().find_map(|name| Some((*name, text(name)?))) else {
            return Attributes::new();
        };
        match env::parse(text) {
            Ok(found) => found,
            Err(failure) => {
                let message = format!("the detector env takes nothing of {variable}: {failure}");
                let fix =
                    format!("write {variable}=key=value,key=value with blanks as %20 and commas as %2C");
                match self.strict {
                    true => self.error(path, message, Some(fix)),
                    false => self.problems.warning_at(self.node, path, message, Some(fix)),
                }
                Attributes::new()
            }
        }
    }

    fn refuse(&mut self, path: &str, name: &str) {
        if ELSEWHERE.contains(&name) {
            let message = format!("otelpipe has no detector {name}: it finds nothing");
            let fix = "set what it would find in OTEL_RESOURCE_ATTRIBUTES, or take it out";
            self.problems.warning_at(self.node, path, message, Some(fix.into()));
        } else {
            let fix = suggest::fix(name, &["env", "system", "ec2", "ecs", "eks"], "the detectors");
            self.error(path, format!("invalid detector key: {name}"), fix);
        }
    }

    fn check(&mut self, detector: &str, switches: &Switches, known: &[Known]) {
        for (name, fix) in switches.unknown(known) {
            let message = format!("the detector {detector} has no attribute {name}");
            self.error(&format!("{detector}.resource_attributes.{name}"), message, fix);
        }
    }

    fn error(&mut self, path: &str, message: String, fix: Option<String>) {
        self.problems.error_at(self.node, path, message, fix);
        self.failed = true;
    }
}

const TIMEOUT: Duration = Duration::from_secs(5);

/// Settings of the HTTP client that upstream gives to detectors.
const CLIENT_KEYS: &[&str] = &[
    "auth",
    "compression",
    "compression_params",
    "cookies",
    "disable_keep_alives",
    "endpoint",
    "force_attempt_http2",
    "headers",
    "http2_ping_timeout",
    "http2_read_idle_timeout",
    "idle_conn_timeout",
    "max_conns_per_host",
    "max_idle_conns",
    "max_idle_conns_per_host",
    "middlewares",
    "proxy_url",
    "read_buffer_size",
    "tls",
    "write_buffer_size",
];

/// Detectors, and their settings, that upstream has and otelpipe has not.
const ELSEWHERE: &[&str] = &[
    "akamai",
    "aks",
    "alibaba_ecs",
    "azure",
    "azurecontainerapps",
    "consul",
    "digitalocean",
    "docker",
    "dynatrace",
    "elastic_beanstalk",
    "elasticbeanstalk",
    "gce",
    "gcp",
    "gke",
    "heroku",
    "hetzner",
    "ibmcloud_classic",
    "ibmcloud_vpc",
    "k8s_api",
    "k8snode",
    "kubeadm",
    "lambda",
    "nova",
    "openshift",
    "openstack",
    "oraclecloud",
    "scaleway",
    "tencent_cvm",
    "upcloud",
    "vultr",
];
