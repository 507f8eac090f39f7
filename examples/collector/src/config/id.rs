//! Component ids: `type` or `type/name`.

use std::fmt;

/// The id of a component as the user wrote it, without blanks around its parts.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ComponentId {
    text: String,
    kind_len: usize,
}

/// A text that is not an id.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdError {
    /// No text at all.
    #[error("id must not be empty")]
    Empty,
    /// `/name`
    #[error("in \"{0}\" id: the part before / should not be empty")]
    NoType(String),
    /// `type/`
    #[error("in \"{0}\" id: the part after / should not be empty")]
    NoName(String),
    /// The type has other characters than letters, digits and `_`, or is too long.
    #[error(
        "in \"{0}\" id: invalid character(s) in type \"{1}\": a type is a letter and up to 62 letters, digits and underscores"
    )]
    Type(String, String),
    /// The name has blanks, control or symbol characters, or is too long.
    #[error(
        "in \"{0}\" id: invalid character(s) in name \"{1}\": a name is 1 to 1024 characters without blanks and symbols"
    )]
    Name(String, String),
}

impl ComponentId {
    /// Reads an id.
    ///
    /// Source: `component/identifiable.go` in opentelemetry-collector.
    ///
    /// # Errors
    /// When a part is missing or has characters that it may not have.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Empty);
        }
        let (kind, name) = match text.split_once('/') {
            None => (text.trim(), None),
            Some((kind, name)) => (kind.trim(), Some(name.trim())),
        };
        if kind.is_empty() {
            return Err(if name.is_some() { IdError::NoType(text.to_owned()) } else { IdError::Empty });
        }
        if !is_type(kind) {
            return Err(IdError::Type(text.to_owned(), kind.to_owned()));
        }
        let Some(name) = name else {
            return Ok(Self { text: kind.to_owned(), kind_len: kind.len() });
        };
        if name.is_empty() {
            return Err(IdError::NoName(text.to_owned()));
        }
        if !is_name(name) {
            return Err(IdError::Name(text.to_owned(), name.to_owned()));
        }
        Ok(Self { text: format!("{kind}/{name}"), kind_len: kind.len() })
    }

    /// The part before `/`: `metricstransform`.
    pub fn kind(&self) -> &str {
        self.text.get(..self.kind_len).unwrap_or(&self.text)
    }

    /// The part after `/`; empty if there is none.
    pub fn name(&self) -> &str {
        self.text.get(self.kind_len + 1..).unwrap_or_default()
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_type(kind: &str) -> bool {
    kind.len() <= 63
        && kind.starts_with(|c: char| c.is_ascii_alphabetic())
        && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Go forbids the Unicode classes Z, C and S; of the symbols the ASCII ones are checked here.
fn is_name(name: &str) -> bool {
    name.chars().count() <= 1024
        && !name.chars().any(|c| {
            c.is_whitespace()
                || c.is_control()
                || matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_as_in_the_table_of_the_reference() {
        let check = |text: &str, kind: &str, name: &str| {
            let id = ComponentId::parse(text).expect(text);
            assert_eq!((id.kind(), id.name()), (kind, name), "{text}");
        };
        check("otlp", "otlp", "");
        check("metricstransform/label_1", "metricstransform", "label_1");
        check("awsemf / x", "awsemf", "x");
        check("otlp/a/b", "otlp", "a/b");
        let fails = |text: &str, message: &str| {
            assert_eq!(ComponentId::parse(text).expect_err(text).to_string(), message)
        };
        fails("", "id must not be empty");
        fails(" ", "id must not be empty");
        fails("/x", "in \"/x\" id: the part before / should not be empty");
        fails("x/", "in \"x/\" id: the part after / should not be empty");
        fails(
            "a-b",
            "in \"a-b\" id: invalid character(s) in type \"a-b\": a type is a letter and up to 62 letters, digits and underscores",
        );
        fails(
            "a/b c",
            "in \"a/b c\" id: invalid character(s) in name \"b c\": a name is 1 to 1024 characters without blanks and symbols",
        );
    }
}
