//! A batch: metrics under their scope and resource, as they travel through a pipeline.

use alloc::vec::Vec;

use crate::metric::Metric;
use crate::resource::{Resource, Scope};

/// Metrics of one scope.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScopeMetrics {
    /// The scope.
    pub scope: Scope,
    /// Its metrics, in order.
    pub metrics: Vec<Metric>,
}

/// Scopes of one resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceMetrics {
    /// The resource.
    pub resource: Resource,
    /// Its scopes, in order.
    pub scopes: Vec<ScopeMetrics>,
}

/// What one call hands from one component to the next, as OTLP `MetricsData`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricBatch {
    /// Resources, in order. The same resource may come twice.
    pub resources: Vec<ResourceMetrics>,
}

impl MetricBatch {
    /// The last scope of the last resource; made when there is none.
    pub fn scope_mut(&mut self) -> &mut ScopeMetrics {
        if self.resources.is_empty() {
            self.resources.push(ResourceMetrics::default());
        }
        let resource = self.resources.last_mut().expect("one was pushed if there was none");
        if resource.scopes.is_empty() {
            resource.scopes.push(ScopeMetrics::default());
        }
        resource.scopes.last_mut().expect("one was pushed if there was none")
    }

    /// Every scope with its resource.
    pub fn scopes(&self) -> impl Iterator<Item = (&Resource, &ScopeMetrics)> {
        self.resources.iter().flat_map(|r| r.scopes.iter().map(|scope| (&r.resource, scope)))
    }

    /// Every metric, in order.
    pub fn metrics(&self) -> impl Iterator<Item = &Metric> {
        self.resources.iter().flat_map(|r| &r.scopes).flat_map(|scope| &scope.metrics)
    }

    /// Every metric, in order, to be changed.
    pub fn metrics_mut(&mut self) -> impl Iterator<Item = &mut Metric> {
        self.resources.iter_mut().flat_map(|r| &mut r.scopes).flat_map(|scope| &mut scope.metrics)
    }

    /// Number of metrics.
    pub fn metric_count(&self) -> usize {
        self.metrics().count()
    }

    /// Number of points of all metrics.
    pub fn point_count(&self) -> usize {
        self.metrics().map(Metric::point_count).sum()
    }

    /// Keeps the metrics for which `keep` is true, then drops scopes without metrics
    /// and resources without scopes, also those that arrived empty.
    pub fn retain_metrics(&mut self, mut keep: impl FnMut(&Resource, &mut Metric) -> bool) {
        for resource in &mut self.resources {
            for scope in &mut resource.scopes {
                scope.metrics.retain_mut(|metric| keep(&resource.resource, metric));
            }
        }
        self.remove_empty();
    }

    /// Drops scopes without metrics, then resources without scopes.
    pub fn remove_empty(&mut self) {
        for resource in &mut self.resources {
            resource.scopes.retain(|scope| !scope.metrics.is_empty());
        }
        self.resources.retain(|resource| !resource.scopes.is_empty());
    }

    /// Moves everything of `other` to the end of this batch.
    pub fn append(&mut self, mut other: Self) {
        self.resources.append(&mut other.resources);
    }

    /// Whether there is no resource at all.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }
}
