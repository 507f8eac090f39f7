//! Spellings of older collectors, accepted for good, each with one warning.
//!
//! The component is rewritten to the current form before anything else looks at it. Its id stays as
//! the user wrote it.

use super::catalog::{ComponentType, Section};
use super::id::ComponentId;
use super::node::{Key, Node, Value};
use super::problem::Problems;

/// Rewrites the old forms in the component `id`, whose key is `key`.
pub fn modernize(
    section: Section,
    id: &ComponentId,
    kind: &ComponentType,
    key: &Key,
    node: &mut Node,
    problems: &mut Problems,
) {
    let path = format!("{}::{id}", section.key());
    let written = id.kind();
    if written != kind.name {
        let message = format!("the {} type `{written}` is now called `{}`", section.singular(), kind.name);
        // Ten processors of one old type are one thing to know.
        if !problems.iter().any(|problem| problem.message == message) {
            problems.warning(Some(&key.span), &path, message, Some("both names work in otelpipe".to_owned()));
        }
    }
    match (section, kind.name) {
        (Section::Exporters, "debug") => log_level(&path, node, problems),
        (Section::Processors, "cumulativetodelta") => metric_names(&path, node, problems),
        (Section::Processors, "resource_detection") => allow_list(&path, node, problems),
        (Section::Processors, "memory_limiter") => ballast(&path, node, problems),
        _ => {}
    }
}

/// `loglevel: info` → `verbosity: normal`
fn log_level(path: &str, node: &mut Node, problems: &mut Problems) {
    let has_verbosity = node.get("verbosity").is_some();
    let Some((key, value)) = take(node, "loglevel") else { return };
    let verbosity = match value.as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("debug") => "detailed",
        Some("info") => "normal",
        Some("warn" | "error" | "dpanic" | "panic" | "fatal") => "basic",
        _ => {
            let message = "unknown log level".to_owned();
            problems.error(
                Some(&value.span),
                &format!("{path}::loglevel"),
                message,
                Some("the values are: debug, info, warn, error".to_owned()),
            );
            return;
        }
    };
    let level = value.as_str().unwrap_or_default();
    let message = format!("`loglevel: {level}` is now written `verbosity: {verbosity}`");
    problems.warning(Some(&key.span), path, message, None);
    if has_verbosity {
        problems.error(Some(&key.span), path, "`loglevel` and `verbosity` cannot both be set", None);
        return;
    }
    put(node, key, "verbosity", Node::new(Value::String(verbosity.to_owned()), value.span));
}

/// `metrics: [a]` → `include: {metrics: [a], match_type: strict}`
fn metric_names(path: &str, node: &mut Node, problems: &mut Problems) {
    let has_include = node.get("include").is_some();
    let Some((key, value)) = take(node, "metrics") else { return };
    let fix = "write `include: {match_type: strict, metrics: […]}`".to_owned();
    problems.warning(Some(&key.span), path, "the key `metrics` has moved to `include`", Some(fix));
    if has_include {
        problems.error(Some(&key.span), path, "`metrics` and `include` cannot both be set", None);
        return;
    }
    let span = value.span.clone();
    let name = |text: &str| Key { text: text.to_owned(), span: key.span.clone() };
    let include = Value::Map(vec![
        (name("match_type"), Node::new(Value::String("strict".to_owned()), span.clone())),
        (name("metrics"), value),
    ]);
    put(node, key, "include", Node::new(include, span));
}

/// `attributes` stays: it has no successor.
fn allow_list(path: &str, node: &Node, problems: &mut Problems) {
    if let Some((key, _)) = node.entry("attributes") {
        let message =
            "newer collectors do not know the key `attributes`; otelpipe keeps only the attributes it lists";
        let fix = "to run elsewhere as well, delete the others with a `resource` processor".to_owned();
        problems.warning(Some(&key.span), path, message, Some(fix));
    }
}

fn ballast(path: &str, node: &mut Node, problems: &mut Problems) {
    if let Some((key, _)) = take(node, "ballast_size_mib") {
        let message = "the key `ballast_size_mib` has no effect any more: there is no ballast";
        problems.warning(Some(&key.span), path, message, Some("take it out".to_owned()));
    }
}

/// Takes an entry out of a map.
fn take(node: &mut Node, key: &str) -> Option<(Key, Node)> {
    let Value::Map(entries) = &mut node.value else { return None };
    let at = entries.iter().position(|(known, _)| known.text == key)?;
    Some(entries.remove(at))
}

/// Adds an entry to a map, at the place of the key it came from.
fn put(node: &mut Node, from: Key, key: &str, value: Node) {
    if let Value::Map(entries) = &mut node.value {
        entries.push((Key { text: key.to_owned(), span: from.span }, value));
    }
}
