//! A slow parser of both formats: one byte after the other, everything owned.
//!
//! Follows the grammar and nothing else, so that it can be read against it.
//! Entries come out as text, in the notation of [`show`].

use core::fmt::Write;

use otelpipe_core::number::write_g;
use otelpipe_prom::text::{Entry, Labels};

/// The entries before the end or the error, and the place of the error.
pub(crate) struct Parsed {
    pub(crate) entries: Vec<String>,
    pub(crate) error_at: Option<usize>,
}

/// An error at a place of the body.
struct Wrong(usize);

struct Reader<'a> {
    body: &'a [u8],
    at: usize,
    openmetrics: bool,
    bound_label: &'static str,
}

type Label = (Vec<u8>, Vec<u8>);

pub(crate) fn parse(body: &[u8], openmetrics: bool) -> Parsed {
    let mut reader = Reader { body, at: 0, openmetrics, bound_label: "" };
    let mut entries = Vec::new();
    loop {
        match reader.entry() {
            Ok(Some(entry)) => entries.push(entry),
            Ok(None) => return Parsed { entries, error_at: None },
            Err(Wrong(at)) => return Parsed { entries, error_at: Some(at) },
        }
    }
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.body[self.at..].starts_with(word.as_bytes());
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// Blanks, which only the text format has.
    fn blanks(&mut self) {
        while !self.openmetrics && (self.eat(b' ') || self.eat(b'\t')) {}
    }

    /// A newline, or in the text format the end.
    fn end_of_line(&mut self) -> bool {
        self.eat(b'\n') || (!self.openmetrics && self.peek().is_none())
    }

    fn take_while(&mut self, allowed: impl Fn(u8) -> bool) -> Vec<u8> {
        let mut taken = Vec::new();
        while let Some(byte) = self.peek().filter(|&byte| allowed(byte)) {
            taken.push(byte);
            self.at += 1;
        }
        taken
    }

    fn entry(&mut self) -> Result<Option<String>, Wrong> {
        loop {
            let start = self.at;
            self.blanks();
            match self.peek() {
                None if self.openmetrics => return Err(Wrong(self.at)),
                None => return Ok(None),
                Some(0 | b'\n') if self.openmetrics => return Err(Wrong(self.at)),
                Some(0) => return Ok(None),
                Some(b'\n') => self.at += 1,
                Some(b'#') if self.openmetrics => return self.openmetrics_hash(),
                Some(b'#') => return self.text_hash(start).map(Some),
                Some(_) => return self.sample(start).map(Some),
            }
        }
    }

    fn openmetrics_hash(&mut self) -> Result<Option<String>, Wrong> {
        let start = self.at;
        if self.eat_word("# EOF") {
            self.eat(b'\n');
            return if self.peek().is_none() { Ok(None) } else { Err(Wrong(self.at)) };
        }
        for word in ["HELP", "TYPE", "UNIT"] {
            if self.eat_word(&format!("# {word} ")) {
                let name = self.metadata_name()?;
                let behind = self.at;
                if !self.eat(b' ') {
                    return Err(Wrong(behind));
                }
                let text_at = self.at;
                let text = self.take_while(|byte| byte != b'\n');
                if !self.eat(b'\n') {
                    return Err(Wrong(behind));
                }
                return self.metadata(word, name, text, text_at).map(Some);
            }
        }
        Err(Wrong(start))
    }

    fn text_hash(&mut self, start: usize) -> Result<String, Wrong> {
        let _ = start;
        let hash = self.at;
        self.at += 1;
        self.blanks();
        let has_blank = self.at > hash + 1;
        for word in ["HELP", "TYPE"] {
            let before = self.at;
            if has_blank && self.eat_word(word) && matches!(self.peek(), Some(b' ' | b'\t')) {
                self.blanks();
                let name = self.metadata_name()?;
                if self.peek() == Some(0) {
                    return Err(Wrong(self.at));
                }
                let mut text_at = self.at;
                let mut text = self.take_while(|byte| byte != b'\n');
                if text.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
                    text.clear();
                    text_at = self.at;
                } else {
                    text.remove(0);
                    text_at += 1;
                }
                self.eat(b'\n');
                return self.metadata(word, name, text, text_at);
            }
            self.at = before;
        }
        self.at = hash;
        let text = self.take_while(|byte| byte != b'\n');
        self.eat(b'\n');
        Ok(format!("COMMENT {text:?}"))
    }

    /// The name in a metadata line, its escapes left alone.
    fn metadata_name(&mut self) -> Result<String, Wrong> {
        let at = self.at;
        let name = if self.peek() == Some(b'"') { self.quoted(true, false) } else { self.bare(true) };
        String::from_utf8(name.ok_or(Wrong(at))?).map_err(|_| Wrong(at))
    }

    fn metadata(&mut self, word: &str, name: String, text: Vec<u8>, at: usize) -> Result<String, Wrong> {
        let text = String::from_utf8(text).map_err(|_| Wrong(at))?;
        match word {
            "HELP" => Ok(format!("HELP {name:?} {:?}", unescape(&text, self.openmetrics))),
            "TYPE" => {
                let common = ["counter", "gauge", "histogram", "summary"];
                let own: &[&str] = if self.openmetrics {
                    &["gaugehistogram", "info", "stateset", "unknown"]
                } else {
                    &["untyped"]
                };
                if !common.contains(&text.as_str()) && !own.contains(&text.as_str()) {
                    return Err(Wrong(at));
                }
                self.bound_label = match text.as_str() {
                    "histogram" => "le",
                    "summary" => "quantile",
                    _ => "",
                };
                Ok(format!("TYPE {name:?} {}", if text == "untyped" { "unknown" } else { &text }))
            }
            _ if text.is_empty() || name.ends_with(&format!("_{text}")) => {
                Ok(format!("UNIT {name:?} {text:?}"))
            }
            _ => Err(Wrong(at)),
        }
    }

    fn bare(&mut self, colons: bool) -> Option<Vec<u8>> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (colons && byte == b':');
        if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(self.take_while(allowed)).filter(|name| !name.is_empty())
    }

    /// What stands between two quotes, escapes left alone.
    fn quoted(&mut self, newlines: bool, nuls: bool) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        if !self.eat(b'"') {
            return None;
        }
        while !self.eat(b'"') {
            if self.peek()? == b'\\' {
                text.push(b'\\');
                self.at += 1;
                while nuls && self.eat(0) {
                    text.push(0);
                }
                if matches!(self.peek()?, b'\n' | 0) {
                    return None;
                }
            } else if (self.peek()? == b'\n' && !newlines) || (self.peek()? == 0 && !nuls) {
                return None;
            }
            text.push(self.peek()?);
            self.at += 1;
        }
        Some(text)
    }

    fn sample(&mut self, start: usize) -> Result<String, Wrong> {
        let first = self.at;
        let mut name = None;
        if self.peek() != Some(b'{') {
            name = self.bare(true);
            if name.is_none() {
                return Err(Wrong(first));
            }
            name = Some(self.body[start..self.at].to_vec());
        }
        let name_end = self.at;
        self.blanks();
        let mut labels = Vec::new();
        if self.eat(b'{') {
            labels = self.labels(&mut name, false)?;
        } else {
            self.at = name_end;
        }
        let name = name.ok_or(Wrong(start))?;
        let name = String::from_utf8(name).map_err(|_| Wrong(start))?;
        let labels = decode(labels).ok_or(Wrong(start))?;
        let mut out = format!("S {:?} {{", unescape(&name, true));
        for (label, value) in labels {
            let label = unescape(&label, true);
            let mut value = unescape(&value, true);
            if label == self.bound_label {
                value = normalize(value);
            }
            write!(out, "{label:?}={value:?},").unwrap();
        }
        out.push('}');
        let value = self.value()?;
        write!(out, " {:x}", value.to_bits()).unwrap();
        if self.openmetrics {
            self.openmetrics_tail(&mut out)?
        } else {
            self.text_tail(&mut out)?
        }
        Ok(out)
    }

    /// The labels behind an opening brace and the closing one.
    fn labels(&mut self, name: &mut Option<Vec<u8>>, exemplar: bool) -> Result<Vec<Label>, Wrong> {
        let mut labels = Vec::new();
        self.blanks();
        while !self.eat(b'}') {
            let at = self.at;
            let is_quoted = self.peek() == Some(b'"');
            let label = if is_quoted { self.quoted(!exemplar, false) } else { self.bare(false) };
            let label = label.ok_or(Wrong(at))?;
            self.blanks();
            if is_quoted && matches!(self.peek(), Some(b',' | b'}')) {
                if exemplar {
                    return Err(Wrong(self.at));
                }
                if name.is_some() {
                    return Err(Wrong(at));
                }
                *name = Some(label);
                if self.eat(b',') {
                    self.blanks();
                }
                continue;
            }
            if !self.eat(b'=') {
                return Err(Wrong(self.at));
            }
            self.blanks();
            let at = self.at;
            let value = self.quoted(!self.openmetrics, !exemplar).ok_or(Wrong(at))?;
            if core::str::from_utf8(&value).is_err() {
                return Err(Wrong(at));
            }
            labels.push((label, value));
            self.blanks();
            if self.eat(b',') {
                self.blanks();
            } else if self.openmetrics && self.peek() != Some(b'}') {
                return Err(Wrong(self.at));
            }
        }
        Ok(labels)
    }

    /// The value with what stands before it.
    fn value(&mut self) -> Result<f64, Wrong> {
        let before = self.at;
        self.blanks();
        if self.openmetrics && !self.eat(b' ') {
            return Err(Wrong(before));
        }
        let at = self.at;
        let token = self.token();
        if token.is_empty() {
            return Err(Wrong(if self.openmetrics { before } else { at }));
        }
        number(&token).ok_or(Wrong(at))
    }

    fn token(&mut self) -> Vec<u8> {
        let openmetrics = self.openmetrics;
        self.take_while(|byte| {
            !matches!(byte, b' ' | b'\n' | 0) && (openmetrics || !matches!(byte, b'\t' | b'{'))
        })
    }

    fn text_tail(&mut self, out: &mut String) -> Result<(), Wrong> {
        self.blanks();
        if self.end_of_line() {
            return Ok(());
        }
        let at = self.at;
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() {
            return Err(Wrong(at));
        }
        let ms: i64 = String::from_utf8(digits).unwrap().parse().map_err(|_| Wrong(at))?;
        self.blanks();
        if !self.end_of_line() {
            return Err(Wrong(self.at));
        }
        write!(out, " ts={ms}").unwrap();
        Ok(())
    }

    fn openmetrics_tail(&mut self, out: &mut String) -> Result<(), Wrong> {
        if self.eat(b'\n') {
            return Ok(());
        }
        if !self.eat_word(" # {") {
            let ms = self.seconds()?;
            write!(out, " ts={ms}").unwrap();
            if self.eat(b'\n') {
                return Ok(());
            }
            if !self.eat_word(" # {") {
                return Err(Wrong(self.at));
            }
        }
        let at = self.at;
        let labels = decode(self.labels(&mut None, true)?).ok_or(Wrong(at))?;
        out.push_str(" # {");
        for (label, value) in labels {
            write!(out, "{label:?}={value:?},").unwrap(); // escapes stay
        }
        write!(out, "}} {:x}", self.value()?.to_bits()).unwrap();
        if self.eat(b'\n') {
            return Ok(());
        }
        let ms = self.seconds()?;
        write!(out, " ts={ms}").unwrap();
        if self.eat(b'\n') { Ok(()) } else { Err(Wrong(self.at)) }
    }

    /// A blank and seconds, as milliseconds.
    fn seconds(&mut self) -> Result<i64, Wrong> {
        let before = self.at;
        if !self.eat(b' ') {
            return Err(Wrong(before));
        }
        let at = self.at;
        let token = self.token();
        if token.is_empty() {
            return Err(Wrong(before));
        }
        let seconds = number(&token).filter(|seconds| seconds.is_finite()).ok_or(Wrong(at))?;
        let ms = (seconds * 1000.0).trunc();
        let fits = (-2.0_f64.powi(63)..2.0_f64.powi(63)).contains(&ms);
        Ok(if fits { format!("{ms:.0}").parse().unwrap() } else { i64::MIN })
    }
}

/// Label names must be UTF-8; values were checked.
fn decode(labels: Vec<Label>) -> Option<Vec<(String, String)>> {
    let text = |bytes| String::from_utf8(bytes).ok();
    labels.into_iter().map(|(name, value)| Some((text(name)?, text(value)?))).collect()
}

fn unescape(text: &str, quotes: bool) -> String {
    // Protects `\\`, so that its second half does not begin another escape.
    let text = text.replace(r"\\", "\u{f8ff}").replace(r"\n", "\n");
    let text = if quotes { text.replace(r#"\""#, "\"") } else { text };
    text.replace('\u{f8ff}', r"\")
}

fn number(token: &[u8]) -> Option<f64> {
    let text = core::str::from_utf8(token).ok()?;
    if text.contains(['p', 'P', '_']) {
        return None;
    }
    let unsigned = text.trim_start_matches(['+', '-']);
    if text.len() - unsigned.len() > 1 {
        return None;
    }
    match unsigned.to_ascii_lowercase().as_str() {
        "nan" if unsigned == text => return Some(f64::from_bits(0x7ff8_0000_0000_0001)),
        "nan" => return None,
        "inf" | "infinity" => {
            return Some(if text.starts_with('-') { -f64::INFINITY } else { f64::INFINITY });
        }
        _ => {}
    }
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn normalize(text: String) -> String {
    let digits = text.trim_start_matches(['+', '-']);
    let separated = !digits.split('_').any(|part| {
        !part.starts_with(|c: char| c.is_ascii_digit()) || !part.ends_with(|c: char| c.is_ascii_digit())
    });
    let plain = if text.contains('_') && separated { text.replace('_', "") } else { text.clone() };
    let Some(value) = number(plain.as_bytes()) else { return text };
    let mut spelt = String::new();
    write_g(if value == 0.0 { 0.0 } else { value }, &mut spelt);
    if value.is_finite() && !spelt.contains(['.', 'e']) {
        spelt.push_str(".0");
    }
    spelt
}

fn show_labels(out: &mut String, labels: Labels<'_>) {
    out.push('{');
    for (name, value) in labels {
        write!(out, "{:?}={:?},", &*name, &*value).unwrap();
    }
    out.push('}');
}

/// An entry of the parser under test in the notation of the oracle.
pub(crate) fn show(entry: &Entry<'_>) -> String {
    let sample = match entry {
        Entry::Help { name, text } => return format!("HELP {name:?} {text:?}"),
        Entry::Type { name, kind } => return format!("TYPE {name:?} {kind}"),
        Entry::Unit { name, unit } => return format!("UNIT {name:?} {unit:?}"),
        Entry::Comment(text) => return format!("COMMENT {text:?}"),
        Entry::Sample(sample) => sample,
    };
    let mut out = format!("S {:?} ", &*sample.name());
    show_labels(&mut out, sample.labels());
    write!(out, " {:x}", sample.value().to_bits()).unwrap();
    if let Some(ms) = sample.timestamp_ms() {
        write!(out, " ts={ms}").unwrap();
    }
    if let Some(exemplar) = sample.exemplar() {
        out.push_str(" # ");
        show_labels(&mut out, exemplar.labels());
        write!(out, " {:x}", exemplar.value().to_bits()).unwrap();
        if let Some(ms) = exemplar.timestamp_ms() {
            write!(out, " ts={ms}").unwrap();
        }
    }
    out
}
