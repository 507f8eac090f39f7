//! What the API server told, and the target groups that follow from it.

use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::discovery::{SERVICE_NAME, TargetGroup, group, source_of};
use crate::object::{
    EndpointAddress, Kind, MetaOnly, Node, Object, ObjectMeta, ObjectReference, Pod, Service,
};

/// What becomes a target.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Role {
    /// The kubelet of each node.
    Node,
    /// Each port of each container.
    Pod,
    /// Each port of each service.
    Service,
    /// Each address of each endpoints object.
    Endpoints,
    /// Each address of each endpoint slice.
    EndpointSlice,
    /// Each path of each ingress.
    Ingress,
}

impl Role {
    /// The kind of object that makes the targets of this role.
    pub fn kind(self) -> Kind {
        match self {
            Self::Node => Kind::Node,
            Self::Pod => Kind::Pod,
            Self::Service => Kind::Service,
            Self::Endpoints => Kind::Endpoints,
            Self::EndpointSlice => Kind::EndpointSlice,
            Self::Ingress => Kind::Ingress,
        }
    }
}

/// `attach_metadata`: labels of other objects to add to targets. Default: none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct AttachMetadata {
    /// The node's name, labels and annotations, on pods, endpoints and endpoint slices.
    pub node: bool,
    /// The namespace's labels and annotations, on all but nodes.
    pub namespace: bool,
    /// The name of the deployment that made a pod.
    pub deployment: bool,
    /// The name of the job that made a pod.
    pub job: bool,
    /// The name of the cron job that made a pod's job.
    pub cronjob: bool,
}

/// The objects of one `kubernetes_sd_configs` entry, and the target groups they make.
///
/// Feed it what a list and watch of the [`kinds`](Self::kinds) reports. It keeps the
/// objects, reduced to what labels need, and works out the groups when asked.
///
/// ```
/// use otelpipe_k8s::object::{Node, NodeAddress, Object};
/// use otelpipe_k8s::store::{AttachMetadata, Role, Store};
///
/// let mut node = Node::default();
/// node.metadata.name = "ip-10-0-0-1".into();
/// node.status.addresses = vec![NodeAddress { kind: "InternalIP".into(), address: "10.0.0.1".into() }];
/// node.status.daemon_endpoints.kubelet_endpoint.port = 10250;
///
/// let mut store = Store::new(Role::Node, AttachMetadata::default());
/// let groups = store.apply(Object::Node(node));
/// assert_eq!(groups[0].source, "node/ip-10-0-0-1");
/// assert_eq!(groups[0].targets[0].get("__address__"), Some("10.0.0.1:10250"));
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    role: Role,
    attach: AttachMetadata,
    objects: HashMap<Kind, HashMap<String, Object>>,
}

impl Store {
    /// An empty store.
    pub fn new(role: Role, attach: AttachMetadata) -> Self {
        Self { role, attach, objects: HashMap::new() }
    }

    /// The kinds to list and watch, the one that makes targets last: list them in
    /// this order, and every group is complete when it first appears.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds = Vec::new();
        let pods = matches!(self.role, Role::Pod | Role::Endpoints | Role::EndpointSlice);
        if self.attach.namespace && self.role != Role::Node {
            kinds.push(Kind::Namespace);
        }
        if self.attach.node && pods {
            kinds.push(Kind::Node);
        }
        if self.attach.deployment && pods {
            kinds.push(Kind::ReplicaSet);
        }
        if self.attach.cronjob && pods {
            kinds.push(Kind::Job);
        }
        if matches!(self.role, Role::Endpoints | Role::EndpointSlice) {
            kinds.extend([Kind::Pod, Kind::Service]);
        }
        kinds.push(self.role.kind());
        kinds
    }

    /// Takes in an object that was added or changed; returns the groups to replace.
    ///
    /// None if nothing changed that a label shows, as with most node updates.
    pub fn apply(&mut self, object: Object) -> Vec<TargetGroup> {
        let kind = object.kind();
        if !self.kinds().contains(&kind) {
            return Vec::new();
        }
        let key = key(object.metadata());
        let known = self.objects.entry(kind).or_default();
        if known.get(&key).is_some_and(|known| *known == object) {
            return Vec::new();
        }
        known.insert(key.clone(), object);
        let object = self.objects.get(&kind).and_then(|objects| objects.get(&key));
        object.map(|object| self.affected(object)).unwrap_or_default()
    }

    /// Takes in that an object is gone; returns the groups to replace, its own without
    /// targets. A late report about an object that has a successor changes nothing.
    pub fn delete(&mut self, kind: Kind, gone: &ObjectMeta) -> Vec<TargetGroup> {
        let Some(objects) = self.objects.get_mut(&kind) else { return Vec::new() };
        let key = key(gone);
        let same = |known: &Object| gone.uid.is_empty() || known.metadata().uid == gone.uid;
        if !objects.get(&key).is_some_and(same) {
            return Vec::new();
        }
        let Some(object) = objects.remove(&key) else { return Vec::new() };
        if kind == self.role.kind() {
            let source = source_of(kind, object.metadata()).unwrap_or_default();
            return Vec::from([TargetGroup { source, ..TargetGroup::default() }]);
        }
        self.affected(&object)
    }

    /// Takes in the whole list of a kind, as after a watch broke: what is not in it is gone.
    pub fn replace(&mut self, kind: Kind, objects: Vec<Object>) -> Vec<TargetGroup> {
        let listed: hashbrown::HashSet<String> =
            objects.iter().map(|object| key(object.metadata())).collect();
        let known = self.objects.get(&kind).into_iter().flatten();
        let gone = known.filter(|(key, _)| !listed.contains(*key));
        let gone: Vec<ObjectMeta> = gone.map(|(_, object)| object.metadata().clone()).collect();
        let mut groups: Vec<_> = gone.iter().flat_map(|meta| self.delete(kind, meta)).collect();
        for object in objects.into_iter().filter(|object| object.kind() == kind) {
            groups.extend(self.apply(object));
        }
        groups
    }

    /// All groups as they are now, in no order.
    pub fn groups(&self) -> impl Iterator<Item = TargetGroup> + '_ {
        self.objects.get(&self.role.kind()).into_iter().flatten().map(|(_, object)| group(object, self))
    }

    /// The groups that show something of `changed`.
    fn affected(&self, changed: &Object) -> Vec<TargetGroup> {
        if changed.kind() == self.role.kind() {
            return Vec::from([group(changed, self)]);
        }
        let objects = self.objects.get(&self.role.kind()).into_iter().flatten();
        let affected = objects.filter(|(_, object)| self.shows(object, changed));
        affected.map(|(_, object)| group(object, self)).collect()
    }

    /// Whether the group of `object` shows something of `other`.
    fn shows(&self, object: &Object, other: &Object) -> bool {
        let (meta, other_meta) = (object.metadata(), other.metadata());
        match other.kind() {
            Kind::Namespace => meta.namespace == other_meta.name,
            _ if other.kind().is_namespaced() && meta.namespace != other_meta.namespace => {
                // Only endpoints written by hand may name pods of other namespaces.
                other.kind() == Kind::Pod && self.names(object, other)
            }
            Kind::Service => match object {
                Object::EndpointSlice(_) => meta.labels.get(SERVICE_NAME) == Some(&other_meta.name),
                _ => meta.name == other_meta.name,
            },
            _ => self.names(object, other),
        }
    }

    fn names(&self, object: &Object, other: &Object) -> bool {
        match object {
            Object::Pod(pod) => self.pod_names(pod, other),
            Object::Endpoints(endpoints) => {
                let both = |subset: &'_ crate::object::EndpointSubset| {
                    let addresses = subset.addresses.iter().chain(&subset.not_ready_addresses);
                    addresses.into_iter().any(|EndpointAddress { node_name, target_ref, .. }| {
                        self.reference_names(target_ref.as_ref(), node_name.as_ref(), other)
                    })
                };
                endpoints.subsets.iter().any(both)
            }
            Object::EndpointSlice(slice) => slice.endpoints.iter().any(|endpoint| {
                self.reference_names(endpoint.target_ref.as_ref(), endpoint.node_name.as_ref(), other)
            }),
            _ => false,
        }
    }

    fn pod_names(&self, pod: &Pod, other: &Object) -> bool {
        let name = &other.metadata().name;
        let owner = |kind: &str| {
            pod.metadata.controller().is_some_and(|owner| owner.kind == kind && owner.name == *name)
        };
        match other.kind() {
            Kind::Node => pod.spec.node_name == *name,
            Kind::ReplicaSet => owner("ReplicaSet"),
            Kind::Job => owner("Job"),
            _ => false,
        }
    }

    fn reference_names(
        &self,
        reference: Option<&ObjectReference>,
        node: Option<&String>,
        other: &Object,
    ) -> bool {
        let meta = other.metadata();
        let is =
            |kind: &str, reference: &ObjectReference| reference.kind == kind && reference.name == meta.name;
        let pod = || {
            let pod = reference.filter(|reference| reference.kind == "Pod")?;
            self.pod(&pod.namespace, &pod.name)
        };
        match other.kind() {
            Kind::Pod => reference
                .is_some_and(|reference| is("Pod", reference) && reference.namespace == meta.namespace),
            Kind::Node => {
                node == Some(&meta.name)
                    || reference.is_some_and(|reference| is("Node", reference))
                    || pod().is_some_and(|pod| self.pod_names(pod, other))
            }
            _ => pod().is_some_and(|pod| self.pod_names(pod, other)),
        }
    }

    pub(crate) fn attach(&self) -> AttachMetadata {
        self.attach
    }

    pub(crate) fn attaches_nodes(&self) -> bool {
        self.attach.node
    }

    pub(crate) fn object(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Object> {
        self.objects.get(&kind)?.get(&join(namespace, name))
    }

    pub(crate) fn node(&self, name: &str) -> Option<&Node> {
        match self.object(Kind::Node, "", name)? {
            Object::Node(node) => Some(node),
            _ => None,
        }
    }

    pub(crate) fn pod(&self, namespace: &str, name: &str) -> Option<&Pod> {
        match self.object(Kind::Pod, namespace, name)? {
            Object::Pod(pod) => Some(pod),
            _ => None,
        }
    }

    pub(crate) fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        match self.object(Kind::Service, namespace, name)? {
            Object::Service(service) => Some(service),
            _ => None,
        }
    }

    /// The namespace, if its metadata is wanted.
    pub(crate) fn namespace_to_attach(&self, name: &str) -> Option<&MetaOnly> {
        match self.object(Kind::Namespace, "", name)? {
            Object::Namespace(namespace) if self.attach.namespace => Some(namespace),
            _ => None,
        }
    }
}

fn key(meta: &ObjectMeta) -> String {
    join(&meta.namespace, &meta.name)
}

fn join(namespace: &str, name: &str) -> String {
    alloc::format!("{namespace}/{name}")
}
