//! A [`Node`] as a component's settings.
//!
//! A serde deserializer that knows positions and goes on after a mistake: what does not fit
//! is reported, left out, and the whole is read again, until nothing new is found. So one
//! call reports everything that is wrong with a component.

mod comma_list;
mod content;
mod fault;
mod reader;

use std::cell::RefCell;
use std::collections::HashSet;

use serde::de::DeserializeOwned;

use super::node::{Key, Node};
use super::problem::Problems;

use fault::Fault;
use reader::{Place, Reader};

/// How strictly the types of values are taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leniency {
    /// As the collector's own settings: a string is a string, or any value that came from a
    /// whole `${…}`; a list of strings may be one string with commas.
    Strict,
    /// As Prometheus settings, which go through a YAML writer once more: numbers and booleans
    /// are strings where a string is wanted (`regex: true`; `1.10` becomes `1.1`).
    Prometheus,
}

/// Reads `node` as a `T`; `path` is how messages call it: `exporters::awsemf`.
///
/// An empty value gives a struct with all defaults. Unknown keys are errors, but the value is
/// returned, as the rest can still be checked. `None` when something in it has the wrong type;
/// then every such place is in `problems`.
pub fn decode<T: DeserializeOwned>(
    node: &Node,
    path: &str,
    leniency: Leniency,
    problems: &mut Problems,
) -> Option<T> {
    problems.set_context(path);
    let state = State {
        leniency,
        problems: RefCell::new(problems),
        skipped: RefCell::default(),
        absent: RefCell::default(),
        unknown: RefCell::default(),
        refused: RefCell::new(false),
    };
    loop {
        let reader =
            Reader { node, path: path.to_owned(), place: Place::Root, in_option: false, state: &state };
        match T::deserialize(reader) {
            Ok(value) => return (!*state.refused.borrow()).then_some(value),
            // each round marks at least one more node, so this ends
            Err(Fault::Again) if !state.is_skipped(node) => {}
            Err(_) => return None,
        }
    }
}

/// What the rounds of one [`decode`] share. Nodes are known by their address.
struct State<'p> {
    leniency: Leniency,
    problems: RefCell<&'p mut Problems>,
    /// Nodes that are left out, because they do not fit.
    skipped: RefCell<HashSet<*const Node>>,
    /// Empty nodes whose type has no meaning for "present, but empty".
    absent: RefCell<HashSet<*const Node>>,
    /// Unknown keys that were reported.
    unknown: RefCell<HashSet<*const Key>>,
    refused: RefCell<bool>,
}

impl State<'_> {
    fn is_skipped(&self, node: &Node) -> bool {
        self.skipped.borrow().contains(&core::ptr::from_ref(node))
    }

    fn skip(&self, node: &Node) -> Fault {
        self.skipped.borrow_mut().insert(node);
        Fault::Again
    }

    fn refuse(&self, node: &Node, path: &str, message: String, fix: Option<String>) -> Fault {
        self.problems.borrow_mut().error(Some(&node.span), path, message, fix);
        *self.refused.borrow_mut() = true;
        self.skip(node)
    }
}

#[cfg(test)]
mod tests;
