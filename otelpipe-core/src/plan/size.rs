//! How much memory a plan takes.

use core::mem::size_of;

use hashbrown::HashSet;

use super::node::Node;
use crate::attributes::Attributes;
use crate::frame::{MetricShape, Shape};

/// Bytes that were added up.
#[derive(Debug, Default)]
pub(super) struct Size {
    bytes: usize,
    /// Addresses of the label lists that are in it.
    lists: HashSet<usize>,
}

impl Size {
    /// Of a plan, from this node on.
    pub(super) fn of(node: &Node) -> usize {
        let mut size = Self::default();
        size.add::<Node>(1);
        node.add_to(&mut size);
        size.bytes
    }

    /// Some things of a kind.
    pub(super) fn add<T>(&mut self, count: usize) {
        self.bytes += count * size_of::<T>();
    }

    /// A shape, and each label list that was not there yet.
    pub(super) fn add_shape(&mut self, shape: &Shape) {
        for (_, _, metric) in shape.metrics() {
            self.add::<MetricShape>(1);
            self.add::<Attributes>(metric.attributes.len());
            for list in &metric.attributes {
                if self.lists.insert(list.address()) {
                    self.bytes += list.bytes();
                }
            }
        }
    }
}
