//! Where a token ends: the byte classes and searches under the parser.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod engine;
mod index;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
mod portable;

pub(super) use engine::Engine;
pub(super) use index::Index;

/// `[A-Za-z_]`, the start of a label name.
const LABEL_START: u8 = 1;
/// `[0-9]`.
const DIGIT: u8 = 2;
/// `:`, which only metric names may hold.
const COLON: u8 = 4;

/// The lowest bit of each byte of a word, and the highest.
pub(super) const LOW: u64 = 0x0101_0101_0101_0101;
pub(super) const HIGH: u64 = 0x8080_8080_8080_8080;

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

/// The text as a string, if it is UTF-8.
pub(super) fn utf8(text: &[u8]) -> Option<&str> {
    Engine::detect().utf8(text)
}

fn class(body: &[u8], at: usize) -> u8 {
    body.get(at).map_or(0, |&byte| CLASS[usize::from(byte)])
}

/// Whether a metric name may begin with this byte.
#[inline]
pub(super) fn starts_name(byte: u8) -> bool {
    CLASS[usize::from(byte)] & (LABEL_START | COLON) != 0
}

/// The end of the bare metric name at `at`; `at` itself where none begins.
pub(super) fn name_end(body: &[u8], at: usize) -> usize {
    if class(body, at) & (LABEL_START | COLON) == 0 {
        return at;
    }
    run_end::<true>(body, at + 1)
}

/// The end of the bare label name at `at`; `at` itself where none begins.
pub(super) fn label_name_end(body: &[u8], at: usize) -> usize {
    if class(body, at) & LABEL_START == 0 {
        return at;
    }
    run_end::<false>(body, at + 1)
}

/// The end of the run of letters, digits, underscores, and colons if `COLONS`.
///
/// Eight bytes at a time, so that a short name ends without a loop whose length
/// the processor would have to guess.
fn run_end<const COLONS: bool>(body: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = body.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let others = not_in_name::<COLONS>(u64::from_le_bytes(*chunk));
        if others != 0 {
            return at + (others.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let in_name = if COLONS { LABEL_START | DIGIT | COLON } else { LABEL_START | DIGIT };
    let rest = body.get(at..).unwrap_or_default();
    at + rest.iter().position(|&byte| CLASS[usize::from(byte)] & in_name == 0).unwrap_or(rest.len())
}

/// The top bit of each byte of `word` that may not be in a bare name.
const fn not_in_name<const COLONS: bool>(word: u64) -> u64 {
    // With the top bit set, no subtraction borrows from the next byte; the top
    // bit of the difference then says whether the byte was at least the bound.
    const fn at_least(ascii: u64, bound: u8) -> u64 {
        (ascii | HIGH).wrapping_sub(LOW * bound as u64)
    }
    let ascii = word & !HIGH;
    let lower = ascii | (LOW * 0x20);
    let letter = at_least(lower, b'a') & !at_least(lower, b'z' + 1);
    let digit = at_least(ascii, b'0') & !at_least(ascii, if COLONS { b':' + 1 } else { b'9' + 1 });
    let underscore = !at_least(ascii ^ (LOW * b'_' as u64), 1);
    !(letter | digit | underscore) & HIGH | word & HIGH
}

/// The end of the run of spaces and tabs at `at`.
#[inline]
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
/// or the end of the body comes first: [`closing_quote`] knows more. The first
/// bytes are taken eight at a time, because most values are too short for a
/// vector search to pay.
pub(super) fn plain_closing_quote(body: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..4 {
        let Some(chunk) = body.get(at..).and_then(|rest| rest.first_chunk::<8>()) else { break };
        let word = u64::from_le_bytes(*chunk);
        let found = has_byte(word, b'"') | has_byte(word, b'\\') | has_byte(word, b'\n');
        if found != 0 {
            at += (found.trailing_zeros() / 8) as usize;
            return (body.get(at) == Some(&b'"')).then_some(at);
        }
        at += 8;
    }
    let rest = body.get(at..)?;
    let found = memchr::memchr3(b'"', b'\\', b'\n', rest)?;
    (rest.get(found) == Some(&b'"')).then_some(at + found)
}

/// The top bit of each byte of `word` that equals `byte`; only the lowest set
/// bit can be trusted, which is the one we use.
const fn has_byte(word: u64, byte: u8) -> u64 {
    let zeroed = word ^ (LOW * byte as u64);
    zeroed.wrapping_sub(LOW) & !zeroed & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bytes_at_a_time_and_one_by_one_find_the_same_name_end() {
        for byte in 0..=u8::MAX {
            for place in 1..9 {
                let mut body = *b"abcdefghijklmno";
                body[place] = byte;
                let class = CLASS[usize::from(byte)];
                let end = if class & (LABEL_START | DIGIT) == 0 { place } else { body.len() };
                assert_eq!(label_name_end(&body, 0), end, "label {byte:#x} at {place}");
                let end = if class == 0 { place } else { body.len() };
                assert_eq!(name_end(&body, 0), end, "metric {byte:#x} at {place}");
            }
        }
    }

    #[test]
    fn a_closing_quote_is_found_at_any_distance() {
        for length in 0..100 {
            let mut body = alloc::vec![b'x'; length];
            body.extend_from_slice(b"\"\\\"");
            assert_eq!(plain_closing_quote(&body, 0), Some(length));
            body[length] = b'\\';
            assert_eq!(plain_closing_quote(&body, 0), None, "a backslash first");
            body[length] = b'\n';
            assert_eq!(plain_closing_quote(&body, 0), None, "a newline first");
            body.truncate(length);
            assert_eq!(plain_closing_quote(&body, 0), None, "no quote at all");
        }
    }
}
