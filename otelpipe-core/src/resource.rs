//! Where metrics come from: the resource, and the scope within it.

use crate::attributes::Attributes;
use crate::shared_str::SharedStr;

/// What produced the metrics: a process, a pod, a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// What is known about it.
    pub attributes: Attributes,
    /// Which version of the naming conventions the attributes follow; often empty.
    pub schema_url: SharedStr,
}

/// The library or component that produced the metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// Its name; may be empty.
    pub name: SharedStr,
    /// Its version; may be empty.
    pub version: SharedStr,
    /// What else is known about it.
    pub attributes: Attributes,
    /// Which version of the naming conventions it follows; often empty.
    pub schema_url: SharedStr,
}
