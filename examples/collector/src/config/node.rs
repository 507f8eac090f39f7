//! A configuration value that knows where it was written.

use std::fmt;
use std::sync::Arc;

/// A place in a configuration source.
#[derive(Clone, Eq, PartialEq)]
pub struct Span {
    /// The name of the source as the user gave it: a path, or `env:NAME`.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// How many characters of the line belong to the value; 0 when unknown.
    pub len: u32,
}

/// The key of a map entry.
#[derive(Clone, Eq, PartialEq)]
pub struct Key {
    /// The key without quotes.
    pub text: String,
    /// Where it was written.
    pub span: Span,
}

/// A configuration value with its position.
#[derive(Clone, PartialEq)]
pub struct Node {
    /// The value as YAML reads it.
    pub value: Value,
    /// Where it was written. A value without text has the position of its key.
    pub span: Span,
    /// The text that the value was read from: of plain scalars other than strings, and
    /// of everything that came from a reference (there the provider's whole text).
    pub text: Option<Arc<str>>,
    /// Whether the value stands where the user wrote one whole `${…}`.
    pub from_reference: bool,
}

/// What a [`Node`] holds.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number within the range of `i64` or `u64`.
    Int(i128),
    /// A number with a fraction or exponent, `.inf`, `.nan`.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    List(Vec<Node>),
    /// A map in the order it was written, no key twice.
    Map(Vec<(Key, Node)>),
}

impl Span {
    /// The first character of `file`.
    pub fn start_of(file: &Arc<str>) -> Self {
        Self { file: Arc::clone(file), line: 1, column: 1, len: 0 }
    }
}

impl Node {
    /// A value at a place.
    pub fn new(value: Value, span: Span) -> Self {
        Self { value, span, text: None, from_reference: false }
    }

    /// The value under `key`, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, node)| node)
    }

    /// The entry `key`, if this is a map that has it.
    pub fn entry(&self, key: &str) -> Option<&(Key, Node)> {
        self.entries().iter().find(|(k, _)| k.text == key)
    }

    /// The entries of a map; empty for everything else.
    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Splits a map in two: the entries named in `keys`, and the others.
    #[must_use]
    pub fn split(&self, keys: &[&str]) -> (Node, Node) {
        let (taken, rest) =
            self.entries().iter().cloned().partition(|(key, _)| keys.contains(&key.text.as_str()));
        let map = |entries| Node { value: Value::Map(entries), ..self.clone() };
        (map(taken), map(rest))
    }

    /// The elements of a list; empty for everything else.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether the value is the zero value of its type: nothing, `false`, `0` or empty.
    pub fn is_zero(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Bool(value) => !value,
            Value::Int(value) => *value == 0,
            Value::Float(value) => *value == 0.0,
            Value::String(text) => text.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
        }
    }

    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The node at `path`, or the deepest one on the way to it that exists.
    ///
    /// Steps are parted by `.` or `::`, list elements are `[0]`; a key that has dots
    /// itself is found as well: `transforms[3].operations[0].label`.
    pub fn at_path(&self, path: &str) -> &Node {
        self.locate(path).0
    }

    /// The key of the entry at `path`, if the path ends at an entry of a map.
    pub fn key_at_path(&self, path: &str) -> Option<&Key> {
        let (_, key, rest) = self.locate(path);
        if rest.is_empty() { key } else { None }
    }

    /// How many lists and maps are nested in this value: 0 for a scalar.
    pub fn depth(&self) -> usize {
        let children = self.items().iter().chain(self.entries().iter().map(|(_, node)| node));
        match self.value {
            Value::List(_) | Value::Map(_) => 1 + children.map(Node::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// How many values this is, itself included.
    pub fn count(&self) -> usize {
        let children = self.items().iter().chain(self.entries().iter().map(|(_, node)| node));
        1 + children.map(Node::count).sum::<usize>()
    }

    /// Gives this value and everything in it the same place.
    pub fn place_at(&mut self, span: &Span) {
        self.span = span.clone();
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.place_at(span)),
            Value::Map(entries) => {
                for (key, node) in entries {
                    key.span = span.clone();
                    node.place_at(span);
                }
            }
            _ => {}
        }
    }

    fn locate<'n, 'p>(&'n self, path: &'p str) -> (&'n Node, Option<&'n Key>, &'p str) {
        let (mut node, mut key, mut rest) = (self, None, path);
        loop {
            rest = rest.trim_start_matches(['.', ':']);
            if rest.is_empty() {
                return (node, key, rest);
            }
            if let Some((index, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
                let found = index.parse::<usize>().ok().and_then(|i| node.items().get(i));
                let Some(item) = found else { return (node, key, rest) };
                (node, key, rest) = (item, None, after);
                continue;
            }
            // the longest key that the path goes on with, as keys may contain dots
            let next = node
                .entries()
                .iter()
                .filter_map(|(k, n)| {
                    let after = rest.strip_prefix(k.text.as_str())?;
                    let ends = after.is_empty() || after.starts_with(['.', '[']) || after.starts_with("::");
                    ends.then_some((k, n, after))
                })
                .min_by_key(|(_, _, after)| after.len());
            let Some((k, n, after)) = next else { return (node, key, rest) };
            (node, key, rest) = (n, Some(k), after);
        }
    }
}

impl Value {
    /// What this is, for messages: `a string`, `a list`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

/// Prints the value alone, as the tests compare it.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::String(value) => value.fmt(f),
            Self::List(items) => f.debug_list().entries(items).finish(),
            Self::Map(entries) => f.debug_map().entries(entries.iter().map(|(k, v)| (k, v))).finish(),
        }
    }
}
