//! JSON text: strings escaped as Go does, attribute values as text, texts made canonical.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use otelpipe_core::attributes::Attribute;
use otelpipe_core::number;
use otelpipe_core::value::AttributeValue;

/// Arrays and objects inside each other that [`write_canonical`] follows; a text nested
/// deeper stays text. (Go follows 10,000.)
const MAX_DEPTH: usize = 128;

/// Appends `text` as a JSON string, escaped like Go's `json.Marshal`: also `<`, `>` and
/// `&`, so that the document may stand in a web page.
#[inline]
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    write_escaped(text, true, out);
    out.push('"');
}

/// Appends `text` as a JSON string in which `<`, `>` and `&` stay.
#[inline]
pub(crate) fn write_plain_string(text: &str, out: &mut String) {
    out.push('"');
    write_escaped(text, false, out);
    out.push('"');
}

/// Appends what stands between the quotes of [`write_plain_string`].
#[inline]
pub(crate) fn write_plain_escaped(text: &str, out: &mut String) {
    write_escaped(text, false, out);
}

/// The text that [`write_plain_escaped`] wrote.
pub(crate) fn unescape(escaped: &str) -> Cow<'_, str> {
    if !escaped.contains('\\') {
        return Cow::Borrowed(escaped);
    }
    let mut quoted = String::with_capacity(escaped.len() + 2);
    quoted.push('"');
    quoted.push_str(escaped);
    quoted.push('"');
    let text = parse(&quoted).and_then(|node| node.text().map(String::from));
    Cow::Owned(text.unwrap_or_default())
}

#[inline]
fn write_escaped(text: &str, html: bool, out: &mut String) {
    if is_clean(text.as_bytes()) {
        out.push_str(text);
    } else {
        write_escaped_slow(text, html, out);
    }
}

/// Whether a byte may have to be escaped; 0xe2 begins U+2028 and U+2029, among others.
#[inline]
fn is_suspect(byte: u8) -> bool {
    (byte < 0x20)
        | (byte | 4 == b'&') // and `"`
        | (byte | 2 == b'>') // and `<`
        | (byte == b'\\')
        | (byte == 0xe2)
}

/// Whether nothing has to be escaped. Looks at whole blocks without a branch per byte,
/// which the compiler turns into SIMD; the last block overlaps the one before.
#[inline]
fn is_clean(bytes: &[u8]) -> bool {
    fn any<const N: usize>(block: &[u8; N]) -> bool {
        block.iter().fold(false, |any, byte| any | is_suspect(*byte))
    }
    if let Some(last) = bytes.last_chunk::<16>() {
        let blocks = bytes.chunks_exact(16).filter_map(|block| block.first_chunk::<16>());
        return !any(last) && blocks.fold(true, |clean, block| clean & !any(block));
    }
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => !any(first) & !any(last),
        _ => !bytes.iter().any(|byte| is_suspect(*byte)),
    }
}

fn write_escaped_slow(text: &str, html: bool, out: &mut String) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let bytes = text.as_bytes();
    let mut run = 0; // what is before has been written
    for (at, byte) in bytes.iter().enumerate() {
        if !is_suspect(*byte) {
            continue;
        }
        let mut end = at + 1;
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            8 => "\\b",
            12 => "\\f",
            b'<' if html => "\\u003c",
            b'>' if html => "\\u003e",
            b'&' if html => "\\u0026",
            0xe2 => match bytes.get(at + 1..at + 3) {
                Some([0x80, 0xa8]) => {
                    end = at + 3;
                    "\\u2028"
                }
                Some([0x80, 0xa9]) => {
                    end = at + 3;
                    "\\u2029"
                }
                _ => continue,
            },
            0..=0x1f => "\\u00",
            _ => continue,
        };
        out.push_str(text.get(run..at).unwrap_or_default());
        out.push_str(escape);
        if escape == "\\u00" {
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
        run = end;
    }
    out.push_str(text.get(run..).unwrap_or_default());
}

/// The text of an attribute as a label: borrowed for strings.
///
/// Numbers in JSON spelling, bytes in base64, lists and maps as compact JSON with
/// sorted keys, no value as the empty text.
///
/// Source: `Value.AsString` in `pdata/pcommon/value.go`.
pub(crate) fn label_text(value: &AttributeValue) -> Cow<'_, str> {
    match value {
        AttributeValue::String(text) => Cow::Borrowed(text),
        AttributeValue::Empty => Cow::Borrowed(""),
        AttributeValue::Bool(true) => Cow::Borrowed("true"),
        AttributeValue::Bool(false) => Cow::Borrowed("false"),
        other => {
            let mut text = String::new();
            match other {
                AttributeValue::Int(value) => number::write_i64(*value, &mut text),
                AttributeValue::Double(value) => number::write_json(*value, &mut text),
                AttributeValue::Bytes(bytes) => write_base64(bytes, &mut text),
                // A NaN inside has no JSON: upstream's text is then empty.
                nested if !write_nested(nested, &mut text) => text.clear(),
                _ => {}
            }
            Cow::Owned(text)
        }
    }
}

/// Whether `value` has JSON; if not, what was appended is to be thrown away.
fn write_nested(value: &AttributeValue, out: &mut String) -> bool {
    match value {
        AttributeValue::Empty => out.push_str("null"),
        AttributeValue::String(text) => write_plain_string(text, out),
        AttributeValue::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        AttributeValue::Int(value) => number::write_i64(*value, out),
        AttributeValue::Double(value) if !value.is_finite() => return false,
        AttributeValue::Double(value) => number::write_json(*value, out),
        AttributeValue::Bytes(bytes) => {
            out.push('"');
            write_base64(bytes, out);
            out.push('"');
        }
        AttributeValue::Array(list) => {
            out.push('[');
            for (at, value) in list.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                if !write_nested(value, out) {
                    return false;
                }
            }
            out.push(']');
        }
        AttributeValue::Map(map) => {
            let mut sorted: Vec<&Attribute> = map.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
            out.push('{');
            for (at, (key, value)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_plain_string(key, out);
                out.push(':');
                if !write_nested(value, out) {
                    return false;
                }
            }
            out.push('}');
        }
    }
    true
}

/// Standard alphabet, with padding.
fn write_base64(bytes: &[u8], out: &mut String) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| usize::from(chunk.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let sextet = word >> (18 - 6 * at) & 63;
            out.push(if at <= chunk.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
}

/// Parses `text` as JSON and appends it as Go would write what it parsed: keys sorted,
/// the last of equal keys, numbers through a float, no white space.
///
/// `false`, with nothing appended, when `text` is not one JSON value.
pub(crate) fn write_canonical(text: &str, out: &mut String) -> bool {
    let node = parse(text);
    if let Some(node) = &node {
        write_node(node, out);
    }
    node.is_some()
}

/// The value of `text`, if it is one JSON value.
pub(crate) fn parse(text: &str) -> Option<Node<'_>> {
    let mut parser = Parser { text, bytes: text.as_bytes(), at: 0 };
    parser.skip_space();
    let node = parser.value(0)?;
    parser.skip_space();
    (parser.at == text.len()).then_some(node)
}

/// A JSON value.
pub(crate) enum Node<'a> {
    Literal(&'static str),
    Number(f64),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    /// Sorted by key, no key twice.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl Node<'_> {
    /// The member of an object.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, node)| node),
            _ => None,
        }
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

fn write_node(node: &Node<'_>, out: &mut String) {
    match node {
        Node::Literal(text) => out.push_str(text),
        Node::Number(value) => number::write_json(*value, out),
        Node::Text(text) => write_string(text, out),
        Node::List(list) => {
            out.push('[');
            for (at, node) in list.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_node(node, out);
            }
            out.push(']');
        }
        Node::Object(members) => {
            out.push('{');
            for (at, (key, node)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write_node(node, out);
            }
            out.push('}');
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn literal(&mut self, text: &'static str) -> Option<Node<'a>> {
        let found = self.bytes.get(self.at..)?.starts_with(text.as_bytes());
        self.at += text.len();
        found.then_some(Node::Literal(text))
    }

    fn value(&mut self, depth: usize) -> Option<Node<'a>> {
        match self.peek()? {
            b'n' => self.literal("null"),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'"' => self.string().map(Node::Text),
            b'[' | b'{' if depth >= MAX_DEPTH => None,
            b'[' => self.list(depth + 1),
            b'{' => self.object(depth + 1),
            _ => self.number(),
        }
    }

    fn list(&mut self, depth: usize) -> Option<Node<'a>> {
        self.at += 1;
        let mut list = Vec::new();
        self.skip_space();
        if self.eat(b']') {
            return Some(Node::List(list));
        }
        loop {
            self.skip_space();
            list.push(self.value(depth)?);
            self.skip_space();
            if self.eat(b']') {
                return Some(Node::List(list));
            }
            if !self.eat(b',') {
                return None;
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Node<'a>> {
        self.at += 1;
        let mut members: Vec<(Cow<'a, str>, Node<'a>)> = Vec::new();
        self.skip_space();
        if !self.eat(b'}') {
            loop {
                self.skip_space();
                let key = self.string()?;
                self.skip_space();
                if !self.eat(b':') {
                    return None;
                }
                self.skip_space();
                members.push((key, self.value(depth)?));
                self.skip_space();
                if self.eat(b'}') {
                    break;
                }
                if !self.eat(b',') {
                    return None;
                }
            }
        }
        // Reversed, the last of equal keys comes first; the stable sort leaves it there.
        members.reverse();
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        members.dedup_by(|(later, _), (kept, _)| later == kept);
        Some(Node::Object(members))
    }

    fn digits(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at > start
    }

    fn number(&mut self) -> Option<Node<'a>> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') && !self.digits() {
            return None;
        }
        if self.eat(b'.') && !self.digits() {
            return None;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            if !self.digits() {
                return None;
            }
        }
        let value: f64 = self.text.get(start..self.at)?.parse().ok()?;
        value.is_finite().then_some(Node::Number(value))
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        if !self.eat(b'"') {
            return None;
        }
        let start = self.at;
        loop {
            match self.peek()? {
                b'"' => {
                    let text = self.text.get(start..self.at)?;
                    self.at += 1;
                    return Some(Cow::Borrowed(text));
                }
                b'\\' => break,
                0..=0x1f => return None,
                _ => self.at += 1,
            }
        }
        let mut text = String::from(self.text.get(start..self.at)?);
        loop {
            let run = self.at;
            while !matches!(self.peek()?, b'"' | b'\\' | 0..=0x1f) {
                self.at += 1;
            }
            text.push_str(self.text.get(run..self.at)?);
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(Cow::Owned(text));
                }
                b'\\' => {
                    self.at += 1;
                    self.escape(&mut text)?;
                }
                _ => return None,
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Option<()> {
        let byte = self.peek()?;
        self.at += 1;
        text.push(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex4()?;
                let after = self.at;
                let low = if self.eat(b'\\') && self.eat(b'u') { self.hex4() } else { None };
                let pair = low.and_then(|low| char::decode_utf16([high, low]).next()?.ok());
                match (pair, char::from_u32(u32::from(high))) {
                    (Some(character), None) => character,
                    // Not a pair: what follows is read again, by itself.
                    (_, single) => {
                        self.at = after;
                        single.unwrap_or(char::REPLACEMENT_CHARACTER)
                    }
                }
            }
            _ => return None,
        });
        Some(())
    }

    fn hex4(&mut self) -> Option<u16> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u16::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::sync::Arc;
    use alloc::vec;
    use otelpipe_core::attributes::Attributes;
    use proptest::prelude::*;

    fn string(text: &str) -> String {
        let mut out = String::new();
        write_string(text, &mut out);
        out
    }

    fn canonical(text: &str) -> Option<String> {
        let mut out = String::new();
        write_canonical(text, &mut out).then_some(out)
    }

    #[test]
    fn strings_are_escaped_as_go_does() {
        for (text, json) in [
            ("a\"\\/b", r#""a\"\\/b""#),
            ("\n\r\t\u{8}\u{c}\0\u{1f}\u{7f}", "\"\\n\\r\\t\\b\\f\\u0000\\u001f\u{7f}\""),
            ("<&>\u{2028}\u{2029}—é", r#""\u003c\u0026\u003e\u2028\u2029—é""#),
        ] {
            assert_eq!(string(text), json);
        }
    }

    #[test]
    fn attributes_become_the_text_that_upstream_gives() {
        let list: Arc<[AttributeValue]> = Arc::from(vec!["a".into(), 1.into(), 1.5.into()]);
        let map: Attributes = [("z", AttributeValue::Int(1)), ("a", "<&>".into())].into_iter().collect();
        let nan: Arc<[AttributeValue]> = Arc::from(vec![f64::NAN.into()]);
        for (value, text) in [
            (5.into(), "5"),
            (1.5.into(), "1.5"),
            (2.0.into(), "2"),
            (1e-7.into(), "1e-7"),
            (f64::NAN.into(), "NaN"),
            (f64::NEG_INFINITY.into(), "-Infinity"),
            (true.into(), "true"),
            (AttributeValue::Array(list), r#"["a",1,1.5]"#),
            (AttributeValue::Map(map), r#"{"a":"<&>","z":1}"#),
            (AttributeValue::Array(nan), ""),
            (AttributeValue::Bytes(Arc::from([1, 2])), "AQI="),
            (AttributeValue::Bytes(Arc::from([1, 2, 3])), "AQID"),
            (AttributeValue::Bytes(Arc::from([255])), "/w=="),
            (AttributeValue::Empty, ""),
        ] {
            assert_eq!(label_text(&value), text, "{value:?}");
        }
    }

    #[test]
    fn parsed_texts_come_out_as_go_would_write_them() {
        for (text, json) in [
            (r#"{"b":1,"a":{"x":1.0}}"#, Some(r#"{"a":{"x":1},"b":1}"#)),
            (r#" [1e2 , -0, "a\u0041\/<" ] "#, Some(r#"[100,-0,"aA/\u003c"]"#)),
            (r#"{"a":1,"a":2}"#, Some(r#"{"a":2}"#)),
            (r#""\ud83d\ude00 \ud83d \ud83dx""#, Some("\"😀 \u{fffd} \u{fffd}x\"")),
            (r#""\ud83d\u0041""#, Some("\"\u{fffd}A\"")),
            ("null", Some("null")),
            ("5", Some("5")),
            ("12345678901234567890", Some("12345678901234567000")),
            ("{", None),
            ("[1,]", None),
            ("01", None),
            ("1e400", None),
            ("\"a\nb\"", None),
            ("{} x", None),
            ("", None),
            ("nul", None),
        ] {
            assert_eq!(canonical(text).as_deref(), json, "{text}");
        }
    }

    #[test]
    fn deep_nesting_stays_text() {
        assert_eq!(
            canonical(&format!("{}{}", "[".repeat(128), "]".repeat(128))).map(|text| text.len()),
            Some(256)
        );
        assert_eq!(canonical(&"[".repeat(100_000)), None);
    }

    /// One character at a time, each spelt out.
    fn escaped_naive(text: &str, html: bool) -> String {
        let one = |character: char| match character {
            '"' | '\\' => format!("\\{character}"),
            '\n' => "\\n".into(),
            '\r' => "\\r".into(),
            '\t' => "\\t".into(),
            '\u{8}' => "\\b".into(),
            '\u{c}' => "\\f".into(),
            '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => format!("\\u{:04x}", u32::from(character)),
            '<' | '>' | '&' if html => format!("\\u{:04x}", u32::from(character)),
            _ => character.into(),
        };
        text.chars().map(one).collect()
    }

    proptest! {
        #[test]
        fn escaping_equals_a_slow_one(text in "[a\"\\\\<&\u{0}-\u{20}\u{2026}-\u{202a}é😀]{0,3}[ -~]{0,40}[>\u{2028}]?", html: bool) {
            let mut out = String::new();
            write_escaped(&text, html, &mut out);
            prop_assert_eq!(out, escaped_naive(&text, html));
        }

        #[test]
        fn strings_read_back_as_they_were(text in ".{0,40}") {
            prop_assert_eq!(serde_json::from_str::<String>(&string(&text)).unwrap(), text);
        }

        #[test]
        fn what_serde_json_reads_is_read_the_same(text in r#"[\[\]{}",:0-9a-e.\\ nulltrufase-]{0,24}"#) {
            let ours = canonical(&text);
            let theirs = serde_json::from_str::<serde_json::Value>(&text).ok();
            prop_assert_eq!(ours.is_some(), theirs.is_some(), "{}", text);
        }
    }
}
