//! Attributes from `OTEL_RESOURCE_ATTRIBUTES`.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use otelpipe_core::attributes::Attributes;

/// A text that is not a gapless list of `key=value`. Nothing of it is taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EnvError {
    /// No pair begins here.
    #[error("no key=value at {0:?}")]
    NoPair(String),
    /// A `%` without two hexadecimal digits.
    #[error("value {0:?} has a % without two hexadecimal digits")]
    Escape(String),
}

/// Reads `key=value` pairs, parted by commas. Keys have 1 to 256 ASCII characters, values
/// up to 256; both are trimmed; values are decoded as in a URL's query, keys are not.
///
/// A piece without `=` belongs to the key after it: `a=1,b,c=2` has the keys `a` and
/// `b,c`, as upstream's expression finds them. The last of equal keys wins.
///
/// ```
/// let found = otelpipe_k8s::detect::env::parse("ClusterName=demo, team=a%20b,").unwrap();
/// assert_eq!(found.get_str("ClusterName"), Some("demo"));
/// assert_eq!(found.get_str("team"), Some("a b"));
/// ```
///
/// # Errors
///
/// Something is left over, or a value's escape is wrong.
///
/// Source: `internal/env/env.go`.
pub fn parse(text: &str) -> Result<Attributes, EnvError> {
    let mut rest = text.trim();
    let mut found = Attributes::new();
    while !rest.is_empty() {
        let Some((key, value, after)) = pair(rest) else {
            return Err(EnvError::NoPair(rest.chars().take(64).collect()));
        };
        found.insert(key, unescape(value)?);
        rest = after;
    }
    Ok(found)
}

/// The first pair and what follows its comma: the shortest key for which all fits.
fn pair(text: &str) -> Option<(&str, &str, &str)> {
    let bytes = text.as_bytes();
    let blanks = bytes.iter().take_while(|byte| is_blank(**byte)).count();
    // A key may be made of blanks if nothing else is left for it.
    (0..=blanks).rev().find_map(|start| {
        let reach = bytes.iter().skip(start).take(MAX_LEN).take_while(|byte| byte.is_ascii()).count();
        (1..=reach).find_map(|len| {
            let key = text.get(start..start + len)?;
            let (value, after) = value(text.get(start + len..)?)?;
            Some((key, value, after))
        })
    })
}

/// What comes after a key: `=`, the value, and the rest after its comma.
fn value(text: &str) -> Option<(&str, &str)> {
    let text = trim_start(trim_start(text).strip_prefix('=')?);
    let (value, after) = text.split_once(',').unwrap_or((text, ""));
    let value = value.trim_end_matches(|c: char| u8::try_from(c).is_ok_and(is_blank));
    (value.is_ascii() && value.len() <= MAX_LEN).then_some((value, after))
}

fn trim_start(text: &str) -> &str {
    text.trim_start_matches(|c: char| u8::try_from(c).is_ok_and(is_blank))
}

/// `\s` of RE2.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\x0c' | b'\r' | b' ')
}

fn unescape(value: &str) -> Result<String, EnvError> {
    let wrong = || EnvError::Escape(value.to_owned());
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit =
                    || bytes.next().and_then(|byte| char::from(byte).to_digit(16)).ok_or_else(wrong);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).map_err(|_| wrong())?
            }
            other => other,
        });
    }
    Ok(String::from_utf8_lossy(&decoded).into_owned())
}

const MAX_LEN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[track_caller]
    fn check(text: &str, pairs: &[(&str, &str)]) {
        assert_eq!(parse(text), Ok(pairs.iter().copied().collect()), "{text:?}");
    }

    #[test]
    fn pairs_are_found_as_upstream_finds_them() {
        check("ClusterName=demo", &[("ClusterName", "demo")]);
        check(" a = 1 , b = 2 ", &[("a", "1"), ("b", "2")]);
        check("a=1,", &[("a", "1")]);
        check("a=", &[("a", "")]);
        check("a=x+y%20z%2Cw", &[("a", "x y z,w")]);
        check("k%20=v", &[("k%20", "v")]);
        check("a=b=c", &[("a", "b=c")]);
        check("a b=c", &[("a b", "c")]);
        check("a=\"q\"", &[("a", "\"q\"")]);
        check("a=1;b=2", &[("a", "1;b=2")]);
        check("a=1,b,c=2", &[("a", "1"), ("b,c", "2")]);
        check("a=1,,b=2", &[("a", "1"), (",b", "2")]);
        check(",a=1", &[(",a", "1")]);
        check("a=1, =2", &[("a", "1"), (" ", "2")]);
        check("a=1,a=2", &[("a", "2")]);
        check("", &[]);
        check(&format!("a={}", "x".repeat(256)), &[("a", &"x".repeat(256))]);
    }

    #[test]
    fn anything_left_over_is_an_error() {
        for text in ["a", "=1", "a=1,b", "a=é", &format!("a={}", "x".repeat(257))] {
            assert!(matches!(parse(text), Err(EnvError::NoPair(_))), "{text:?}");
        }
        for text in ["a=%zz", "a=%2", "b=1,a=%"] {
            assert!(matches!(parse(text), Err(EnvError::Escape(_))), "{text:?}");
        }
    }
}
