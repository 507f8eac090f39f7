//! Where a token ends: the byte classes and searches under the parser.

/// `[A-Za-z_]`, the start of a label name.
const LABEL_START: u8 = 1;
/// `[0-9]`.
const DIGIT: u8 = 2;
/// `:`, which only metric names may hold.
const COLON: u8 = 4;

/// The class bits of each byte; zero for every byte no bare name may hold.
static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => LABEL_START,
            b'0'..=b'9' => DIGIT,
            b':' => COLON,
            _ => 0,
        };
        byte += 1;
    }
    table
}

fn class(body: &[u8], at: usize) -> u8 {
    body.get(at).map_or(0, |&byte| CLASS[usize::from(byte)])
}

/// Whether a metric name may begin with this byte.
pub(super) fn starts_name(byte: u8) -> bool {
    CLASS[usize::from(byte)] & (LABEL_START | COLON) != 0
}

/// The end of the bare metric name at `at`; `at` itself where none begins.
pub(super) fn name_end(body: &[u8], at: usize) -> usize {
    if class(body, at) & (LABEL_START | COLON) == 0 {
        return at;
    }
    let rest = body.get(at..).unwrap_or_default();
    at + rest.iter().position(|&byte| CLASS[usize::from(byte)] == 0).unwrap_or(rest.len())
}

/// The end of the bare label name at `at`; `at` itself where none begins.
pub(super) fn label_name_end(body: &[u8], at: usize) -> usize {
    if class(body, at) & LABEL_START == 0 {
        return at;
    }
    let rest = body.get(at..).unwrap_or_default();
    let is_label = |byte: u8| CLASS[usize::from(byte)] & (LABEL_START | DIGIT) != 0;
    at + rest.iter().position(|&byte| !is_label(byte)).unwrap_or(rest.len())
}

/// The end of the run of spaces and tabs at `at`.
pub(super) fn blank_end(body: &[u8], mut at: usize) -> usize {
    while matches!(body.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    at
}

/// The place of the next newline at or after `at`, or the end of the body.
pub(super) fn line_end(body: &[u8], at: usize) -> usize {
    let rest = body.get(at..).unwrap_or_default();
    at + memchr::memchr(b'\n', rest).unwrap_or(rest.len())
}

/// What may stand between two quotes, besides any other byte.
#[derive(Clone, Copy)]
pub(super) struct Quoting {
    /// A newline. Never after a backslash.
    pub(super) newline: bool,
    /// A NUL byte.
    pub(super) nul: bool,
}

/// The closing quote of the string whose opening quote is just before `at`.
///
/// A backslash takes the next byte with it. `None` where the body ends first or
/// a byte is not allowed.
pub(super) fn closing_quote(body: &[u8], mut at: usize, quoting: Quoting) -> Option<usize> {
    loop {
        match *body.get(at)? {
            b'"' => return Some(at),
            b'\\' => {
                at += 1;
                while quoting.nul && body.get(at) == Some(&0) {
                    at += 1; // upstream's lexer does not see these bytes
                }
                if matches!(body.get(at)?, b'\n' | 0) {
                    return None;
                }
                at += 1;
            }
            b'\n' if !quoting.newline => return None,
            0 if !quoting.nul => return None,
            _ => at += 1,
        }
    }
}

/// The closing quote of a label value that has no backslash and no newline.
///
/// `at` is just behind the opening quote. `None` where a backslash, a newline
/// or the end of the body comes first: [`closing_quote`] knows more. Eight bytes
/// at a time, because most values are too short for a vector search to pay.
pub(super) fn plain_closing_quote(body: &[u8], mut at: usize) -> Option<usize> {
    while let Some(chunk) = body.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let found = has_byte(word, b'"') | has_byte(word, b'\\') | has_byte(word, b'\n');
        if found != 0 {
            at += (found.trailing_zeros() / 8) as usize;
            return (body.get(at) == Some(&b'"')).then_some(at);
        }
        at += 8;
    }
    let rest = body.get(at..)?;
    let found = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n'))?;
    (rest.get(found) == Some(&b'"')).then_some(at + found)
}

/// The top bit of each byte of `word` that equals `byte`; only the lowest set
/// bit can be trusted, which is the one we use.
const fn has_byte(word: u64, byte: u8) -> u64 {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zeroed = word ^ (LOW * byte as u64);
    zeroed.wrapping_sub(LOW) & !zeroed & HIGH
}
