//! YAML text to [`Node`]s.
//!
//! Reads what the Go library of the collectors reads: YAML 1.2 with the core schema, and
//! octal `0123`, numbers with underscores, `<<` merge keys. Repeated keys are errors, keys must
//! be strings. Size and depth are bounded, so that no text can exhaust memory or stack.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::node::{Key, Node, Span, Value};
use super::problem::Problems;

/// How deep lists and maps may be nested.
pub const MAX_DEPTH: usize = 96;

/// How many values one document may have once its aliases are written out.
pub const MAX_NODES: usize = 200_000;

/// Reads the first document of `text`; an empty text is [`Value::Null`].
///
/// Registers the text as a source of `problems`. `None` when the text is not YAML; the
/// reason is then in `problems`.
pub fn parse(text: &str, file: &Arc<str>, problems: &mut Problems) -> Option<Node> {
    problems.add_source(file, text);
    match parse_text(text, file) {
        Ok(document) => {
            if let Some(span) = document.second {
                problems.warning(Some(&span), "", "only the first YAML document of a source is read", None);
            }
            Some(document.node)
        }
        Err(errors) => {
            for error in errors {
                problems.error(Some(&error.span), "", error.message, error.fix);
            }
            None
        }
    }
}

/// Reads `text` as the value of a reference: no diagnostics, `None` when it is not YAML.
///
/// All positions are `span`.
pub fn parse_value(text: &str, span: &Span) -> Option<Node> {
    let mut node = parse_text(text, &span.file).ok()?.node;
    node.place_at(span);
    Some(node)
}

/// Reads `text` as the file `file`: no diagnostics, `None` when it is not YAML.
pub fn parse_quietly(text: &str, file: &Arc<str>) -> Option<Node> {
    parse_text(text, file).ok().map(|document| document.node)
}

/// Why a text is not YAML.
#[derive(Debug)]
struct YamlError {
    span: Span,
    message: String,
    fix: Option<String>,
}

struct Document {
    node: Node,
    second: Option<Span>,
}

fn parse_text(text: &str, file: &Arc<str>) -> Result<Document, Vec<YamlError>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        text,
        file,
        anchors: HashMap::new(),
        nodes: 0,
        errors: Vec::new(),
    };
    match reader.document() {
        Ok(document) if reader.errors.is_empty() => Ok(document),
        Ok(_) => Err(reader.errors),
        Err(error) => {
            reader.errors.push(error);
            Err(reader.errors)
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    text: &'t str,
    file: &'t Arc<str>,
    /// Anchored values with the number of nodes in them; `None` while being read.
    anchors: HashMap<usize, Option<(Node, usize)>>,
    nodes: usize,
    /// Problems that reading can go on after.
    errors: Vec<YamlError>,
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<Document, YamlError> {
        let mut node = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if node.is_some() => {
                    let second = Some(self.span(span));
                    let node = node.expect("the guard has looked");
                    return Ok(Document { node, second });
                }
                Event::DocumentStart(_) => {
                    let (event, span) = self.next()?;
                    node = Some(self.node(event, span, 0, None)?);
                }
                _ => {}
            }
        }
        let node = node.unwrap_or_else(|| Node::new(Value::Null, Span::start_of(self.file)));
        Ok(Document { node, second: None })
    }

    fn next(&mut self) -> Result<(Event<'t>, saphyr_parser::Span), YamlError> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.scan_error(&error)),
            None => Ok((Event::StreamEnd, saphyr_parser::Span::default())),
        }
    }

    /// The value that begins with `event`; `key` is the place of its key, if it has one.
    fn node(
        &mut self,
        event: Event<'t>,
        span: saphyr_parser::Span,
        depth: usize,
        key: Option<&Span>,
    ) -> Result<Node, YamlError> {
        let at = match (&event, key) {
            (Event::Scalar(_, ScalarStyle::Plain, ..), Some(key)) if span.is_empty() => key.clone(),
            _ => self.span(span),
        };
        if depth > MAX_DEPTH {
            return Err(problem(
                &at,
                format!("lists and maps are nested deeper than {MAX_DEPTH} levels"),
                None,
            ));
        }
        self.count(1, &at)?;
        let before = self.nodes;
        let (anchor, node) = match event {
            Event::Alias(anchor) => {
                let node = match self.anchors.get(&anchor) {
                    Some(Some((node, size))) => {
                        let (node, size) = (node.clone(), *size);
                        self.count(size, &at)?;
                        if node.depth() + depth > MAX_DEPTH {
                            return Err(problem(
                                &at,
                                format!("lists and maps are nested deeper than {MAX_DEPTH} levels"),
                                None,
                            ));
                        }
                        node
                    }
                    _ => return Err(problem(&at, "the alias stands inside of the value it refers to", None)),
                };
                return Ok(node);
            }
            Event::Scalar(text, style, anchor, tag) => (anchor, scalar(&text, style, tag.as_deref(), at)),
            Event::SequenceStart(anchor, _) => {
                self.anchors.insert(anchor, None);
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if event == Event::SequenceEnd {
                        break;
                    }
                    items.push(self.node(event, span, depth + 1, None)?);
                }
                (anchor, Node::new(Value::List(items), at))
            }
            Event::MappingStart(anchor, _) => {
                self.anchors.insert(anchor, None);
                let entries = self.entries(depth)?;
                (anchor, Node::new(Value::Map(entries), at))
            }
            _ => return Err(problem(&at, "a value is missing", None)),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, Some((node.clone(), self.nodes - before + 1)));
        }
        Ok(node)
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, YamlError> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut lines: HashMap<String, u32> = HashMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let at = self.span(span);
            let merges = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.node(event, span, depth + 1, None)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1, Some(&at))?;
            if merges {
                self.merge(value, &mut merged);
                continue;
            }
            let Value::String(text) = key.value else {
                let (message, fix) = match (&key.value, &key.text) {
                    (Value::List(_) | Value::Map(_), _) => (
                        "a list or map cannot be a key".to_owned(),
                        Some("put quotes around text that begins with a brace or bracket".to_owned()),
                    ),
                    (value, text) => (
                        format!("a key must be a string, not {}", value.kind()),
                        text.as_deref().filter(|t| !t.is_empty()).map(|t| format!("quote it: \"{t}\"")),
                    ),
                };
                let error = problem(&at, message, fix.as_deref());
                self.errors.push(error);
                continue;
            };
            if let Some(line) = lines.insert(text.clone(), at.line) {
                let message = format!("the key `{text}` is already set in line {line}");
                let error = problem(&at, message, Some("keep one of the two"));
                self.errors.push(error);
                continue;
            }
            entries.push((Key { text, span: at }, value));
        }
        for (key, value) in merged {
            if !lines.contains_key(&key.text) {
                lines.insert(key.text.clone(), key.span.line);
                entries.push((key, value));
            }
        }
        Ok(entries)
    }

    /// Adds what `<<: value` brings in; what comes first wins.
    fn merge(&mut self, value: Node, merged: &mut Vec<(Key, Node)>) {
        match value.value {
            Value::Map(entries) => merged.extend(entries),
            Value::List(items) if items.iter().all(|item| matches!(item.value, Value::Map(_))) => {
                for item in items {
                    self.merge(item, merged);
                }
            }
            _ => {
                let error = problem(&value.span, "`<<` takes a map or a list of maps", None);
                self.errors.push(error);
            }
        }
    }

    fn count(&mut self, nodes: usize, at: &Span) -> Result<(), YamlError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            let message =
                format!("the document has more than {MAX_NODES} values once its aliases are written out");
            return Err(problem(at, message, None));
        }
        Ok(())
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        let same_line = span.end.line() == span.start.line();
        let len = if same_line { span.end.col().saturating_sub(span.start.col()) } else { 0 };
        self.marker(&span.start, len)
    }

    fn marker(&self, marker: &Marker, len: usize) -> Span {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span {
            file: Arc::clone(self.file),
            line: number(marker.line().max(1)),
            column: number(marker.col()).saturating_add(1),
            len: number(len),
        }
    }

    /// The scanner's words, and for the usual mistakes better ones.
    fn scan_error(&self, error: &ScanError) -> YamlError {
        let span = self.marker(error.marker(), 0);
        let line_of = |number: u32| {
            let index = usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
            self.text.lines().nth(index).unwrap_or_default()
        };
        // the scanner notices a tab at the token after it, perhaps a line further down
        for number in [span.line, span.line.saturating_sub(1)] {
            let line = line_of(number);
            let indent = line.len() - line.trim_start().len();
            if let Some(tab) = line.chars().take(indent).position(|c| c == '\t') {
                let column = u32::try_from(tab).unwrap_or(u32::MAX).saturating_add(1);
                return YamlError {
                    span: Span { file: Arc::clone(self.file), line: number, column, len: 1 },
                    message: "YAML does not allow tabs for indentation".to_owned(),
                    fix: Some("indent with blanks".to_owned()),
                };
            }
        }
        YamlError { span, message: format!("this is not valid YAML: {}", error.info()), fix: None }
    }
}

fn problem(span: &Span, message: impl Into<String>, fix: Option<&str>) -> YamlError {
    YamlError { span: span.clone(), message: message.into(), fix: fix.map(str::to_owned) }
}

/// What a scalar means: quoted text is a string, plain text by its look.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Node {
    let string = |span| Node::new(Value::String(text.to_owned()), span);
    let tag = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
    if tag == Some("str") || (style != ScalarStyle::Plain && tag.is_none()) {
        return string(span);
    }
    match (tag, resolve(text)) {
        (_, None) | (Some("binary"), _) => string(span),
        (Some("float"), Some(Value::Int(value))) => {
            #[expect(clippy::cast_precision_loss, reason = "the user asks for a float")]
            let value = Value::Float(value as f64);
            Node { value, span, text: Some(Arc::from(text)), from_reference: false }
        }
        (_, Some(value)) => Node { value, span, text: Some(Arc::from(text)), from_reference: false },
    }
}

/// The value of a plain scalar that is not a string, `None` for a string.
///
/// Source: `resolve` in go.yaml.in/yaml/v3 `resolve.go`, apart from dates, which stay text.
pub fn resolve(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "true" | "True" | "TRUE" => return Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Value::Bool(false)),
        ".nan" | ".NaN" | ".NAN" => return Some(Value::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(Value::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => return Some(Value::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let plain = text.replace('_', "");
    if let Some(value) = integer(&plain) {
        return Some(Value::Int(value));
    }
    is_float(&plain).then(|| plain.parse().ok().map(Value::Float)).flatten()
}

/// Go's `strconv.ParseInt` and `ParseUint` with base 0: the prefixes `0x`, `0o`, `0b` and plain `0`.
fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match (lower.strip_prefix("0x"), lower.strip_prefix("0o"), lower.strip_prefix("0b"))
    {
        (Some(rest), ..) => (16, rest),
        (_, Some(rest), _) => (8, rest),
        (.., Some(rest)) => (2, rest),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, lower.as_str()),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    let value = if negative { -value } else { value };
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value).then_some(value)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    mantissa_fits
        && exponent.is_none_or(|exponent| {
            let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Node>, String) {
        let mut problems = Problems::new();
        let node = parse(text, &Arc::from("c.yaml"), &mut problems);
        (node, problems.render(false))
    }

    #[track_caller]
    fn check(text: &str, value: &str) {
        let (node, problems) = read(text);
        assert_eq!(problems, "", "{text}");
        assert_eq!(format!("{:?}", node.expect("it has no problems")), value, "{text}");
    }

    #[test]
    fn scalars_as_the_go_library_resolves_them() {
        check("[0123, 0x1F, 0o17, 0b101, 1_000, +5, -5, 089]", "[83, 31, 15, 5, 1000, 5, -5, 89.0]");
        check("[1.5, 1., .5, 1e3, -.inf, .nan]", "[1.5, 1.0, 0.5, 1000.0, -inf, NaN]");
        check(
            "[yes, on, ., 1.2.3, 0x, 1e, 2024-01-01, 12e5x, '']",
            "\
[\"yes\", \"on\", \".\", \"1.2.3\", \"0x\", \"1e\", \"2024-01-01\", \"12e5x\", \"\"]",
        );
        check(
            "[~, null, true, FALSE, 'true', \"5\", !!str 5, !!float 5]",
            "[null, null, true, false, \"true\", \"5\", \"5\", 5.0]",
        );
        check(
            "[18446744073709551615, 18446744073709551616, -9223372036854775808]",
            "[18446744073709551615, 1.8446744073709552e19, -9223372036854775808]",
        );
        check("", "null");
        check("# nothing\n", "null");
        check("a:\nb: |\n  x\n  y\n", "{\"a\": null, \"b\": \"x\\ny\\n\"}");
        check("[ 0.0.0.0:8081, app:8081 ]", "[\"0.0.0.0:8081\", \"app:8081\"]");
    }

    #[test]
    fn anchors_and_merge_keys() {
        check(
            "a: &x {p: 1, q: 2}\nb: *x\nc: {<<: *x, q: 3}\n",
            "{\"a\": {\"p\": 1, \"q\": 2}, \"b\": {\"p\": 1, \"q\": 2}, \"c\": {\"q\": 3, \"p\": 1}}",
        );
        check("c: {<<: [{p: 1}, {p: 2, r: 3}]}", "{\"c\": {\"p\": 1, \"r\": 3}}");
        assert!(read("a: &x [*x]").1.contains("the alias stands inside of the value it refers to"));
        assert!(read("a: {<<: 5}").1.contains("`<<` takes a map or a list of maps"));
    }

    #[test]
    fn positions_are_those_of_the_text() {
        let (node, _) = read("a:\n  - b: 5\n    'c': [x, ü, \"y\"]\n    d:\n");
        let node = node.expect("valid YAML");
        let at = |path: &str| {
            let node = node.at_path(path);
            (node.span.line, node.span.column, node.span.len)
        };
        assert_eq!(at("a[0].b"), (2, 8, 1));
        assert_eq!(at("a[0]::c[1]"), (3, 14, 1));
        assert_eq!(at("a[0].c[2]"), (3, 17, 3));
        assert_eq!(at("a[0].d"), (4, 5, 1), "a missing value has the place of its key");
        assert_eq!(at("a[0].zzz"), at("a[0]"), "the deepest that exists");
        let key = node.key_at_path("a[0].c").expect("it is a key");
        assert_eq!((key.span.line, key.span.column, key.text.as_str()), (3, 5, "c"));
    }

    #[test]
    fn what_is_wrong_is_shown_in_its_line() {
        assert_eq!(
            read("a: 1\nb: 2\na: 3\n").1,
            "\
error: the key `a` is already set in line 1
 --> c.yaml:3:1
  |
3 | a: 3
  | ^
  |
  = help: keep one of the two
"
        );
        assert_eq!(
            read("receivers:\n\totlp:\n").1,
            "\
error: YAML does not allow tabs for indentation
 --> c.yaml:2:1
  |
2 |     otlp:
  | ^^^^
  |
  = help: indent with blanks
"
        );
    }

    #[test]
    fn bombs_are_refused() {
        let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (name, of) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"), ("f", "e"), ("g", "f")] {
            bomb.push_str(&format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 10].join(",")));
        }
        assert!(
            read(&bomb).1.starts_with(
                "error: the document has more than 200000 values once its aliases are written out"
            )
        );
        let deep = format!("{}{}", "[".repeat(120), "]".repeat(120));
        assert!(read(&deep).1.starts_with("error: lists and maps are nested deeper than 96 levels"));
        let deeper = "- ".repeat(5000);
        assert!(read(&deeper).1.starts_with("error: lists and maps are nested deeper than 96 levels"));
    }
}
