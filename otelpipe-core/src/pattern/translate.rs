//! Go's regular expressions, rewritten for the `regex` crate.
//!
//! Both are linear-time and leftmost-first, and most of their syntax is the same. What
//! differs is rewritten here (ASCII classes, plain braces, `\Q…\E`, octal escapes),
//! and what Go refuses is refused in Go's words. The output uses only syntax that
//! means the same at every place: groups without names, flags spelt out, every
//! character escaped that could be an operator.
//!
//! Source: `parse` in Go `regexp/syntax/parse.go` with the flags of `regexp.Compile`.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::class;
use super::error::PatternErrorKind::{
    Escape, MissingParen, MissingRepeatArgument, NamedCapture, NestedRepeat, NestingDepth, PerlOperator,
    RepeatCount, TrailingBackslash, UnexpectedParen,
};
use super::error::{PatternError, PatternErrorKind};

pub(super) type Result<T> = core::result::Result<T, PatternError>;

/// Largest repeat count, also as the product of nested counts.
const MAX_REPEAT: u32 = 1000;

/// Groups within groups. Go allows 1000; ours is what the `regex` crate takes for sure.
const MAX_DEPTH: usize = 240;

/// A text that matches no character, for the surrogates that Go can name.
pub(super) const NOTHING: &str = r"[^\x{0}-\x{10FFFF}]";

/// A translated expression.
#[derive(Debug)]
pub(super) struct Translated {
    /// Syntax of the `regex` crate.
    pub(super) text: String,
    /// The names of groups 1, 2, …
    pub(super) names: Vec<Option<Box<str>>>,
}

/// Rewrites a Go expression. `dot_newline`: whether `.` matches a newline at the start.
pub(super) fn translate(go_regex: &str, dot_newline: bool) -> Result<Translated> {
    let flags = Flags { dot_newline, ..Flags::default() };
    let mut out = String::with_capacity(go_regex.len() + 8);
    flags.write(&mut out, ')');
    let mut translator = Translator {
        cursor: Cursor { text: go_regex, at: 0 },
        out,
        names: Vec::new(),
        flags,
        open: Vec::new(),
        branch: Branch::default(),
        last_repeat: None,
    };
    while translator.step()? {}
    if !translator.open.is_empty() {
        return Err(translator.cursor.error(MissingParen, go_regex));
    }
    Ok(Translated { text: translator.out, names: translator.names })
}

struct Translator<'a> {
    cursor: Cursor<'a>,
    out: String,
    names: Vec<Option<Box<str>>>,
    flags: Flags,
    open: Vec<Group>,
    branch: Branch,
    /// The text from the repetition operator that was read last, if nothing followed it.
    last_repeat: Option<&'a str>,
}

#[derive(Clone, Copy, Default, PartialEq)]
struct Flags {
    fold_case: bool,
    multi_line: bool,
    dot_newline: bool,
    /// `(?U)`: never passed on, the repetition operators are written accordingly.
    lazy: bool,
}

/// A group that is still open.
struct Group {
    flags: Flags,
    start: usize,
    branch: Branch,
}

/// Where the translator is in a sequence such as `ab*c`.
#[derive(Clone, Copy, Default)]
struct Branch {
    /// What a repetition operator would repeat.
    atom: Option<Atom>,
    /// The largest `Atom::copies` so far in this group.
    copies: u32,
}

#[derive(Clone, Copy)]
struct Atom {
    start: usize,
    end: usize,
    repeated: bool,
    /// How often its innermost part is repeated by nested counts.
    copies: u32,
}

impl Branch {
    fn finish_atom(&mut self) {
        self.copies = self.copies.max(self.atom.take().map_or(0, |atom| atom.copies));
    }
}

impl<'a> Translator<'a> {
    /// Reads one construct. False at the end.
    fn step(&mut self) -> Result<bool> {
        let before = self.cursor.rest();
        let last_repeat = self.last_repeat.take();
        let Some(next) = self.cursor.peek() else { return Ok(false) };
        match next {
            '(' if before.starts_with("(?") => self.perl_group()?,
            '(' => {
                self.cursor.take('(');
                self.open_group("(")?;
                self.names.push(None);
            }
            ')' => self.close_group()?,
            '|' => {
                self.cursor.take('|');
                self.branch.finish_atom();
                self.out.push('|');
            }
            '*' | '+' | '?' => {
                self.cursor.take(next);
                self.repeat(before, last_repeat, Count { min: u32::from(next == '+'), max: None })?;
            }
            '{' => match self.cursor.count() {
                Some(count) => self.repeat(before, last_repeat, count)?,
                None => self.literal('{'),
            },
            '[' => {
                let start = self.begin_atom();
                class::bracket(&mut self.cursor, &mut self.out)?;
                self.end_atom(start, 0);
            }
            '^' | '$' | '.' => {
                self.cursor.take(next);
                let start = self.begin_atom();
                self.out.push(next);
                self.end_atom(start, 0);
            }
            '\\' => self.backslash()?,
            plain => self.literal(plain),
        }
        Ok(true)
    }

    fn literal(&mut self, plain: char) {
        self.cursor.take(plain);
        let start = self.begin_atom();
        write_char(plain, &mut self.out);
        self.end_atom(start, 0);
    }

    fn backslash(&mut self) -> Result<()> {
        let rest = self.cursor.rest();
        if let Some(quoted) = rest.strip_prefix(r"\Q") {
            let (literal, _) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
            self.cursor.skip(2);
            literal.chars().for_each(|plain| self.literal(plain));
            self.cursor.skip(2);
            return Ok(());
        }
        let start = self.begin_atom();
        let assertion = match rest.as_bytes() {
            [b'\\', b'A', ..] => Some(r"\A"),
            [b'\\', b'z', ..] => Some(r"\z"),
            [b'\\', b'b', ..] => Some(r"(?-u:\b)"),
            [b'\\', b'B', ..] => Some(r"(?-u:\B)"),
            _ => None,
        };
        if let Some(assertion) = assertion {
            self.cursor.skip(2);
            self.out.push_str(assertion);
        } else if !class::perl(&mut self.cursor, &mut self.out)
            && !class::unicode(&mut self.cursor, &mut self.out)?
        {
            match char::from_u32(self.cursor.escape()?) {
                Some(plain) => write_char(plain, &mut self.out),
                None => self.out.push_str(NOTHING),
            }
        }
        self.end_atom(start, 0);
        Ok(())
    }

    /// `(?:…)`, `(?P<name>…)`, `(?i)` and so on; the cursor stands on `(?`.
    fn perl_group(&mut self) -> Result<()> {
        let rest = self.cursor.rest();
        let named = rest.strip_prefix("(?P<").or_else(|| rest.strip_prefix("(?<"));
        if let Some(named) = named.filter(|named| !named.is_empty()) {
            let name = named.split_once('>').map(|(name, _)| name);
            let name = name.ok_or_else(|| self.cursor.error(NamedCapture, rest))?;
            self.cursor.skip(rest.len() - named.len() + name.len() + 1);
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(self.cursor.error_since(NamedCapture, rest));
            }
            self.open_group("(")?;
            self.names.push(Some(name.into()));
            return Ok(());
        }
        self.cursor.skip(2);
        let (flags, end) = self.read_flags(rest)?;
        if end == ':' {
            self.open_group("")?;
            flags.write(&mut self.out, ':');
        } else if flags != self.flags {
            // Not an atom: a repetition operator that follows repeats what was before.
            flags.write(&mut self.out, ')');
        }
        self.flags = flags;
        Ok(())
    }

    fn read_flags(&mut self, group: &str) -> Result<(Flags, char)> {
        let mut flags = self.flags;
        let mut set = true;
        let mut seen = true; // `(?-)` is refused, `(?)` is not
        while let Some(next) = self.cursor.peek() {
            self.cursor.take(next);
            match next {
                'i' => flags.fold_case = set,
                'm' => flags.multi_line = set,
                's' => flags.dot_newline = set,
                'U' => flags.lazy = set,
                '-' if set => (set, seen) = (false, false),
                ':' | ')' if seen => return Ok((flags, next)),
                _ => break,
            }
            seen |= next != '-';
        }
        Err(self.cursor.error_since(PerlOperator, group))
    }

    fn open_group(&mut self, text: &str) -> Result<()> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.cursor.error(NestingDepth, self.cursor.text));
        }
        self.branch.finish_atom();
        let branch = core::mem::take(&mut self.branch);
        self.open.push(Group { flags: self.flags, start: self.out.len(), branch });
        self.out.push_str(text);
        Ok(())
    }

    fn close_group(&mut self) -> Result<()> {
        let unexpected = self.cursor.error(UnexpectedParen, self.cursor.text);
        let group = self.open.pop().ok_or(unexpected)?;
        self.cursor.take(')');
        self.out.push(')');
        self.branch.finish_atom();
        let copies = self.branch.copies;
        self.branch = group.branch;
        self.flags = group.flags;
        self.end_atom(group.start, copies);
        Ok(())
    }

    /// Repeats the last atom. `before` begins with the operator, which has been read.
    fn repeat(&mut self, before: &'a str, last: Option<&'a str>, count: Count) -> Result<()> {
        let operator = |cursor: &Cursor<'a>| before.len() - cursor.rest().len();
        let text = before.get(..operator(&self.cursor)).unwrap_or(before);
        if count.min > MAX_REPEAT || count.max.is_some_and(|max| max > MAX_REPEAT || max < count.min) {
            return Err(self.cursor.error(RepeatCount, text));
        }
        let question_mark = self.cursor.take('?');
        if let Some(last) = last {
            return Err(self.cursor.error_since(NestedRepeat, last));
        }
        let Some(mut atom) = self.branch.atom else {
            return Err(self.cursor.error_since(MissingRepeatArgument, before));
        };
        if text.starts_with('{') {
            let factor = count.max.unwrap_or(count.min);
            atom.copies = match (count.max, factor) {
                (Some(0), _) => 0,
                (_, 0) => atom.copies,
                _ => atom.copies.max(1).saturating_mul(factor),
            };
            if factor >= 2 && atom.copies > MAX_REPEAT {
                return Err(self.cursor.error_since(RepeatCount, before));
            }
        }
        let mut operator = String::from(text);
        if question_mark != self.flags.lazy {
            operator.push('?');
        }
        if atom.repeated {
            // `a*\Q\E?`: Go repeats the repetition, the plain text `a*?` would not.
            self.out.insert(atom.end, ')');
            self.out.insert_str(atom.start, "(?:");
            atom.end += 4;
        }
        self.out.insert_str(atom.end, &operator);
        atom.end += operator.len();
        atom.repeated = true;
        self.branch.atom = Some(atom);
        self.last_repeat = Some(before);
        Ok(())
    }

    fn begin_atom(&mut self) -> usize {
        self.branch.finish_atom();
        self.out.len()
    }

    fn end_atom(&mut self, start: usize, copies: u32) {
        self.branch.finish_atom();
        self.branch.atom = Some(Atom { start, end: self.out.len(), repeated: false, copies });
    }
}

impl Flags {
    fn write(self, out: &mut String, end: char) {
        let all = [('i', self.fold_case), ('m', self.multi_line), ('s', self.dot_newline)];
        out.push_str("(?");
        out.extend(all.iter().filter(|(_, on)| *on).map(|(letter, _)| *letter));
        if all.iter().any(|(_, on)| !on) {
            out.push('-');
            out.extend(all.iter().filter(|(_, on)| !on).map(|(letter, _)| *letter));
        }
        out.push(end);
    }
}

/// `{min,max}`; no `max` means without limit.
#[derive(Clone, Copy)]
struct Count {
    min: u32,
    max: Option<u32>,
}

/// The place up to which an expression has been read.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn peek_second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    /// Moves on over `wanted` if it is next.
    pub(super) fn take(&mut self, wanted: char) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.text.len());
    }

    pub(super) fn error(&self, kind: PatternErrorKind, text: &str) -> PatternError {
        PatternError::new(kind, text)
    }

    /// An error about the text from `start` (an earlier `rest()`) up to here.
    pub(super) fn error_since(&self, kind: PatternErrorKind, start: &str) -> PatternError {
        let len = start.len().saturating_sub(self.rest().len());
        PatternError::new(kind, start.get(..len).unwrap_or(start))
    }

    /// Reads `{2}`, `{2,}` or `{2,5}`. Anything else stays: its brace is plain.
    fn count(&mut self) -> Option<Count> {
        let mut probe = *self;
        probe.take('{');
        let min = probe.integer()?;
        let max = match probe.take(',') {
            false => Some(min),
            true if probe.rest().starts_with('}') => None,
            true => Some(probe.integer()?),
        };
        if !probe.take('}') {
            return None;
        }
        *self = probe;
        Some(Count { min, max })
    }

    /// Digits without a leading zero; saturates.
    fn integer(&mut self) -> Option<u32> {
        let rest = self.rest();
        let digits = rest.get(..rest.bytes().take_while(u8::is_ascii_digit).count())?;
        if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
            return None;
        }
        self.skip(digits.len());
        Some(digits.parse().unwrap_or(u32::MAX))
    }

    /// Reads an escape that stands for one character. May be a surrogate.
    pub(super) fn escape(&mut self) -> Result<u32> {
        let start = self.rest();
        self.take('\\');
        let Some(letter) = self.peek() else {
            return Err(self.error(TrailingBackslash, ""));
        };
        self.take(letter);
        let digit_follows = self.peek().is_some_and(|c| c.is_digit(8));
        let value = match letter {
            'a' => Some(7),
            'f' => Some(12),
            'n' => Some(10),
            'r' => Some(13),
            't' => Some(9),
            'v' => Some(11),
            'x' => self.hex(),
            '0' => Some(self.octal(0)),
            '1'..='7' if digit_follows => Some(self.octal(u32::from(letter) - u32::from('0'))),
            _ if letter.is_ascii() && !letter.is_ascii_alphanumeric() => Some(u32::from(letter)),
            _ => None,
        };
        value.ok_or_else(|| self.error_since(Escape, start))
    }

    /// Up to two more octal digits.
    fn octal(&mut self, first: u32) -> u32 {
        let mut value = first;
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else { break };
            self.skip(1);
            value = value * 8 + digit;
        }
        value
    }

    /// `41` or `{1F600}` after `\x`. `None` leaves the cursor behind the wrong character.
    fn hex(&mut self) -> Option<u32> {
        if self.take('{') {
            let mut value = None;
            loop {
                let next = self.peek()?;
                self.take(next);
                if next == '}' {
                    return value;
                }
                value = Some(value.unwrap_or(0) * 16 + next.to_digit(16)?);
                value.filter(|value| *value <= u32::from(char::MAX))?;
            }
        }
        let high = self.peek()?;
        self.take(high);
        let low = self.peek()?;
        self.take(low);
        Some(high.to_digit(16)? * 16 + low.to_digit(16)?)
    }
}

/// Writes a character that stands for itself, in a class and outside.
pub(super) fn write_char(plain: char, out: &mut String) {
    if plain.is_ascii_control() {
        write!(out, r"\x{:02x}", u32::from(plain)).expect("a String takes all text");
        return;
    }
    if r"\.+*?()|[]{}^$#&-~".contains(plain) {
        out.push('\\');
    }
    out.push(plain);
}
