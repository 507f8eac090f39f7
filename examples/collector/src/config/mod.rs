//! The configuration language: YAML with positions, references, and typed settings.
//!
//! [`source::load`] reads all sources and gives one tree of [`node::Node`]s, each of which
//! knows its file, line and column; [`CollectorConfig::read`] finds components and pipelines in it;
//! [`decode::decode`] turns the node of a component into its settings. All of them report
//! everything that is wrong as [`problem::Problem`]s.

pub mod byte_size;
pub mod catalog;
pub mod collector;
pub mod decode;
pub mod duration;
pub mod expand;
pub mod fetch;
pub mod id;
pub mod idle;
pub mod legacy;
pub mod no_effect;
pub mod node;
pub mod problem;
pub mod secret;
pub mod source;
pub mod suggest;
mod veil;
pub mod yaml;

pub use byte_size::ByteSize;
pub use catalog::{Section, Support};
pub use collector::{CollectorConfig, Component, Pipeline, PipelineId, Signal};
pub use decode::{Leniency, decode};
pub use duration::{GoDuration, PromDuration};
pub use id::ComponentId;
pub use no_effect::{NO_EFFECT, NoEffect};
pub use node::{Key, Node, Span, Value};
pub use problem::{Problem, Problems, Severity};
pub use secret::Secret;

/// A configuration given as text, without network; `None` if anything is wrong with it.
/// `file` is how messages call it.
pub fn load_text(
    file: &str,
    text: &str,
    env: &crate::env::Env,
    problems: &mut Problems,
) -> Option<CollectorConfig> {
    let providers = source::Providers { env, fetch: &source::Unreachable };
    let node = source::load_text(file, text, &providers, problems)?;
    let config = CollectorConfig::read(node, problems);
    (!problems.has_errors()).then_some(config)
}
