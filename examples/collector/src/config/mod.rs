//! The configuration language: YAML with positions, references, and typed settings.
//!
//! A text becomes a tree of [`node::Node`]s, each of which knows its file, line and
//! column; [`decode::decode`] turns a node into a component's settings and reports
//! everything that is wrong with it as [`problem::Problem`]s.

pub mod byte_size;
pub mod decode;
pub mod duration;
pub mod node;
pub mod problem;
pub mod secret;
pub mod suggest;
pub mod yaml;

pub use byte_size::ByteSize;
pub use decode::{Leniency, decode};
pub use duration::{GoDuration, PromDuration};
pub use node::{Key, Node, Span, Value};
pub use problem::{Problem, Problems, Severity};
pub use secret::Secret;
