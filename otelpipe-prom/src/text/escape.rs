//! The escapes of label values, quoted names and help texts.

use alloc::borrow::Cow;
use alloc::string::String;

/// Resolves the escapes of a label value or a quoted name: `\\`, `\"` and `\n`.
///
/// `raw` is the text between the quotes. Without a backslash it comes back
/// borrowed, so the usual value costs no allocation. Any other escape stays as
/// written, backslash included, as the Go parser leaves it. OpenMetrics help
/// texts follow the same rules.
///
/// Source: `lvalReplacer` in Prometheus 3 `model/textparse/promparse.go`.
///
/// ```
/// use otelpipe_prom::text::unescape_label_value;
///
/// assert_eq!(unescape_label_value(r#"say \"hi\""#), r#"say "hi""#);
/// assert_eq!(unescape_label_value(r"C:\temp"), r"C:\temp");
/// ```
pub fn unescape_label_value(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    Cow::Owned(unescape(raw, true))
}

/// Resolves the escapes of a help text of the text format: `\\` and `\n`.
///
/// A backslash before a quote stays.
///
/// Source: `helpReplacer` in Prometheus 3 `model/textparse/promparse.go`.
pub fn unescape_help(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    Cow::Owned(unescape(raw, false))
}

fn unescape(raw: &str, quotes: bool) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            text.push(char);
            continue;
        }
        match chars.clone().next() {
            Some('\\') => text.push('\\'),
            Some('n') => text.push('\n'),
            Some('"') if quotes => text.push('"'),
            _ => {
                text.push('\\');
                continue; // the next character is not part of an escape
            }
        }
        chars.next();
    }
    text
}
