//! Functions of the condition language.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::path::{Level, Scene};
use super::value::{EvalError, Val};
use super::{Compiler, Getter, ParseError};
use crate::filter::ottl::ast;
use crate::pattern::Pattern;
use crate::value::AttributeValue;

/// A function with what it takes.
#[derive(Debug)]
pub(super) struct Function {
    kind: Kind,
    arguments: Vec<Getter>,
}

#[derive(Debug)]
enum Kind {
    IsMatch(Box<Pattern>),
    HasPrefix,
    HasSuffix,
    IsString,
    IsInt,
    IsDouble,
    IsBool,
    IsMap,
    IsList,
    HasAttrKeyOnDatapoint,
    HasAttrOnDatapoint,
    ContainsValue,
    Concat,
    Split,
    Substring,
    Len,
    Int,
    Double,
    Text,
    Bool,
    Lower,
    Upper,
    Trim,
    Index,
}

impl Function {
    pub(super) fn compile(
        compiler: &Compiler,
        name: &str,
        arguments: &[ast::Value],
        column: usize,
    ) -> Result<Self, ParseError> {
        let error = |message: String| ParseError { column, message };
        let (kind, least, most) = match name {
            "IsMatch" => {
                let [_, ast::Value::Text(pattern)] = arguments else {
                    return Err(error(
                        "IsMatch takes a value and a pattern between double quotes".to_string(),
                    ));
                };
                let pattern = Pattern::search(pattern).map_err(|cause| error(cause.to_string()))?;
                (Kind::IsMatch(Box::new(pattern)), 2, 2)
            }
            "HasPrefix" => (Kind::HasPrefix, 2, 2),
            "HasSuffix" => (Kind::HasSuffix, 2, 2),
            "IsString" => (Kind::IsString, 1, 1),
            "IsInt" => (Kind::IsInt, 1, 1),
            "IsDouble" => (Kind::IsDouble, 1, 1),
            "IsBool" => (Kind::IsBool, 1, 1),
            "IsMap" => (Kind::IsMap, 1, 1),
            "IsList" => (Kind::IsList, 1, 1),
            "HasAttrKeyOnDatapoint" => (Kind::HasAttrKeyOnDatapoint, 1, 1),
            "HasAttrOnDatapoint" => (Kind::HasAttrOnDatapoint, 2, 2),
            "ContainsValue" => (Kind::ContainsValue, 2, 2),
            "Concat" => (Kind::Concat, 2, 2),
            "Split" => (Kind::Split, 2, 2),
            "Substring" => (Kind::Substring, 3, 3),
            "Len" => (Kind::Len, 1, 1),
            "Int" => (Kind::Int, 1, 1),
            "Double" => (Kind::Double, 1, 1),
            "String" => (Kind::Text, 1, 1),
            "Bool" => (Kind::Bool, 1, 1),
            "ToLowerCase" => (Kind::Lower, 1, 1),
            "ToUpperCase" => (Kind::Upper, 1, 1),
            "ConvertCase" => match arguments {
                [_, ast::Value::Text(case)] if case == "lower" => (Kind::Lower, 2, 2),
                [_, ast::Value::Text(case)] if case == "upper" => (Kind::Upper, 2, 2),
                _ => return Err(error("ConvertCase takes a value and \"lower\" or \"upper\"".to_string())),
            },
            "Trim" => (Kind::Trim, 1, 2),
            "Index" => (Kind::Index, 2, 2),
            _ => return Err(error(format!("undefined function {name:?}"))),
        };
        if matches!(kind, Kind::HasAttrKeyOnDatapoint | Kind::HasAttrOnDatapoint)
            && compiler.level != Level::Metric
        {
            return Err(error(format!("{name} is available in conditions on metrics only")));
        }
        if !(least..=most).contains(&arguments.len()) {
            return Err(error(format!("{name} takes {most} arguments, not {}", arguments.len())));
        }
        let arguments =
            arguments.iter().map(|argument| compiler.getter(argument)).collect::<Result<_, _>>()?;
        Ok(Self { kind, arguments })
    }

    /// Whether the function gives a bool, so that it can stand as a condition.
    pub(super) fn is_condition(&self) -> bool {
        use Kind as K;
        matches!(
            self.kind,
            K::IsMatch(_)
                | K::HasPrefix
                | K::HasSuffix
                | K::IsString
                | K::IsInt
                | K::IsDouble
                | K::IsBool
                | K::IsMap
                | K::IsList
                | K::HasAttrKeyOnDatapoint
                | K::HasAttrOnDatapoint
                | K::ContainsValue
                | K::Bool
        )
    }

    pub(super) fn depends_on_value(&self) -> bool {
        matches!(self.kind, Kind::HasAttrKeyOnDatapoint | Kind::HasAttrOnDatapoint)
            || self.arguments.iter().any(Getter::depends_on_value)
    }

    pub(super) fn eval<'a>(&'a self, scene: Scene<'a>) -> Result<Val<'a>, EvalError> {
        let argument = |at: usize| self.arguments.get(at).map_or(Ok(Val::Nil), |getter| getter.eval(scene));
        let first = argument(0)?;
        Ok(match &self.kind {
            Kind::IsMatch(pattern) => Val::Bool(first.to_text().is_some_and(|text| pattern.is_match(&text))),
            Kind::HasPrefix => Val::Bool(text(&first)?.starts_with(text(&argument(1)?)?)),
            Kind::HasSuffix => Val::Bool(text(&first)?.ends_with(text(&argument(1)?)?)),
            Kind::IsString => Val::Bool(matches!(first, Val::Text(_))),
            Kind::IsInt => Val::Bool(matches!(first, Val::Int(_))),
            Kind::IsDouble => Val::Bool(matches!(first, Val::Double(_))),
            Kind::IsBool => Val::Bool(matches!(first, Val::Bool(_))),
            Kind::IsMap => Val::Bool(matches!(first, Val::Map(_))),
            Kind::IsList => Val::Bool(matches!(first, Val::List(_) | Val::Items(_))),
            Kind::HasAttrKeyOnDatapoint => {
                let key = text(&first)?;
                Val::Bool(scene.metric.is_some_and(|metric| metric.first_with(key).is_some()))
            }
            Kind::HasAttrOnDatapoint => {
                let (key, second) = (text(&first)?, argument(1)?);
                let found = scene.metric.and_then(|metric| metric.first_with(key));
                let wanted = text(&second)?;
                Val::Bool(found.is_some_and(|found| found.str_or_empty() == wanted))
            }
            Kind::ContainsValue => {
                let wanted = argument(1)?.into_attribute();
                Val::Bool(list(&first)?.contains(&wanted))
            }
            Kind::Concat => {
                let separator = argument(1)?;
                let parts = list(&first)?.iter().map(|item| match Val::from(item).to_text() {
                    Some(part) => part.into_owned(),
                    None => "<nil>".to_string(),
                });
                Val::Text(Cow::Owned(parts.collect::<Vec<_>>().join(text(&separator)?)))
            }
            Kind::Split => {
                let separator = argument(1)?;
                let parts = text(&first)?.split(text(&separator)?).map(AttributeValue::from);
                Val::List(Cow::Owned(parts.collect()))
            }
            Kind::Substring => {
                let (start, length) = (index(&argument(1)?)?, index(&argument(2)?)?);
                let part = text(&first)?.get(start..start.saturating_add(length));
                let part = part.ok_or_else(|| format!("no {length} bytes from {start} on in this text"))?;
                Val::Text(Cow::Owned(part.to_string()))
            }
            Kind::Len => count(match &first {
                Val::Text(text) => text.len(),
                Val::Bytes(bytes) => bytes.len(),
                Val::List(list) => list.len(),
                Val::Map(map) => map.len(),
                Val::Items(count) => *count,
                other => return Err(format!("Len of {}", other.type_name())),
            }),
            Kind::Int => to_int(&first),
            Kind::Double => to_double(&first),
            Kind::Text => first.to_text().map_or(Val::Nil, |text| Val::Text(Cow::Owned(text.into_owned()))),
            Kind::Bool => to_bool(&first)?,
            Kind::Lower => Val::Text(Cow::Owned(text(&first)?.to_lowercase())),
            Kind::Upper => Val::Text(Cow::Owned(text(&first)?.to_uppercase())),
            Kind::Trim => {
                let signs =
                    if self.arguments.len() > 1 { argument(1)? } else { Val::Text(Cow::Borrowed(" ")) };
                let signs: Vec<char> = text(&signs)?.chars().collect();
                Val::Text(Cow::Owned(text(&first)?.trim_matches(signs.as_slice()).to_string()))
            }
            Kind::Index => {
                let second = argument(1)?;
                let found = match &first {
                    Val::Text(text_) => text_.find(text(&second)?),
                    other => {
                        let wanted = second.into_attribute();
                        list(other)?.iter().position(|item| *item == wanted)
                    }
                };
                found.map_or(Val::Int(-1), count)
            }
        })
    }
}

fn text<'v>(value: &'v Val<'_>) -> Result<&'v str, EvalError> {
    match value {
        Val::Text(text) => Ok(text),
        other => Err(format!("expected a text but got {}", other.type_name())),
    }
}

fn list<'v>(value: &'v Val<'_>) -> Result<&'v [AttributeValue], EvalError> {
    match value {
        Val::List(list) => Ok(list),
        other => Err(format!("expected a list but got {}", other.type_name())),
    }
}

fn index(value: &Val<'_>) -> Result<usize, EvalError> {
    match value {
        Val::Int(int) => usize::try_from(*int).map_err(|_| "a position must not be negative".to_string()),
        other => Err(format!("expected an int but got {}", other.type_name())),
    }
}

fn count(value: usize) -> Val<'static> {
    Val::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

#[expect(clippy::cast_possible_truncation, reason = "saturates; upstream truncates toward zero")]
fn to_int(value: &Val<'_>) -> Val<'static> {
    match value {
        Val::Int(int) => Val::Int(*int),
        Val::Double(double) => Val::Int(*double as i64),
        Val::Bool(bool) => Val::Int((*bool).into()),
        Val::Text(text) => text.parse().map_or(Val::Nil, Val::Int),
        _ => Val::Nil,
    }
}

#[expect(clippy::cast_precision_loss, reason = "rounds to the nearest, as upstream")]
fn to_double(value: &Val<'_>) -> Val<'static> {
    match value {
        Val::Int(int) => Val::Double(*int as f64),
        Val::Double(double) => Val::Double(*double),
        Val::Bool(bool) => Val::Double(f64::from(*bool)),
        Val::Text(text) => text.parse().map_or(Val::Nil, Val::Double),
        _ => Val::Nil,
    }
}

/// Texts as Go's `ParseBool`.
fn to_bool(value: &Val<'_>) -> Result<Val<'static>, EvalError> {
    Ok(match value {
        Val::Bool(bool) => Val::Bool(*bool),
        Val::Int(int) => Val::Bool(*int != 0),
        Val::Double(double) => Val::Bool(*double != 0.0),
        Val::Text(text) => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Val::Bool(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Val::Bool(false),
            other => return Err(format!("{other:?} is no bool")),
        },
        _ => Val::Nil,
    })
}
