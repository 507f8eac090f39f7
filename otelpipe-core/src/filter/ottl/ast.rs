//! Conditions as written: the syntax tree, which prints itself so that it parses again.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A condition: true or false.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// `true` or `false`.
    Const(bool),
    /// `a == b`
    Compare(Value, Comparison, Value),
    /// `IsMatch(name, "^pod_")`
    Call(Value),
    /// `not a`
    Not(Box<Expr>),
    /// `a and b and c`
    And(Vec<Expr>),
    /// `a or b or c`
    Or(Vec<Expr>),
}

/// What is compared, and what functions take.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `nil`
    Nil,
    /// `true`
    Bool(bool),
    /// `-5`
    Int(i64),
    /// `1.5`, finite
    Double(f64),
    /// `"text"`
    Text(String),
    /// `0xC0FFEE`
    Bytes(Vec<u8>),
    /// `METRIC_DATA_TYPE_SUM`
    Enum(String, Column),
    /// `resource.attributes["k"]`
    Path(Vec<Segment>, Column),
    /// `Split(name, "_")[0]`
    Call {
        /// Name of the function.
        name: String,
        /// What it takes.
        arguments: Vec<Value>,
        /// Keys into what it gives.
        keys: Vec<Key>,
        /// Where it stands.
        column: Column,
    },
    /// `[1, 2]`
    List(Vec<Value>),
    /// `{"a": 1}`
    Map(Vec<(String, Value)>),
    /// `a + b`
    Math(Box<Value>, Operator, Box<Value>),
}

/// A step of a path with the keys behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// `attributes`
    pub name: String,
    /// `["k"]`, `[0]`
    pub keys: Vec<Key>,
}

/// A key into a map or a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    /// Of a map.
    Text(String),
    /// Of a list.
    Index(i64),
}

/// Where something stands, counted from 1. Does not take part in comparisons of trees.
#[derive(Clone, Copy, Debug)]
pub struct Column(pub usize);

impl PartialEq for Column {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How two numbers are joined.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Const(value) => write!(f, "{value}"),
            Self::Compare(a, comparison, b) => write!(f, "{a} {comparison} {b}"),
            Self::Call(call) => call.fmt(f),
            Self::Not(inner) => write!(f, "not {}", Inner(inner)),
            Self::And(list) | Self::Or(list) => {
                let word = if matches!(self, Self::And(_)) { " and " } else { " or " };
                for (at, item) in list.iter().enumerate() {
                    write!(f, "{}{}", if at == 0 { "" } else { word }, Inner(item))?;
                }
                Ok(())
            }
        }
    }
}

/// In parentheses where it is not a single condition.
struct Inner<'a>(&'a Expr);

impl fmt::Display for Inner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::Not(_) | Expr::And(_) | Expr::Or(_) => write!(f, "({})", self.0),
            single => single.fmt(f),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            // always with a dot: without one it would be an int
            Self::Double(value) if libm::trunc(*value) == *value => write!(f, "{value}.0"),
            Self::Double(value) => write!(f, "{value}"),
            Self::Text(text) => quoted(f, text),
            Self::Bytes(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Enum(name, _) => f.write_str(name),
            Self::Path(segments, _) => {
                for (at, segment) in segments.iter().enumerate() {
                    write!(f, "{}{}", if at == 0 { "" } else { "." }, segment.name)?;
                    segment.keys.iter().try_for_each(|key| key.fmt(f))?;
                }
                Ok(())
            }
            Self::Call { name, arguments, keys, .. } => {
                write!(f, "{name}(")?;
                comma_separated(f, arguments, |f, argument| argument.fmt(f))?;
                f.write_str(")")?;
                keys.iter().try_for_each(|key| key.fmt(f))
            }
            Self::List(list) => {
                f.write_str("[")?;
                comma_separated(f, list, |f, item| item.fmt(f))?;
                f.write_str("]")
            }
            Self::Map(map) => {
                f.write_str("{")?;
                comma_separated(f, map, |f, (key, value)| {
                    quoted(f, key)?;
                    write!(f, ": {value}")
                })?;
                f.write_str("}")
            }
            Self::Math(a, operator, b) => {
                for (before, side) in [("", a), (operator.sign(), b)] {
                    match **side {
                        Self::Math(..) => write!(f, "{before}({side})")?,
                        _ => write!(f, "{before}{side}")?,
                    }
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        match self {
            Self::Text(text) => quoted(f, text)?,
            Self::Index(index) => write!(f, "{index}")?,
        }
        f.write_str("]")
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        })
    }
}

impl Operator {
    fn sign(self) -> &'static str {
        match self {
            Self::Add => " + ",
            Self::Subtract => " - ",
            Self::Multiply => " * ",
            Self::Divide => " / ",
        }
    }
}

fn comma_separated<T>(
    f: &mut fmt::Formatter<'_>,
    list: &[T],
    mut each: impl FnMut(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (at, item) in list.iter().enumerate() {
        f.write_str(if at == 0 { "" } else { ", " })?;
        each(f, item)?;
    }
    Ok(())
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?, // all below U+10000
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}
