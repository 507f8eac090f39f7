//! `expr` expressions over name, type and labels: `MetricName == "a" && HasLabel("pod")`.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::attributes::Attributes;
use crate::metric::MetricKind;
use crate::pattern::Pattern;

/// A compiled expression. It cannot fail: types are checked when it is compiled, where
/// upstream notices some mistakes only by losing batches.
#[derive(Debug)]
pub(super) struct Expression(Bool);

/// What an expression sees of a point.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) name: &'a str,
    pub(super) kind: MetricKind,
    pub(super) attributes: &'a Attributes,
}

#[derive(Debug)]
enum Bool {
    Const(bool),
    HasLabel(Text),
    Equal(Text, Text),
    Less(Text, Text),
    Contains(Text, Text),
    StartsWith(Text, Text),
    EndsWith(Text, Text),
    Matches(Text, Pattern),
    In(Text, Vec<Text>),
    Same(Box<Bool>, Box<Bool>),
    Not(Box<Bool>),
    And(Box<Bool>, Box<Bool>),
    Or(Box<Bool>, Box<Bool>),
}

#[derive(Debug)]
enum Text {
    Literal(String),
    Name,
    Type,
    Label(Box<Text>),
}

impl Expression {
    /// Compiles `source`; the error names the column, counted from 1.
    pub(super) fn compile(source: &str) -> Result<Self, String> {
        let mut parser = Parser { source, at: 0, depth: 0, operators: 0 };
        let root = parser.binary(0)?;
        parser.space();
        if parser.at < source.len() {
            return Err(parser.error("an operator is expected"));
        }
        Ok(Self(parser.bool(root)?))
    }

    pub(super) fn is_true(&self, view: View<'_>) -> bool {
        self.0.eval(view)
    }
}

impl Bool {
    fn eval(&self, view: View<'_>) -> bool {
        match self {
            Self::Const(value) => *value,
            Self::HasLabel(key) => view.attributes.get(key.eval(view)).is_some(),
            Self::Equal(a, b) => a.eval(view) == b.eval(view),
            Self::Less(a, b) => a.eval(view) < b.eval(view),
            Self::Contains(a, b) => a.eval(view).contains(b.eval(view)),
            Self::StartsWith(a, b) => a.eval(view).starts_with(b.eval(view)),
            Self::EndsWith(a, b) => a.eval(view).ends_with(b.eval(view)),
            Self::Matches(a, pattern) => pattern.is_match(a.eval(view)),
            Self::In(a, list) => list.iter().any(|b| a.eval(view) == b.eval(view)),
            Self::Same(a, b) => a.eval(view) == b.eval(view),
            Self::Not(a) => !a.eval(view),
            Self::And(a, b) => a.eval(view) && b.eval(view),
            Self::Or(a, b) => a.eval(view) || b.eval(view),
        }
    }
}

impl Text {
    fn eval<'a>(&'a self, view: View<'a>) -> &'a str {
        match self {
            Self::Literal(text) => text,
            Self::Name => view.name,
            Self::Type => type_name(view.kind),
            Self::Label(key) => view.attributes.get(key.eval(view)).map_or("", |value| value.str_or_empty()),
        }
    }
}

fn type_name(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Empty => "Empty",
        MetricKind::Gauge => "Gauge",
        MetricKind::Sum => "Sum",
        MetricKind::Histogram => "Histogram",
        MetricKind::ExponentialHistogram => "ExponentialHistogram",
        MetricKind::Summary => "Summary",
    }
}

#[derive(Debug)]
enum Node {
    Bool(Bool),
    Text(Text),
    List(Vec<Text>),
}

struct Parser<'a> {
    source: &'a str,
    at: usize,
    depth: usize,
    operators: usize,
}

/// Nesting deeper than this is refused rather than allowed to exhaust the stack.
const MAX_DEPTH: usize = 64;

/// As above: a chain of operators is a tree as deep as the chain is long.
const MAX_OPERATORS: usize = 1_000;

/// Operators with how tightly they bind; longer spellings before their prefixes.
const OPERATORS: [(&str, u8); 16] = [
    ("||", 1),
    ("or", 1),
    ("&&", 2),
    ("and", 2),
    ("==", 3),
    ("!=", 3),
    ("<=", 3),
    (">=", 3),
    ("<", 3),
    (">", 3),
    ("in", 3),
    ("contains", 3),
    ("startsWith", 3),
    ("endsWith", 3),
    ("matches", 3),
    ("not", 3), // of "not in", "not matches" …
];

impl<'a> Parser<'a> {
    fn error(&self, message: &str) -> String {
        let before = self.source.get(..self.at).unwrap_or(self.source);
        format!("column {}: {message}", before.chars().count() + 1)
    }

    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        self.at = self.source.len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, sign: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(sign);
        self.at += if found { sign.len() } else { 0 };
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.eat(sign) { Ok(()) } else { Err(self.error(&format!("{sign:?} is expected"))) }
    }

    /// The word that comes next, empty if none does.
    fn word(&self) -> &'a str {
        let end = self.rest().find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        self.rest().get(..end.unwrap_or(self.rest().len())).unwrap_or_default()
    }

    fn operator(&mut self, least: u8) -> Option<(&'static str, u8)> {
        self.space();
        let word = self.word();
        let found = OPERATORS
            .iter()
            .find(|(sign, _)| if word.is_empty() { self.rest().starts_with(sign) } else { word == *sign })?;
        (found.1 >= least).then(|| {
            self.at += found.0.len();
            *found
        })
    }

    fn binary(&mut self, least: u8) -> Result<Node, String> {
        let mut left = self.unary()?;
        while let Some((operator, binding)) = self.operator(least) {
            let (operator, is_negated) = match operator {
                "not" => match self.operator(3) {
                    Some((word @ ("in" | "contains" | "startsWith" | "endsWith" | "matches"), _)) => {
                        (word, true)
                    }
                    _ => return Err(self.error("\"in\" or \"matches\" is expected after \"not\"")),
                },
                operator => (operator, false),
            };
            self.operators += 1;
            if self.operators > MAX_OPERATORS {
                return Err(self.error("the expression is too long"));
            }
            let right = self.binary(binding + 1)?;
            let joined = self.join(left, operator, right)?;
            left = Node::Bool(if is_negated { Bool::Not(Box::new(joined)) } else { joined });
        }
        Ok(left)
    }

    fn join(&self, left: Node, operator: &str, right: Node) -> Result<Bool, String> {
        let not = |inner: Bool| Bool::Not(Box::new(inner));
        Ok(match (left, operator, right) {
            (left, "||" | "or", right) => Bool::Or(Box::new(self.bool(left)?), Box::new(self.bool(right)?)),
            (left, "&&" | "and", right) => Bool::And(Box::new(self.bool(left)?), Box::new(self.bool(right)?)),
            (Node::Bool(a), "==", Node::Bool(b)) => Bool::Same(Box::new(a), Box::new(b)),
            (Node::Bool(a), "!=", Node::Bool(b)) => not(Bool::Same(Box::new(a), Box::new(b))),
            (Node::Text(a), "in", Node::List(list)) => Bool::In(a, list),
            (Node::Text(a), "==", Node::Text(b)) => Bool::Equal(a, b),
            (Node::Text(a), "!=", Node::Text(b)) => not(Bool::Equal(a, b)),
            (Node::Text(a), "<", Node::Text(b)) => Bool::Less(a, b),
            (Node::Text(a), ">", Node::Text(b)) => Bool::Less(b, a),
            (Node::Text(a), "<=", Node::Text(b)) => not(Bool::Less(b, a)),
            (Node::Text(a), ">=", Node::Text(b)) => not(Bool::Less(a, b)),
            (Node::Text(a), "contains", Node::Text(b)) => Bool::Contains(a, b),
            (Node::Text(a), "startsWith", Node::Text(b)) => Bool::StartsWith(a, b),
            (Node::Text(a), "endsWith", Node::Text(b)) => Bool::EndsWith(a, b),
            (Node::Text(a), "matches", Node::Text(Text::Literal(pattern))) => {
                let pattern = Pattern::search(&pattern).map_err(|error| self.error(&error.to_string()))?;
                Bool::Matches(a, pattern)
            }
            (_, "matches", Node::Text(_)) => {
                return Err(self.error("the pattern of \"matches\" must be a literal"));
            }
            (left, operator, right) => {
                let (left, right) = (left.type_name(), right.type_name());
                return Err(self.error(&format!("{operator:?} does not take {left} and {right}")));
            }
        })
    }

    fn bool(&self, node: Node) -> Result<Bool, String> {
        match node {
            Node::Bool(bool) => Ok(bool),
            other => Err(self.error(&format!("a bool is expected, not {}", other.type_name()))),
        }
    }

    fn text(&self, node: Node) -> Result<Text, String> {
        match node {
            Node::Text(text) => Ok(text),
            other => Err(self.error(&format!("a text is expected, not {}", other.type_name()))),
        }
    }

    fn unary(&mut self) -> Result<Node, String> {
        self.space();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("the expression is nested too deeply"));
        }
        let node = self.primary();
        self.depth -= 1;
        node
    }

    fn primary(&mut self) -> Result<Node, String> {
        if self.word() == "not" || self.rest().starts_with('!') {
            self.at += if self.rest().starts_with('!') { 1 } else { 3 };
            let inner = self.unary()?;
            return Ok(Node::Bool(Bool::Not(Box::new(self.bool(inner)?))));
        }
        if self.eat("(") {
            let inner = self.binary(0)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.eat("[") {
            let mut list = Vec::new();
            while !self.eat("]") {
                let item = self.binary(0)?;
                list.push(self.text(item)?);
                if !self.eat(",") {
                    self.expect("]")?;
                    break;
                }
            }
            return Ok(Node::List(list));
        }
        if let Some(quote @ ('"' | '\'' | '`')) = self.rest().chars().next() {
            return self.literal(quote).map(|text| Node::Text(Text::Literal(text)));
        }
        let word = self.word();
        let node = match word {
            "true" | "false" => Node::Bool(Bool::Const(word == "true")),
            "MetricName" => Node::Text(Text::Name),
            "MetricType" => Node::Text(Text::Type),
            "HasLabel" | "Label" => {
                self.at += word.len();
                self.expect("(")?;
                let key = self.binary(0)?;
                let key = self.text(key)?;
                self.expect(")")?;
                let is_label = word == "Label";
                return Ok(if is_label {
                    Node::Text(Text::Label(Box::new(key)))
                } else {
                    Node::Bool(Bool::HasLabel(key))
                });
            }
            "" => return Err(self.error("a value is expected")),
            other => return Err(self.error(&format!("unknown name {other}"))),
        };
        self.at += word.len();
        Ok(node)
    }

    fn literal(&mut self, quote: char) -> Result<String, String> {
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at += at + c.len_utf8();
                    return Ok(text);
                }
                '\\' if quote != '`' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, c @ ('\\' | '"' | '\'' | '`'))) => text.push(c),
                    _ => return Err(self.error("unknown escape in a text")),
                },
                c => text.push(c),
            }
        }
        Err(self.error("the text has no end"))
    }
}

impl Node {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "a bool",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(source: &str, wanted: bool) {
        let attributes = [("k", "v"), ("pod", "web-1")].into_iter().collect();
        let view = View { name: "cpu_usage", kind: MetricKind::Sum, attributes: &attributes };
        let expression = Expression::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        assert_eq!(expression.is_true(view), wanted, "{source}");
    }

    #[test]
    fn operators_work_on_name_type_and_labels() {
        check(r#"MetricName == "cpu_usage" && Label("k") == 'v'"#, true);
        check(r#"MetricType == "Sum" and not HasLabel("x")"#, true);
        check(r#"!HasLabel("k") || Label("x") != """#, false);
        check("MetricName matches \"^cpu\" and MetricName startsWith `cpu_`", true);
        check(r#"MetricName contains "_us" and MetricName endsWith "ge""#, true);
        check(r#"Label("pod") in ["web-1", "web-2"]"#, true);
        check(r#"Label("pod") not in ["web-1"] or (MetricName not matches "x")"#, true);
        check(
            r#"MetricName < "d" and MetricName >= "cpu" and MetricName <= "cpu_usage" and MetricName > "a""#,
            true,
        );
        check(r#"true == (false != true)"#, true);
        check(r#"false and true or true"#, true);
        check(r#"HasLabel(Label("missing"))"#, false);
    }

    #[test]
    fn mistakes_are_told_with_their_column() {
        for (source, message) in [
            ("MetricName", "column 11: a bool is expected, not a text"),
            ("Foo == \"a\"", "column 1: unknown name Foo"),
            ("HasLabel(\"k\"", "column 13: \")\" is expected"),
            ("MetricName == true", "column 19: \"==\" does not take a text and a bool"),
            ("true true", "column 6: an operator is expected"),
            ("MetricName == \"a", "column 15: the text has no end"),
            ("MetricName == ", "column 15: a value is expected"),
        ] {
            assert_eq!(Expression::compile(source).expect_err(source), message);
        }
        let deep = "(".repeat(100_000);
        assert_eq!(
            Expression::compile(&deep).expect_err("deep"),
            "column 65: the expression is nested too deeply"
        );
    }

    proptest! {
        #[test]
        fn any_text_compiles_or_is_refused(source in r#"([a-zA-Z"'()!=<> ,\[\]]|not |and |Label\("k"\)|é){0,30}"#) {
            let _ = Expression::compile(&source);
        }
    }
}
