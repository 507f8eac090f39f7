//! Kubernetes objects, reduced to what discovery reads.
//!
//! With the `serde` feature they deserialise from the JSON of the API server: unknown
//! fields are ignored, and a `null` list or map is an empty one.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Declares objects whose fields are all optional in JSON and spelt in camelCase there.
macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Eq, PartialEq)]
        #[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, rename_all = "camelCase"))]
        pub struct $name {
            $($(#[$field_doc])*
            #[cfg_attr(feature = "serde", serde(deserialize_with = "or_default"))]
            pub $field: $type,)*
        }
    )*};
}

/// Labels and annotations.
pub type TextMap = BTreeMap<String, String>;

objects! {
    /// What every object has.
    ObjectMeta {
        /// Unique in its namespace and kind.
        name: String,
        /// Empty for objects that belong to no namespace, such as nodes.
        namespace: String,
        /// Unique over time: a later object of the same name has another.
        uid: String,
        /// The object's labels.
        labels: TextMap,
        /// The object's annotations.
        annotations: TextMap,
        /// Who made it.
        owner_references: Vec<OwnerReference>,
    }
    /// The maker of an object.
    OwnerReference {
        /// Such as `ReplicaSet`.
        kind: String,
        /// Its name.
        name: String,
        /// Whether it is the one that manages the object.
        controller: bool,
    }
    /// A reference to another object.
    ObjectReference {
        /// Such as `Pod`.
        kind: String,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    }
    /// A machine.
    Node {
        /// Name, labels and so on.
        metadata: ObjectMeta,
        /// What is wanted.
        spec: NodeSpec,
        /// What is.
        status: NodeStatus,
    }
    /// What is wanted of a node.
    NodeSpec {
        /// The cloud's name of the machine.
        #[cfg_attr(feature = "serde", serde(rename = "providerID"))]
        provider_id: String,
    }
    /// The state of a node.
    NodeStatus {
        /// Where it can be reached.
        addresses: Vec<NodeAddress>,
        /// `Ready`, `MemoryPressure` and so on.
        conditions: Vec<Condition>,
        /// Ports of its daemons.
        daemon_endpoints: DaemonEndpoints,
    }
    /// One address of a node.
    NodeAddress {
        /// Such as `InternalIP`.
        #[cfg_attr(feature = "serde", serde(rename = "type"))]
        kind: String,
        /// An IP address or a host name.
        address: String,
    }
    /// One condition of a node or pod.
    Condition {
        /// Such as `Ready`.
        #[cfg_attr(feature = "serde", serde(rename = "type"))]
        kind: String,
        /// `True`, `False` or `Unknown`.
        status: String,
    }
    /// Ports of a node's daemons.
    DaemonEndpoints {
        /// The kubelet's.
        kubelet_endpoint: DaemonEndpoint,
    }
    /// The port of one daemon.
    DaemonEndpoint {
        /// 0 if unknown.
        #[cfg_attr(feature = "serde", serde(rename = "Port"))]
        port: i32,
    }
    /// A group of containers with one address.
    Pod {
        /// Name, labels and so on.
        metadata: ObjectMeta,
        /// What is wanted.
        spec: PodSpec,
        /// What is.
        status: PodStatus,
    }
    /// What is wanted of a pod.
    PodSpec {
        /// The node it runs on; empty before it is scheduled.
        node_name: String,
        /// Its containers.
        containers: Vec<Container>,
        /// Containers that run before the others.
        init_containers: Vec<Container>,
    }
    /// A container of a pod.
    Container {
        /// Unique in the pod.
        name: String,
        /// What it runs.
        image: String,
        /// The ports it declares.
        ports: Vec<ContainerPort>,
    }
    /// A port that a container declares.
    ContainerPort {
        /// May be empty.
        name: String,
        /// Its number in the pod.
        container_port: i32,
        /// `TCP`, `UDP` or `SCTP`.
        protocol: String,
    }
    /// The state of a pod.
    PodStatus {
        /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
        phase: String,
        /// Empty before it starts and after it was evicted.
        #[cfg_attr(feature = "serde", serde(rename = "podIP"))]
        pod_ip: String,
        /// The address of its node.
        #[cfg_attr(feature = "serde", serde(rename = "hostIP"))]
        host_ip: String,
        /// `Ready` and so on.
        conditions: Vec<Condition>,
        /// The state of each container.
        container_statuses: Vec<ContainerStatus>,
        /// The state of each init container.
        init_container_statuses: Vec<ContainerStatus>,
    }
    /// The state of a container.
    ContainerStatus {
        /// The container's name.
        name: String,
        /// Such as `containerd://…`; empty before it was started.
        #[cfg_attr(feature = "serde", serde(rename = "containerID"))]
        container_id: String,
    }
    /// A name for a set of pods.
    Service {
        /// Name, labels and so on.
        metadata: ObjectMeta,
        /// What is wanted.
        spec: ServiceSpec,
    }
    /// What is wanted of a service.
    ServiceSpec {
        /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
        #[cfg_attr(feature = "serde", serde(rename = "type"))]
        kind: String,
        /// Its address, `None` as text for headless services.
        #[cfg_attr(feature = "serde", serde(rename = "clusterIP"))]
        cluster_ip: String,
        /// The name that an `ExternalName` service stands for.
        external_name: String,
        /// The address asked of a load balancer.
        #[cfg_attr(feature = "serde", serde(rename = "loadBalancerIP"))]
        load_balancer_ip: String,
        /// `IPv4`, `IPv6` in the order of preference.
        ip_families: Vec<String>,
        /// Its ports.
        ports: Vec<ServicePort>,
    }
    /// A port of a service.
    ServicePort {
        /// May be empty.
        name: String,
        /// Its number.
        port: i32,
        /// `TCP`, `UDP` or `SCTP`.
        protocol: String,
    }
    /// The addresses behind a service.
    Endpoints {
        /// Name (the service's), labels and so on.
        metadata: ObjectMeta,
        /// Addresses that share ports.
        subsets: Vec<EndpointSubset>,
    }
    /// Addresses that share ports.
    EndpointSubset {
        /// Those that are ready.
        addresses: Vec<EndpointAddress>,
        /// Those that are not.
        not_ready_addresses: Vec<EndpointAddress>,
        /// The ports of each address.
        ports: Vec<ServicePort>,
    }
    /// An address behind a service.
    EndpointAddress {
        /// IPv4 or IPv6.
        ip: String,
        /// Its host name.
        hostname: String,
        /// The node it is on.
        node_name: Option<String>,
        /// The pod it belongs to, usually.
        target_ref: Option<ObjectReference>,
    }
    /// Some of the addresses behind a service.
    EndpointSlice {
        /// Name, labels and so on.
        metadata: ObjectMeta,
        /// `IPv4`, `IPv6` or `FQDN`.
        address_type: String,
        /// The addresses.
        endpoints: Vec<SliceEndpoint>,
        /// The ports of each address.
        ports: Vec<SlicePort>,
    }
    /// An entry of an endpoint slice.
    SliceEndpoint {
        /// Addresses of one thing.
        addresses: Vec<String>,
        /// Whether it can be used.
        conditions: SliceConditions,
        /// Its host name.
        hostname: Option<String>,
        /// The node it is on.
        node_name: Option<String>,
        /// The zone it is in.
        zone: Option<String>,
        /// The pod it belongs to, usually.
        target_ref: Option<ObjectReference>,
        /// Topology keys of the old API.
        deprecated_topology: TextMap,
    }
    /// Whether an entry of an endpoint slice can be used.
    SliceConditions {
        /// It takes requests.
        ready: Option<bool>,
        /// It would take requests.
        serving: Option<bool>,
        /// It is going away.
        terminating: Option<bool>,
    }
    /// A port of an endpoint slice.
    SlicePort {
        /// May be empty.
        name: Option<String>,
        /// `None`: all ports.
        port: Option<i32>,
        /// `TCP`, `UDP` or `SCTP`.
        protocol: Option<String>,
        /// Such as `http`.
        app_protocol: Option<String>,
    }
    /// Rules by which HTTP requests reach services.
    Ingress {
        /// Name, labels and so on.
        metadata: ObjectMeta,
        /// What is wanted.
        spec: IngressSpec,
    }
    /// What is wanted of an ingress.
    IngressSpec {
        /// Which controller serves it.
        ingress_class_name: Option<String>,
        /// Hosts with certificates.
        tls: Vec<IngressTls>,
        /// One entry a host.
        rules: Vec<IngressRule>,
    }
    /// Hosts that share a certificate.
    IngressTls {
        /// Their names; the first label may be `*`.
        hosts: Vec<String>,
    }
    /// The paths of one host.
    IngressRule {
        /// The host's name.
        host: String,
        /// Its paths.
        http: IngressHttp,
    }
    /// The paths of one host.
    IngressHttp {
        /// May be empty: all.
        paths: Vec<IngressPath>,
    }
    /// One path.
    IngressPath {
        /// Empty: `/`.
        path: String,
    }
    /// An object of which only the metadata is read: a namespace, replica set or job.
    MetaOnly {
        /// Name, labels and so on.
        metadata: ObjectMeta,
    }
}

impl ObjectMeta {
    /// The owner that manages this object.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller)
    }
}

/// Null where a value is missing, as Go programs write empty lists.
#[cfg(feature = "serde")]
fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + serde::Deserialize<'de>,
{
    Ok(<Option<T> as serde::Deserialize>::deserialize(from)?.unwrap_or_default())
}

/// The kinds of objects that discovery may need to watch.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Kind {
    /// `v1` nodes.
    Node,
    /// `v1` pods.
    Pod,
    /// `v1` services.
    Service,
    /// `v1` endpoints.
    Endpoints,
    /// `discovery.k8s.io/v1` endpointslices.
    EndpointSlice,
    /// `networking.k8s.io/v1` ingresses.
    Ingress,
    /// `v1` namespaces.
    Namespace,
    /// `apps/v1` replicasets.
    ReplicaSet,
    /// `batch/v1` jobs.
    Job,
}

impl Kind {
    /// The API group (empty for the core), the version and the plural name.
    pub fn resource(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Node => ("", "v1", "nodes"),
            Self::Pod => ("", "v1", "pods"),
            Self::Service => ("", "v1", "services"),
            Self::Endpoints => ("", "v1", "endpoints"),
            Self::EndpointSlice => ("discovery.k8s.io", "v1", "endpointslices"),
            Self::Ingress => ("networking.k8s.io", "v1", "ingresses"),
            Self::Namespace => ("", "v1", "namespaces"),
            Self::ReplicaSet => ("apps", "v1", "replicasets"),
            Self::Job => ("batch", "v1", "jobs"),
        }
    }

    /// Its name in manifests, such as `EndpointSlice`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::Pod => "Pod",
            Self::Service => "Service",
            Self::Endpoints => "Endpoints",
            Self::EndpointSlice => "EndpointSlice",
            Self::Ingress => "Ingress",
            Self::Namespace => "Namespace",
            Self::ReplicaSet => "ReplicaSet",
            Self::Job => "Job",
        }
    }

    /// Whether objects of this kind belong to a namespace.
    pub fn is_namespaced(self) -> bool {
        !matches!(self, Self::Node | Self::Namespace)
    }

    /// Reads an object of this kind from what the API server sent.
    ///
    /// # Errors
    ///
    /// The deserialiser's, where a field has another type than the API defines.
    #[cfg(feature = "serde")]
    pub fn read<'de, D: serde::Deserializer<'de>>(self, from: D) -> Result<Object, D::Error> {
        use serde::Deserialize;
        Ok(match self {
            Self::Node => Object::Node(Node::deserialize(from)?),
            Self::Pod => Object::Pod(Pod::deserialize(from)?),
            Self::Service => Object::Service(Service::deserialize(from)?),
            Self::Endpoints => Object::Endpoints(Endpoints::deserialize(from)?),
            Self::EndpointSlice => Object::EndpointSlice(EndpointSlice::deserialize(from)?),
            Self::Ingress => Object::Ingress(Ingress::deserialize(from)?),
            Self::Namespace => Object::Namespace(MetaOnly::deserialize(from)?),
            Self::ReplicaSet => Object::ReplicaSet(MetaOnly::deserialize(from)?),
            Self::Job => Object::Job(MetaOnly::deserialize(from)?),
        })
    }
}

/// An object of any kind that discovery watches.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant is named after its content")]
pub enum Object {
    Node(Node),
    Pod(Pod),
    Service(Service),
    Endpoints(Endpoints),
    EndpointSlice(EndpointSlice),
    Ingress(Ingress),
    Namespace(MetaOnly),
    ReplicaSet(MetaOnly),
    Job(MetaOnly),
}

impl Object {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Node(_) => Kind::Node,
            Self::Pod(_) => Kind::Pod,
            Self::Service(_) => Kind::Service,
            Self::Endpoints(_) => Kind::Endpoints,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::Ingress(_) => Kind::Ingress,
            Self::Namespace(_) => Kind::Namespace,
            Self::ReplicaSet(_) => Kind::ReplicaSet,
            Self::Job(_) => Kind::Job,
        }
    }

    /// Name, labels and so on.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Node(node) => &node.metadata,
            Self::Pod(pod) => &pod.metadata,
            Self::Service(service) => &service.metadata,
            Self::Endpoints(endpoints) => &endpoints.metadata,
            Self::EndpointSlice(slice) => &slice.metadata,
            Self::Ingress(ingress) => &ingress.metadata,
            Self::Namespace(object) | Self::ReplicaSet(object) | Self::Job(object) => &object.metadata,
        }
    }
}
