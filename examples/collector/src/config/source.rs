//! Where configuration comes from, and how several sources become one.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::expand::{self, Refusal};
use super::node::{Key, Node, Span, Value};
use super::problem::Problems;
use super::yaml;
use crate::env::Env;

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The values of `--config`, in order.
    pub configs: Vec<String>,
    /// The values of `--set`, in order: `processors.batch.timeout=2s`.
    pub sets: Vec<String>,
    /// Whether lists of components are joined (gate `confmap.enableMergeAppendOption`).
    pub append_lists: bool,
}

/// What references and sources are read from.
#[derive(Clone, Copy)]
pub struct Providers<'a> {
    /// The environment.
    pub env: &'a Env,
    /// What answers `http:` and `https:`.
    pub fetch: &'a dyn Fetch,
}

/// Reads a document from the network. Blocks; used at start and at reload only.
pub trait Fetch {
    /// The body of the answer to a GET of `url`, if its status is 200.
    ///
    /// # Errors
    /// A sentence that says why there is no body.
    fn get(&self, url: &str) -> Result<String, String>;
}

/// A network without hosts, for tests and for `check --offline`.
#[derive(Clone, Copy, Debug)]
pub struct Unreachable;

impl Fetch for Unreachable {
    fn get(&self, url: &str) -> Result<String, String> {
        Err(format!("cannot read {url}: the network is not used here"))
    }
}

impl std::fmt::Debug for Providers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Providers").field("env", self.env).finish_non_exhaustive()
    }
}

/// Reads, merges and expands the configuration.
///
/// The variable `AOT_CONFIG_CONTENT`, even empty, takes the place of everything on the command
/// line. `None` when a source cannot be read; an empty configuration is [`Value::Null`].
pub fn load(inputs: &Inputs, providers: &Providers<'_>, problems: &mut Problems) -> Option<Node> {
    let mut merged = merged(inputs, providers, problems)?;
    expand::expand(&mut merged, providers, problems);
    Some(merged)
}

/// Reads one text as the whole configuration; `file` is how messages call it.
pub fn load_text(file: &str, text: &str, providers: &Providers<'_>, problems: &mut Problems) -> Option<Node> {
    let file = Arc::from(file);
    problems.add_source(&file, text);
    let mut node = top_level(yaml::parse(text, &file, problems)?, problems)?;
    expand::expand(&mut node, providers, problems);
    Some(node)
}

fn merged(inputs: &Inputs, providers: &Providers<'_>, problems: &mut Problems) -> Option<Node> {
    if let Some(text) = providers.env.lookup("AOT_CONFIG_CONTENT") {
        let file = Arc::from("env:AOT_CONFIG_CONTENT");
        return top_level(yaml::parse(text, &file, problems)?, problems);
    }
    if inputs.configs.is_empty() {
        let fix = "start with `--config=file:/path/to/config.yaml`".to_owned();
        problems.error(None, "", "at least one config flag must be provided", Some(fix));
        return None;
    }
    let mut sources: Vec<Option<Node>> =
        inputs.configs.iter().map(|location| read(location, providers, problems)).collect();
    sources.extend(inputs.sets.iter().map(|set| setting(set, problems)));
    let mut merged: Option<Node> = None;
    for source in sources {
        let source = source?;
        match &mut merged {
            None => merged = Some(source),
            Some(merged) => merge(merged, source, inputs.append_lists, &mut Vec::new()),
        }
    }
    merged
}

/// One `--config`.
fn read(location: &str, providers: &Providers<'_>, problems: &mut Problems) -> Option<Node> {
    let uri = if !location.contains(':') || is_drive(location) {
        format!("file:{location}")
    } else {
        location.to_owned()
    };
    let nowhere = Span::start_of(&Arc::from(location));
    let found = match providers.retrieve(&uri, &nowhere, problems) {
        Ok(found) => found,
        Err(refusal) => {
            problems.error(None, "", refusal.text, refusal.fix);
            return None;
        }
    };
    let file = found.file.unwrap_or_else(|| Arc::from(uri.as_str()));
    let node = yaml::parse(&found.text, &file, problems)?;
    if node.is_null() {
        let fix = "a file mounted from a ConfigMap is empty when its key is another";
        let fix = uri.starts_with("file:").then(|| fix.to_owned());
        problems.warning(Some(&Span::start_of(&file)), "", "the configuration is empty", fix);
    }
    top_level(node, problems)
}

/// One `--set a.b=c`, which means `yaml:a::b: c`.
fn setting(set: &str, problems: &mut Problems) -> Option<Node> {
    let Some((key, value)) = set.split_once('=') else {
        problems.error(
            None,
            "",
            format!("`--set {set}` has no equal sign"),
            Some("write `--set key.key=value`".to_owned()),
        );
        return None;
    };
    let text = format!("{}: {}", key.replace('.', "::").trim(), value.trim());
    let file = Arc::from(format!("--set {set}"));
    top_level(yaml::parse(&text, &file, problems)?, problems)
}

fn is_drive(location: &str) -> bool {
    let mut bytes = location.bytes();
    bytes.next().is_some_and(|b| (b'A'..=b'z').contains(&b)) && bytes.next() == Some(b':')
}

/// A source is a map or nothing; keys such as `a::b` are paths.
fn top_level(node: Node, problems: &mut Problems) -> Option<Node> {
    let span = node.span.clone();
    match node.value {
        Value::Null => Some(node),
        Value::Map(entries) => {
            let mut whole = Node::new(Value::Map(Vec::new()), span.clone());
            for (key, value) in entries {
                let mut steps: Vec<&str> = key.text.split("::").collect();
                let last = steps.pop().expect("splitting gives at least one part");
                let at = key.span.clone();
                let mut value = Node::new(
                    Value::Map(vec![(Key { text: last.to_owned(), span: at.clone() }, value)]),
                    at.clone(),
                );
                for step in steps.into_iter().rev() {
                    let entry = (Key { text: step.to_owned(), span: at.clone() }, value);
                    value = Node::new(Value::Map(vec![entry]), at.clone());
                }
                merge(&mut whole, value, false, &mut Vec::new());
            }
            Some(whole)
        }
        value => {
            let message = format!("a configuration must be a map, this is {}", value.kind());
            problems.error(Some(&span), "", message, None);
            None
        }
    }
}

/// Puts `later` over `base`: maps deep, everything else replaced.
fn merge(base: &mut Node, later: Node, append_lists: bool, path: &mut Vec<String>) {
    let later_span = later.span.clone();
    match (&mut base.value, later.value) {
        (Value::Map(entries), Value::Map(later)) => {
            for (key, node) in later {
                path.push(key.text.clone());
                match entries.iter_mut().find(|(known, _)| known.text == key.text) {
                    Some((_, base)) => merge(base, node, append_lists, path),
                    None => entries.push((key, node)),
                }
                path.pop();
            }
        }
        (Value::List(items), Value::List(later)) if append_lists && joins(path) => {
            for item in later {
                if !items.iter().any(|known| known.value == item.value) {
                    items.push(item);
                }
            }
        }
        // a source without content adds nothing
        (_, Value::Null) if path.is_empty() => {}
        (base_value, later_value) => {
            *base_value = later_value;
            base.span = later_span;
            base.text = later.text;
            base.from_reference = later.from_reference;
        }
    }
}

/// Whether lists at this path are sets: `service::extensions`, `service::**::receivers|exporters`.
fn joins(path: &[String]) -> bool {
    match path {
        [service, rest @ .., last] if service == "service" => {
            (rest.is_empty() && last == "extensions") || matches!(last.as_str(), "receivers" | "exporters")
        }
        _ => false,
    }
}

/// A text that a reference or a location stands for.
#[derive(Debug)]
pub(super) struct Retrieved {
    pub(super) text: String,
    /// The name of the source, if it is one with lines of its own.
    pub(super) file: Option<Arc<str>>,
}

impl Providers<'_> {
    /// The text behind `uri`; without a scheme it is the name of an environment variable.
    pub(super) fn retrieve(
        &self,
        uri: &str,
        span: &Span,
        problems: &mut Problems,
    ) -> Result<Retrieved, Refusal> {
        let (scheme, value) = match uri.split_once(':') {
            None => ("env", uri),
            Some((scheme, value)) if is_scheme(scheme) => (scheme, value),
            Some(_) => return Err(format!("invalid uri: {uri:?}").into()),
        };
        if value.contains('$') {
            return Err(format!("the uri \"{scheme}:{value}\" contains unsupported characters ('$')").into());
        }
        let source = |text: String, problems: &mut Problems| {
            let file: Arc<str> = Arc::from(if scheme == "file" { value } else { uri });
            problems.add_source(&file, &text);
            Retrieved { text, file: Some(file) }
        };
        match scheme {
            "env" => self.variable(value, span, problems),
            "yaml" => Ok(Retrieved { text: value.to_owned(), file: None }),
            "file" => match std::fs::read_to_string(Path::new(value)) {
                Ok(text) => Ok(source(text, problems)),
                Err(error) => Err(Refusal {
                    text: format!("cannot read the file {value}: {error}"),
                    fix: match error.kind() {
                        ErrorKind::InvalidData => {
                            Some("a configuration is YAML, written as UTF-8".to_owned())
                        }
                        ErrorKind::IsADirectory => Some("name the file in it".to_owned()),
                        _ => None,
                    },
                }),
            },
            "http" | "https" => Ok(source(self.fetch.get(uri)?, problems)),
            "s3" => Err(Refusal {
                text: format!("cannot read {uri}: otelpipe does not read configurations from S3 yet"),
                fix: Some("download the object and give its path, or use an https address".to_owned()),
            }),
            _ => {
                let fix = uri.split_once(":-").filter(|(name, _)| is_name(name));
                Err(Refusal {
                    text: format!("scheme {scheme:?} is not supported for uri {uri:?}"),
                    fix: fix.map(|_| format!("write `${{env:{uri}}}`")),
                })
            }
        }
    }

    fn variable(&self, value: &str, span: &Span, problems: &mut Problems) -> Result<Retrieved, Refusal> {
        let (name, default) = match value.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (value, None),
        };
        if !is_name(name) {
            let rule = "must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$";
            return Err(format!("environment variable {name:?} has invalid name: {rule}").into());
        }
        let text = match (self.env.lookup(name), default) {
            (Some(text), _) | (None, Some(text)) => text.to_owned(),
            (None, None) => {
                let message = format!("the environment variable {name} is not set: the value is empty");
                let fix = format!("set it, or give a default: `${{env:{name}:-default}}`");
                problems.warning(Some(span), "", message, Some(fix));
                String::new()
            }
        };
        Ok(Retrieved { text, file: None })
    }
}

fn is_scheme(scheme: &str) -> bool {
    let mut bytes = scheme.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && scheme.len() > 1
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'-'))
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
