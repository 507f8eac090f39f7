//! `kubernetes_sd_configs`: targets from the objects of a cluster.
//!
//! The kube crate lists and watches; what an object means as a target is in
//! `otelpipe_k8s`.

mod api_server;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::watcher::{self, Event};
use otelpipe_k8s::object::{Kind, Object, ObjectMeta};
use otelpipe_k8s::store::{AttachMetadata, Role, Store};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::config::{Leniency, Node, Problems, decode};
use crate::env::Env;
use crate::receivers::prometheus::http_config::{self, HttpConfig};

use super::{TargetGroup, Updates};
use api_server::{certificates, server_config, server_url, warn_of_idle_keys};

/// How long changes are gathered before they are reported.
const GATHER: Duration = Duration::from_millis(100);

/// Where a pod finds its token, its namespace and the cluster's certificate.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Names another folder than [`SERVICE_ACCOUNT`], for a token that is mounted elsewhere.
const SERVICE_ACCOUNT_VARIABLE: &str = "OTELPIPE_SERVICE_ACCOUNT_DIR";

/// One entry of `kubernetes_sd_configs`, checked.
#[derive(Debug)]
pub struct KubernetesDiscovery {
    role: Role,
    access: Access,
    namespaces: Vec<String>,
    own_namespace: bool,
    selectors: Vec<(Kind, Selector)>,
    attach: AttachMetadata,
    env: Env,
}

/// How the API server is reached.
#[derive(Debug)]
enum Access {
    /// As a pod: environment and service account.
    InCluster,
    Kubeconfig(PathBuf),
    Server(http::Uri, Box<HttpConfig>),
}

/// Which objects of a kind are watched.
#[derive(Clone, Debug, Default)]
struct Selector {
    label: Option<String>,
    field: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    role: Option<String>,
    api_server: Option<String>,
    kubeconfig_file: Option<PathBuf>,
    namespaces: Namespaces,
    selectors: Vec<SelectorKeys>,
    attach_metadata: AttachMetadata,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Namespaces {
    names: Vec<String>,
    own_namespace: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SelectorKeys {
    role: String,
    label: Option<String>,
    field: Option<String>,
}

impl KubernetesDiscovery {
    /// Reads one entry; everything that is wrong goes to `problems`.
    pub fn read(node: &Node, path: &str, env: &Env, problems: &mut Problems) -> Option<Self> {
        let (http_keys, rest) = node.split(http_config::KEYS);
        let http = HttpConfig::read(&http_keys, path, problems);
        let keys = decode::<Keys>(&rest, path, Leniency::Prometheus, problems)?;
        let role = read_role(node, keys.role.as_deref(), problems)?;
        if keys.api_server.is_none() && !http_keys.entries().is_empty() {
            let message =
                "to use custom HTTP client configuration please provide the 'api_server' URL explicitly";
            problems.error_at(node, &http_keys.entries()[0].0.text, message, None);
        }
        if keys.namespaces.own_namespace && (keys.api_server.is_some() || keys.kubeconfig_file.is_some()) {
            let message =
                "cannot use 'namespaces.own_namespace' simultaneously with 'api_server' or 'kubeconfig_file'";
            problems.error_at(node, "namespaces.own_namespace", message, None);
        }
        let access = match (keys.api_server, keys.kubeconfig_file) {
            (Some(_), Some(_)) => {
                problems.error_at(
                    node,
                    "api_server",
                    "cannot use 'kubeconfig_file' and 'api_server' simultaneously",
                    None,
                );
                return None;
            }
            (Some(url), None) => match url.parse() {
                Ok(url) => {
                    warn_of_idle_keys(node, problems);
                    Access::Server(url, Box::new(http))
                }
                Err(error) => {
                    problems.error_at(
                        node,
                        "api_server",
                        format!("{url:?} is no URL: {error}"),
                        Some("https://HOST:PORT".into()),
                    );
                    return None;
                }
            },
            (None, Some(file)) => Access::Kubeconfig(file),
            (None, None) => Access::InCluster,
        };
        Some(Self {
            role,
            access,
            namespaces: keys.namespaces.names,
            own_namespace: keys.namespaces.own_namespace,
            selectors: read_selectors(node, role, keys.selectors, problems),
            attach: keys.attach_metadata,
            env: env.clone(),
        })
    }

    async fn client(&self) -> Result<kube::Client, String> {
        let config = match &self.access {
            Access::InCluster => self.in_cluster()?,
            Access::Kubeconfig(file) => {
                let kubeconfig = kube::config::Kubeconfig::read_from(file)
                    .map_err(|error| format!("{}: {}", file.display(), chain(&error)))?;
                let options = kube::config::KubeConfigOptions::default();
                kube::Config::from_custom_kubeconfig(kubeconfig, &options)
                    .await
                    .map_err(|error| chain(&error))?
            }
            Access::Server(url, http) => server_config(url, http)?,
        };
        // Watches last for minutes: only the connection itself has a limit.
        let config = kube::Config { read_timeout: None, ..config };
        kube::Client::try_from(config).map_err(|error| chain(&error))
    }

    /// The API server as a pod sees it: where the variables say, as in client-go.
    fn in_cluster(&self) -> Result<kube::Config, String> {
        let host = self.env.get("KUBERNETES_SERVICE_HOST").ok_or(
            "not in a cluster, KUBERNETES_SERVICE_HOST is not set: \
             run as a pod with a service account, or set api_server or kubeconfig_file",
        )?;
        let url = server_url(host, self.env.get("KUBERNETES_SERVICE_PORT").unwrap_or("443"))?;
        let token = self.account_file("token");
        let read = |file: &Path| {
            std::fs::read(file).map_err(|error| {
                format!(
                    "service account: {}: {error}: let the pod mount its token (automountServiceAccountToken), \
                     or set api_server or kubeconfig_file",
                    file.display()
                )
            })
        };
        read(&token)?;
        let mut config = kube::Config::new(url);
        config.root_cert = Some(certificates(&read(&self.account_file("ca.crt"))?)?);
        config.auth_info.token_file = Some(token.display().to_string());
        Ok(config)
    }

    fn account_file(&self, name: &str) -> PathBuf {
        Path::new(self.env.get(SERVICE_ACCOUNT_VARIABLE).unwrap_or(SERVICE_ACCOUNT)).join(name)
    }

    fn namespaces(&self) -> Result<Vec<Option<String>>, String> {
        let mut names: Vec<Option<String>> = self.namespaces.iter().cloned().map(Some).collect();
        if self.own_namespace {
            let file = self.account_file("namespace");
            let own = std::fs::read_to_string(&file)
                .map_err(|error| format!("own_namespace: {}: {error}", file.display()))?;
            names.push(Some(own.trim().to_owned()));
        }
        if names.is_empty() {
            names.push(None);
        }
        Ok(names)
    }
}

/// Watches the cluster until `stop`.
pub async fn run(discovery: KubernetesDiscovery, updates: Updates, stop: CancellationToken) {
    let mut pause = Duration::from_secs(1);
    let client = loop {
        match discovery.client().await {
            Ok(client) => break client,
            Err(reason) => {
                tracing::error!(
                    role = role_name(discovery.role),
                    "Kubernetes discovery cannot start, next try in {pause:?}: {reason}"
                );
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(Duration::from_secs(60));
            }
        }
    };
    let namespaces = match discovery.namespaces() {
        Ok(namespaces) => namespaces,
        Err(reason) => return tracing::error!("Kubernetes discovery: {reason}"),
    };
    let mut store = Store::new(discovery.role, discovery.attach);
    let mut watches = Vec::new();
    let mut streams = Vec::new();
    for kind in store.kinds() {
        // Nodes and namespaces are objects of the cluster, whatever the role.
        let namespaces = if kind.is_namespaced() { namespaces.clone() } else { vec![None] };
        for namespace in namespaces {
            streams.push(stream_of(watches.len(), &client, kind, namespace.as_deref(), &discovery.selectors));
            watches.push(Watch { kind, known: HashMap::new(), listed: None });
        }
    }
    let mut events = stream::select_all(streams);
    loop {
        let first = tokio::select! {
            () = stop.cancelled() => return,
            event = events.next() => event,
        };
        let Some((at, event)) = first else { return };
        let mut changed = take(&mut watches[at], &mut store, event);
        // Objects come in bursts: one report for what arrives together.
        let end = tokio::time::sleep(GATHER);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                Some((at, event)) = events.next() => changed.extend(take(&mut watches[at], &mut store, event)),
            }
        }
        if !updates.send(changed.into_iter().map(group).collect()).await {
            return;
        }
    }
}

/// One list and watch, and the objects it has told of.
struct Watch {
    kind: Kind,
    known: HashMap<String, ObjectMeta>,
    /// Objects seen since a list began; what is known and not in it is gone.
    listed: Option<HashMap<String, ObjectMeta>>,
}

type Events =
    std::pin::Pin<Box<dyn Stream<Item = (usize, Result<Event<DynamicObject>, watcher::Error>)> + Send>>;

fn stream_of(
    at: usize,
    client: &kube::Client,
    kind: Kind,
    namespace: Option<&str>,
    selectors: &[(Kind, Selector)],
) -> Events {
    let (group, version, plural) = kind.resource();
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") },
        kind: kind.as_str().to_owned(),
        plural: plural.to_owned(),
    };
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let selector = selectors
        .iter()
        .find(|(of, _)| *of == kind)
        .map(|(_, selector)| selector.clone())
        .unwrap_or_default();
    let config = watcher::Config {
        label_selector: selector.label,
        field_selector: selector.field,
        ..watcher::Config::default()
    };
    let events = kube::runtime::WatchStreamExt::default_backoff(watcher::watcher(api, config));
    Box::pin(events.map(move |event| (at, event)))
}

fn take(
    watch: &mut Watch,
    store: &mut Store,
    event: Result<Event<DynamicObject>, watcher::Error>,
) -> Vec<Found> {
    match event {
        Ok(Event::Init) => {
            watch.listed = Some(HashMap::new());
            Vec::new()
        }
        Ok(Event::InitApply(object) | Event::Apply(object)) => match read(watch.kind, object) {
            Ok(object) => {
                let meta = object.metadata().clone();
                let key = format!("{}/{}", meta.namespace, meta.name);
                if let Some(listed) = &mut watch.listed {
                    listed.insert(key.clone(), meta.clone());
                }
                watch.known.insert(key, meta);
                store.apply(object)
            }
            Err(error) => {
                tracing::warn!(
                    kind = watch.kind.as_str(),
                    "an object of the Kubernetes API cannot be read: {error}"
                );
                Vec::new()
            }
        },
        Ok(Event::InitDone) => {
            let listed = watch.listed.take().unwrap_or_default();
            let known = core::mem::replace(&mut watch.known, listed);
            let gone: Vec<ObjectMeta> = known
                .into_iter()
                .filter(|(key, _)| !watch.known.contains_key(key))
                .map(|(_, meta)| meta)
                .collect();
            gone.iter().flat_map(|meta| store.delete(watch.kind, meta)).collect()
        }
        Ok(Event::Delete(object)) => match read(watch.kind, object) {
            Ok(object) => {
                let meta = object.metadata();
                watch.known.remove(&format!("{}/{}", meta.namespace, meta.name));
                store.delete(watch.kind, meta)
            }
            Err(error) => {
                tracing::warn!(
                    kind = watch.kind.as_str(),
                    "an object of the Kubernetes API cannot be read: {error}"
                );
                Vec::new()
            }
        },
        Err(error) => {
            let text = reason(&error);
            tracing::warn!(
                kind = watch.kind.as_str(),
                "Kubernetes discovery: {text}{}",
                remedy(watch.kind, &text)
            );
            Vec::new()
        }
    }
}

type Found = otelpipe_k8s::discovery::TargetGroup;

fn read(kind: Kind, object: DynamicObject) -> Result<Object, serde_json::Error> {
    kind.read(serde_json::to_value(object)?)
}

/// What a watch failed with, in the words of the API server where it has said something.
fn reason(error: &watcher::Error) -> String {
    let (doing, cause) = match error {
        watcher::Error::InitialListFailed(cause) => ("cannot list", cause),
        watcher::Error::WatchStartFailed(cause) => ("cannot watch", cause),
        watcher::Error::WatchFailed(cause) => ("the watch broke off", cause),
        watcher::Error::WatchError(status) => return format!("the watch broke off: {}", said(status)),
        watcher::Error::NoResourceVersion => return error.to_string(),
    };
    match cause {
        kube::Error::Api(status) => format!("{doing}: {}", said(status)),
        cause => format!("{doing}: {}", chain(cause)),
    }
}

fn said(status: &kube::core::Status) -> String {
    format!("{} {}: {}", status.code, status.reason, status.message)
}

/// What to do about an answer of the API server, where the reason is nearly always the same.
fn remedy(kind: Kind, text: &str) -> String {
    let (_, _, plural) = kind.resource();
    if text.contains("orbidden") || text.contains("403") {
        format!(": give the service account a ClusterRole with get, list and watch on {plural}")
    } else if text.contains("Unauthorized") || text.contains("401") {
        ": the service account's token was not accepted; it may have been mounted for another cluster, or its \
         service account deleted: start the pod anew"
            .to_owned()
    } else {
        String::new()
    }
}

fn group(found: Found) -> TargetGroup {
    TargetGroup { source: found.source, targets: found.targets, labels: found.labels }
}

/// All causes of an error, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}

/// The target groups of a `NodeList` (JSON), as role `node` makes them.
///
/// # Errors
///
/// The text is no list of nodes.
pub fn node_groups(node_list: &str) -> Result<Vec<TargetGroup>, String> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<serde_json::Value>,
    }
    let list: List = serde_json::from_str(node_list).map_err(|error| format!("list of nodes: {error}"))?;
    let mut store = Store::new(Role::Node, AttachMetadata::default());
    for item in list.items {
        store.apply(Kind::Node.read(item).map_err(|error| format!("list of nodes: {error}"))?);
    }
    Ok(store.groups().map(group).collect())
}

/// A role's name in the configuration, the role, and the objects that its selectors may narrow.
type RoleRow = (&'static str, Role, &'static [(&'static str, Kind)]);

const ROLES: [RoleRow; 6] = {
    const POD: (&str, Kind) = ("pod", Kind::Pod);
    const SERVICE: (&str, Kind) = ("service", Kind::Service);
    const NODE: (&str, Kind) = ("node", Kind::Node);
    [
        ("node", Role::Node, &[NODE]),
        ("pod", Role::Pod, &[POD, NODE]),
        ("service", Role::Service, &[SERVICE]),
        ("endpoints", Role::Endpoints, &[POD, SERVICE, ("endpoints", Kind::Endpoints)]),
        ("endpointslice", Role::EndpointSlice, &[POD, SERVICE, ("endpointslice", Kind::EndpointSlice)]),
        ("ingress", Role::Ingress, &[("ingress", Kind::Ingress)]),
    ]
};

fn role_name(role: Role) -> &'static str {
    ROLES.iter().find(|(_, known, _)| *known == role).map_or("", |(name, ..)| name)
}

fn read_role(node: &Node, role: Option<&str>, problems: &mut Problems) -> Option<Role> {
    let all = ROLES.map(|(name, ..)| name);
    let Some(name) = role else {
        problems.error_at(node, "", format!("role missing (one of: {})", all.join(", ")), None);
        return None;
    };
    let found = ROLES.iter().find(|(known, ..)| *known == name).map(|(_, role, _)| *role);
    if found.is_none() {
        let fix = crate::config::suggest::fix(name, &all, "the roles are");
        problems.error_at(node, "role", format!("unknown Kubernetes SD role {name:?}"), fix);
    }
    found
}

fn read_selectors(
    node: &Node,
    role: Role,
    keys: Vec<SelectorKeys>,
    problems: &mut Problems,
) -> Vec<(Kind, Selector)> {
    let allowed = ROLES.iter().find(|(_, known, _)| *known == role).map_or(&[][..], |(_, _, kinds)| kinds);
    let mut selectors: Vec<(Kind, Selector)> = Vec::new();
    for (at, key) in keys.into_iter().enumerate() {
        let place = format!("selectors[{at}].role");
        let Some((_, kind)) = allowed.iter().find(|(name, _)| *name == key.role) else {
            let names: Vec<&str> = allowed.iter().map(|(name, _)| *name).collect();
            let message = format!("{} role supports only {} selectors", role_name(role), names.join(", "));
            problems.error_at(node, &place, message, None);
            continue;
        };
        if selectors.iter().any(|(known, _)| known == kind) {
            problems.error_at(node, &place, format!("duplicated selector role: {}", key.role), None);
            continue;
        }
        selectors.push((*kind, Selector { label: key.label, field: key.field }));
    }
    selectors
}
