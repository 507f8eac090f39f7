//! The condition language (OTTL), as far as filters on metrics use it.
//!
//! ```
//! use otelpipe_core::filter::ottl;
//!
//! let tree = ottl::parse(r#"type == METRIC_DATA_TYPE_SUM and not IsMatch(name, "^pod_")"#)?;
//! assert_eq!(tree.to_string(), r#"type == METRIC_DATA_TYPE_SUM and (not IsMatch(name, "^pod_"))"#);
//!
//! let mistake = ottl::parse("name = \"cpu\"").unwrap_err();
//! assert_eq!(mistake.to_string(), "column 6: unexpected \"=\", comparison is \"==\"");
//! # Ok::<(), ottl::ParseError>(())
//! ```
//!
//! Source: contrib `pkg/ottl/` (`grammar.go`, `compare.go`, `boolean_value.go`, `math.go`).

pub mod ast;
mod function;
mod lexer;
mod parser;
mod path;
mod value;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use ast::{Comparison, Expr, Key, Operator, Value};
use function::Function;
pub use parser::parse;
pub use path::Level;
pub(super) use path::{MetricView, PointRef, Scene};
use path::{Path, enum_number, prefix_level};
pub(super) use value::double_text;
use value::{EvalError, Val};

use crate::attributes::Attributes;

/// A text that is no condition, or names what does not exist.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct ParseError {
    /// Counted from 1, in characters.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

/// A condition, compiled for one level.
#[derive(Debug)]
pub(super) struct Condition(Test);

#[derive(Debug)]
enum Test {
    Const(bool),
    Compare(Getter, Comparison, Getter),
    Call(Function, Vec<Key>),
    Not(Box<Test>),
    And(Vec<Test>),
    Or(Vec<Test>),
}

/// Something that gives a value.
#[derive(Debug)]
enum Getter {
    Literal(Val<'static>),
    Path(Path),
    Call(Box<Function>, Vec<Key>),
    List(Vec<Getter>),
    Map(Vec<(String, Getter)>),
    Math(Box<Getter>, Operator, Box<Getter>),
}

impl Condition {
    /// Compiles a tree for conditions at `level`. With `needs_prefix` each path must
    /// name its level.
    pub(super) fn compile(tree: &Expr, level: Level, needs_prefix: bool) -> Result<Self, ParseError> {
        Compiler { level, needs_prefix }.test(tree).map(Self)
    }

    pub(super) fn is_true(&self, scene: Scene<'_>) -> Result<bool, EvalError> {
        self.0.eval(scene)
    }

    /// Whether the answer may differ between points of one series.
    pub(super) fn depends_on_value(&self) -> bool {
        self.0.depends_on_value()
    }
}

/// The lowest level that the paths and functions of a tree name; `None` if they name none.
pub(super) fn inferred_level(tree: &Expr) -> Option<Level> {
    match tree {
        Expr::Const(_) => None,
        Expr::Compare(a, _, b) => value_level(a).max(value_level(b)),
        Expr::Call(call) => value_level(call),
        Expr::Not(inner) => inferred_level(inner),
        Expr::And(list) | Expr::Or(list) => list.iter().map(inferred_level).max().flatten(),
    }
}

fn value_level(value: &Value) -> Option<Level> {
    match value {
        Value::Path(segments, _) => segments.first().and_then(prefix_level),
        Value::Call { name, arguments, .. } => {
            let own = matches!(name.as_str(), "HasAttrKeyOnDatapoint" | "HasAttrOnDatapoint");
            own.then_some(Level::Metric).max(arguments.iter().map(value_level).max().flatten())
        }
        Value::List(list) => list.iter().map(value_level).max().flatten(),
        Value::Map(map) => map.iter().map(|(_, value)| value_level(value)).max().flatten(),
        Value::Math(a, _, b) => value_level(a).max(value_level(b)),
        _ => None,
    }
}

struct Compiler {
    level: Level,
    needs_prefix: bool,
}

impl Compiler {
    fn test(&self, tree: &Expr) -> Result<Test, ParseError> {
        let all = |list: &[Expr]| list.iter().map(|item| self.test(item)).collect::<Result<_, _>>();
        Ok(match tree {
            Expr::Const(value) => Test::Const(*value),
            Expr::Compare(a, comparison, b) => Test::Compare(self.getter(a)?, *comparison, self.getter(b)?),
            Expr::Call(Value::Call { name, arguments, keys, column }) => {
                let function = Function::compile(self, name, arguments, column.0)?;
                if keys.is_empty() && !function.is_condition() {
                    let message = format!("{name} alone is no condition, compare it with something");
                    return Err(ParseError { column: column.0, message });
                }
                Test::Call(function, keys.clone())
            }
            Expr::Call(other) => Test::Compare(
                self.getter(other)?,
                Comparison::Equal,
                Getter::Literal(Val::Bool(true)), // a hand-made tree; the parser makes none
            ),
            Expr::Not(inner) => Test::Not(Box::new(self.test(inner)?)),
            Expr::And(list) => Test::And(all(list)?),
            Expr::Or(list) => Test::Or(all(list)?),
        })
    }

    fn getter(&self, value: &Value) -> Result<Getter, ParseError> {
        Ok(match value {
            Value::Nil => Getter::Literal(Val::Nil),
            Value::Bool(value) => Getter::Literal(Val::Bool(*value)),
            Value::Int(value) => Getter::Literal(Val::Int(*value)),
            Value::Double(value) => Getter::Literal(Val::Double(*value)),
            Value::Text(text) => Getter::Literal(Val::Text(Cow::Owned(text.clone()))),
            Value::Bytes(bytes) => Getter::Literal(Val::Bytes(Cow::Owned(bytes.clone()))),
            Value::Enum(name, column) => {
                let unknown =
                    || ParseError { column: column.0, message: format!("enum symbol not found: {name}") };
                Getter::Literal(Val::Int(enum_number(name).ok_or_else(unknown)?))
            }
            Value::Path(segments, column) => {
                let path = Path::resolve(segments, self.level, self.needs_prefix);
                Getter::Path(path.map_err(|message| ParseError { column: column.0, message })?)
            }
            Value::Call { name, arguments, keys, column } => {
                Getter::Call(Box::new(Function::compile(self, name, arguments, column.0)?), keys.clone())
            }
            Value::List(list) => {
                Getter::List(list.iter().map(|item| self.getter(item)).collect::<Result<_, _>>()?)
            }
            Value::Map(map) => {
                let pair = |(key, value): &(String, Value)| Ok((key.clone(), self.getter(value)?));
                Getter::Map(map.iter().map(pair).collect::<Result<_, _>>()?)
            }
            Value::Math(a, operator, b) => {
                Getter::Math(Box::new(self.getter(a)?), *operator, Box::new(self.getter(b)?))
            }
        })
    }
}

impl Test {
    fn eval(&self, scene: Scene<'_>) -> Result<bool, EvalError> {
        match self {
            Self::Const(value) => Ok(*value),
            Self::Compare(a, comparison, b) => Ok(a.eval(scene)?.compare(*comparison, &b.eval(scene)?)),
            Self::Call(function, keys) => match function.eval(scene)?.behind(keys)? {
                Val::Bool(value) => Ok(value),
                other => Err(format!("a bool is expected, not {}", other.type_name())),
            },
            Self::Not(inner) => inner.eval(scene).map(|value| !value),
            Self::And(list) => {
                for item in list {
                    if !item.eval(scene)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Or(list) => {
                for item in list {
                    if item.eval(scene)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    fn depends_on_value(&self) -> bool {
        match self {
            Self::Const(_) => false,
            Self::Compare(a, _, b) => a.depends_on_value() || b.depends_on_value(),
            Self::Call(function, _) => function.depends_on_value(),
            Self::Not(inner) => inner.depends_on_value(),
            Self::And(list) | Self::Or(list) => list.iter().any(Self::depends_on_value),
        }
    }
}

impl Getter {
    fn eval<'a>(&'a self, scene: Scene<'a>) -> Result<Val<'a>, EvalError> {
        Ok(match self {
            Self::Literal(value) => value.reborrow(),
            Self::Path(path) => path.eval(scene)?,
            Self::Call(function, keys) => function.eval(scene)?.behind(keys)?,
            Self::List(list) => {
                let items = list.iter().map(|item| item.eval(scene).map(Val::into_attribute));
                Val::List(Cow::Owned(items.collect::<Result<_, _>>()?))
            }
            Self::Map(map) => {
                let mut attributes = Attributes::new();
                for (key, value) in map {
                    attributes.insert(key.as_str(), value.eval(scene)?.into_attribute());
                }
                Val::Map(Cow::Owned(attributes))
            }
            Self::Math(a, operator, b) => a.eval(scene)?.math(*operator, &b.eval(scene)?)?,
        })
    }

    fn depends_on_value(&self) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Path(path) => path.is_value(),
            Self::Call(function, _) => function.depends_on_value(),
            Self::List(list) => list.iter().any(Self::depends_on_value),
            Self::Map(map) => map.iter().any(|(_, value)| value.depends_on_value()),
            Self::Math(a, _, b) => a.depends_on_value() || b.depends_on_value(),
        }
    }
}
