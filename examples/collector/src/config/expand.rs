//! References: `${env:NAME}`, `${file:path}` and what else a value may come from.
//!
//! Works on values only, never on keys, and keeps positions: what comes from a reference stands
//! at the reference, what comes from a file at its own place in that file. The rules, with
//! their traps, are those of the collectors.
//!
//! Source: `confmap/expand.go` in opentelemetry-collector.

use super::node::{Node, Span, Value};
use super::problem::Problems;
use super::source::Providers;
use super::yaml::{self, MAX_DEPTH, MAX_NODES};

/// How many references one value may need, one after the other.
const MAX_ROUNDS: usize = 1000;

/// How long a text may become, in bytes.
const MAX_TEXT: usize = 1 << 20;

/// How many bytes of text may be searched and written in all.
const MAX_WORK: usize = 1 << 26;

/// Replaces every reference in `node`, then turns `$$` into `$`.
///
/// What cannot be replaced is reported with its position and stays as it is written.
pub fn expand(node: &mut Node, providers: &Providers<'_>, problems: &mut Problems) {
    let mut expander = Expander { providers, problems, nodes: 0, work: 0, spent: false };
    expander.walk(node, 0, MAX_ROUNDS);
}

struct Expander<'a> {
    providers: &'a Providers<'a>,
    problems: &'a mut Problems,
    nodes: usize,
    work: usize,
    /// The budget for the whole configuration is used up and that was said.
    spent: bool,
}

impl Expander<'_> {
    fn walk(&mut self, node: &mut Node, depth: usize, rounds: usize) {
        match &mut node.value {
            Value::List(items) => items.iter_mut().for_each(|item| self.walk(item, depth + 1, rounds)),
            Value::Map(entries) => {
                entries.iter_mut().for_each(|(_, node)| self.walk(node, depth + 1, rounds))
            }
            Value::String(text) => {
                self.warn_of_unclosed(text, &node.span);
                let text = core::mem::take(text);
                match self.string(&text, &node.span, depth, rounds) {
                    Ok(value) => *node = value,
                    Err(message) => {
                        self.problems.error(Some(&node.span), "", message.text, message.fix);
                        node.value = Value::String(text);
                    }
                }
            }
            _ => {}
        }
    }

    /// The value of a string once its references are replaced.
    fn string(&mut self, text: &str, span: &Span, depth: usize, mut rounds: usize) -> Result<Node, Refusal> {
        let mut text = text.to_owned();
        let mut from_reference = false;
        while let Some(reference) = find(&text) {
            rounds = rounds.checked_sub(1).ok_or("too many recursive expansions")?;
            self.spend(text.len())?;
            let found = self.providers.retrieve(inside(reference), span, self.problems)?;
            if reference != text {
                let reference = reference.to_owned();
                self.spend(found.text.len())?;
                let times = text.matches(&reference).count();
                if times.saturating_mul(found.text.len()).saturating_add(text.len()) > MAX_TEXT {
                    return Err(format!("the text becomes longer than {MAX_TEXT} bytes").into());
                }
                text = text.replace(&reference, &found.text);
                continue;
            }
            if found.text.len() > MAX_TEXT {
                return Err(format!("the text becomes longer than {MAX_TEXT} bytes").into());
            }
            from_reference = true;
            let node = match &found.file {
                Some(file) => yaml::parse_quietly(&found.text, file),
                None => yaml::parse_value(&found.text, span),
            };
            match node {
                // what YAML reads as text, or cannot read, is taken letter by letter
                None | Some(Node { value: Value::String(_), .. }) => text = found.text,
                Some(node) => return self.structure(node, &found.text, depth, rounds),
            }
        }
        let mut node = Node::new(Value::String(unescape(&text)), span.clone());
        node.from_reference = from_reference;
        Ok(node)
    }

    /// A value other than text that a whole reference stands for.
    fn structure(
        &mut self,
        mut node: Node,
        text: &str,
        depth: usize,
        rounds: usize,
    ) -> Result<Node, Refusal> {
        if depth + node.depth() > MAX_DEPTH {
            return Err(format!("lists and maps are nested deeper than {MAX_DEPTH} levels").into());
        }
        self.nodes = self.nodes.saturating_add(node.count());
        if self.nodes > MAX_NODES {
            return Err(format!("the references bring in more than {MAX_NODES} values").into());
        }
        self.walk(&mut node, depth, rounds);
        node.text = self.original(text, &node.span.clone(), rounds).map(Into::into);
        node.from_reference = true;
        Ok(node)
    }

    /// The text form of a value, for settings that want a string; mistakes in it were
    /// reported with the value.
    fn original(&mut self, text: &str, span: &Span, mut rounds: usize) -> Option<String> {
        let mut text = text.to_owned();
        let mut quiet = Problems::new();
        while let Some(reference) = find(&text) {
            rounds = rounds.checked_sub(1)?;
            self.spend(text.len()).ok()?;
            let found = self.providers.retrieve(inside(reference), span, &mut quiet).ok()?;
            let reference = reference.to_owned();
            if text.matches(&reference).count().saturating_mul(found.text.len()) > MAX_TEXT {
                return None;
            }
            text = text.replace(&reference, &found.text);
        }
        Some(unescape(&text))
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.work = self.work.saturating_add(bytes);
        if self.work > MAX_WORK {
            let first = !core::mem::replace(&mut self.spent, true);
            let text = if first {
                "the references of this configuration refer to each other without end"
            } else {
                "not expanded"
            };
            return Err(text.into());
        }
        Ok(())
    }

    /// `${` without `}` stays as text, which is rarely meant.
    fn warn_of_unclosed(&mut self, text: &str, span: &Span) {
        let tail = text.rsplit_once('}').map_or(text, |(_, tail)| tail);
        if let Some((before, _)) = tail.rsplit_once("${")
            && before.bytes().rev().take_while(|b| *b == b'$').count() % 2 == 0
        {
            let message = "`${` is not closed: the text is taken as it is written";
            self.problems.warning(
                Some(span),
                "",
                message,
                Some("close it with `}`, or write `$${`".to_owned()),
            );
        }
    }
}

/// Why a reference cannot be replaced.
#[derive(Debug)]
pub(super) struct Refusal {
    /// What is wrong.
    pub(super) text: String,
    /// What would mend it.
    pub(super) fix: Option<String>,
}

impl From<String> for Refusal {
    fn from(text: String) -> Self {
        Self { text, fix: None }
    }
}

impl From<&str> for Refusal {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// The reference that is replaced next: up to the first `}` that has a `${` before it, from
/// the last such `${`. `None` as well when that one is escaped, whatever comes after.
fn find(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        let close = rest.find('}')?;
        let (head, tail) = rest.split_at(close + 1);
        let Some(open) = head.rfind("${") else {
            rest = tail;
            continue;
        };
        let (before, reference) = head.split_at(open);
        let dollars = before.bytes().rev().take_while(|b| *b == b'$').count();
        return dollars.is_multiple_of(2).then_some(reference);
    }
}

fn inside(reference: &str) -> &str {
    reference.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).unwrap_or(reference)
}

fn unescape(text: &str) -> String {
    text.replace("$$", "$")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::config::source::Unreachable;
    use crate::config::{Leniency, decode};
    use crate::env::Env;

    fn env() -> Env {
        Env::from_iter([
            ("A", "val"),
            ("HOST", "localhost"),
            ("PORT", "3044"),
            ("OCT", "0123"),
            ("HEX", "0xdeadbeef"),
            ("M", "{a: 1}"),
            ("L", "[a, '${A}', '$${A}']"),
            ("E", ""),
            ("Q", "\"q\" # c"),
            ("B", "HOST"),
            ("X_HOST", "inner"),
            ("Y", "${env:A}"),
            ("MY", "{p: \"${Y}\"}"),
            ("BAD", "[a"),
            ("LOOP", "${env:LOOP}"),
            ("GROW", "x${env:GROW}${env:GROW}"),
            ("NEST", "[\"${env:NEST}\"]"),
            ("WIDE", "[\"${env:WIDE}\", \"${env:WIDE}\"]"),
        ])
    }

    fn expanded(text: &str) -> (Node, String) {
        let mut problems = Problems::new();
        let file = Arc::from("c.yaml");
        let mut node = Node::new(Value::String(text.to_owned()), Span::start_of(&file));
        let env = env();
        expand(&mut node, &Providers { env: &env, fetch: &Unreachable }, &mut problems);
        let list: Vec<String> = problems.iter().map(|problem| problem.message.clone()).collect();
        (node, list.join("\n"))
    }

    #[track_caller]
    fn string(text: &str, result: &str) {
        let (node, list) = expanded(text);
        assert_eq!(list, "", "{text}");
        let mut problems = Problems::new();
        let value: Option<String> = decode(&node, "", Leniency::Strict, &mut problems);
        assert_eq!(value.as_deref(), Some(result), "{text}");
    }

    #[track_caller]
    fn value(text: &str, result: &str) {
        let (node, list) = expanded(text);
        assert_eq!((format!("{node:?}").as_str(), list.as_str()), (result, ""), "{text}");
    }

    #[track_caller]
    fn fails(text: &str, message: &str) {
        let (_, list) = expanded(text);
        assert_eq!(list, message, "{text}");
    }

    #[test]
    fn references_as_in_the_table_of_the_reference() {
        string("${A}", "val");
        string("${env:A}", "val");
        string("$A", "$A");
        string("$$A", "$A");
        string("$$$$X", "$$X");
        string("$${A}", "${A}");
        string("$$${A}", "$val");
        string("$$$${A}", "$${A}");
        string("$${1}", "${1}");
        string("$${1}$${env:A}", "${1}${env:A}");
        string("${A}-$${HOST}", "val-${HOST}");
        string("$${HOST}-${A}", "${HOST}-${A}");
        string("${A} $${A}", "val $val");
        string("${HOST}:$PORT", "localhost:$PORT");
        string("${HOST}:${PORT}", "localhost:3044");
        value("${PORT}", "3044");
        string("${PORT}", "3044");
        value("${OCT}", "83");
        string("${OCT}", "0123");
        value("${HEX}", "3735928559");
        string("${HEX}", "0xdeadbeef");
        value("${M}", "{\"a\": 1}");
        string("x${M}", "x{a: 1}");
        string("${M}", "{a: 1}");
        string("${Q}", "\"q\" # c");
        value("${env:E:-d}", "null");
        string("${env:E:-d}", "");
        string("${env:U:-d}", "d");
        string("${env:U:-}", "");
        string("${env:U:-${A}}", "val");
        string("${env:U:-a:b}", "a:b");
        string("(.*)$$", "(.*)$");
        string("^/system\\.slice/(.+)\\.service$", "^/system\\.slice/(.+)\\.service$");
        string("a}b", "a}b");
        string("a}${A}", "a}val");
        string("${env:X_${env:B}}", "inner");
        string("${Y}", "val");
        string("<${Y}>", "<val>");
        value("${MY}", "{\"p\": \"val\"}");
        value("${L}", "[\"a\", \"val\", \"${A}\"]");
        string("${BAD}", "[a");
        value("${yaml:[1, x]}", "[1, \"x\"]");
        fails("${HOST:-d}", "scheme \"HOST\" is not supported for uri \"HOST:-d\"");
        fails(
            "${env:1X}",
            "environment variable \"1X\" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$",
        );
        fails("${}", "environment variable \"\" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$");
        fails("${a:b}", "invalid uri: \"a:b\"");
        fails("${env:$A}", "the uri \"env:$A\" contains unsupported characters ('$')");
        fails("a ${A", "`${` is not closed: the text is taken as it is written");
        fails("a $${A", "");
    }

    #[test]
    fn an_unset_variable_is_empty_and_said() {
        let (node, message) = expanded("${U}");
        assert_eq!(
            (format!("{node:?}").as_str(), message.as_str()),
            ("null", "the environment variable U is not set: the value is empty")
        );
        let mut problems = Problems::new();
        assert_eq!(decode::<String>(&node, "", Leniency::Strict, &mut problems).as_deref(), Some(""));
    }

    #[test]
    fn endless_references_end() {
        fails("${env:LOOP}", "too many recursive expansions");
        fails("x${env:LOOP}", "too many recursive expansions");
        assert!(expanded("${env:GROW}").1.starts_with("the text becomes longer"));
        assert_eq!(expanded("${env:NEST}").1, "lists and maps are nested deeper than 96 levels");
        assert!(!expanded("${env:WIDE}").1.is_empty());
    }

    #[test]
    fn values_from_references_stand_where_the_reference_is() {
        let mut problems = Problems::new();
        let mut node = yaml::parse("a:\n  b: ${M}\n", &Arc::from("c.yaml"), &mut problems).expect("valid");
        let env = env();
        expand(&mut node, &Providers { env: &env, fetch: &Unreachable }, &mut problems);
        assert_eq!(node.at_path("a.b.a").span.to_string(), "c.yaml:2:6");
        assert_eq!(node.at_path("a.b").text.as_deref(), Some("{a: 1}"));
    }

    proptest! {
        #[test]
        fn any_text_is_expanded_without_panic(text in r"(\$|\{|\}|:|-|env|A|B|U|LOOP|M|GROW| ){0,24}") {
            let _ = expanded(&text);
        }

        #[test]
        fn text_without_references_and_escapes_is_unchanged(text in r"(\$?[a-z{}:. -]){0,24}") {
            prop_assume!(!text.contains("${") && !text.contains("$$"));
            let (node, problems) = expanded(&text);
            prop_assert_eq!(problems, "");
            prop_assert_eq!(node.as_str(), Some(text.as_str()));
        }
    }
}
