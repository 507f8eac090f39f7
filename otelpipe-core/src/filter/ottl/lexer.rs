//! Words of the condition language.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::ParseError;
use super::ast::{Comparison, Operator};

/// A word and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// Counted from 1, in characters.
    pub(super) column: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// A name, of whatever case.
    Name(String),
    /// Digits only; the sign is an operator.
    Int(String),
    /// Digits with a dot.
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Comparison(Comparison),
    Operator(Operator),
    /// One of `( ) [ ] { } , . :`
    Sign(char),
}

/// Splits a condition into words.
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, ParseError> {
    let mut lexer = Lexer { rest: source, column: 1 };
    let mut tokens = Vec::new();
    loop {
        let blank = lexer.rest.len() - lexer.rest.trim_start().len();
        lexer.skip(blank);
        let Some(first) = lexer.rest.chars().next() else { return Ok(tokens) };
        let column = lexer.column;
        tokens.push(Token { kind: lexer.token(first)?, column });
    }
}

struct Lexer<'a> {
    rest: &'a str,
    column: usize,
}

impl<'a> Lexer<'a> {
    fn skip(&mut self, bytes: usize) -> &'a str {
        let (skipped, rest) = self.rest.split_at(bytes);
        self.column += skipped.chars().count();
        self.rest = rest;
        skipped
    }

    fn while_true(&mut self, is: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !is(c)).unwrap_or(self.rest.len());
        self.skip(end)
    }

    fn error(&self, message: &str) -> ParseError {
        ParseError { column: self.column, message: message.to_owned() }
    }

    fn token(&mut self, first: char) -> Result<TokenKind, ParseError> {
        let signs = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        if let Some((sign, comparison)) = signs.into_iter().find(|(sign, _)| self.rest.starts_with(sign)) {
            self.skip(sign.len());
            return Ok(TokenKind::Comparison(comparison));
        }
        let kind = match first {
            '"' => return self.text().map(TokenKind::Text),
            '0' if self.rest.starts_with("0x") => return self.bytes().map(TokenKind::Bytes),
            '0'..='9' | '.' if first != '.' || self.digit_follows() => return self.number(),
            'a'..='z' | 'A'..='Z' => {
                return Ok(TokenKind::Name(
                    self.while_true(|c| c.is_ascii_alphanumeric() || c == '_').to_owned(),
                ));
            }
            '+' => TokenKind::Operator(Operator::Add),
            '-' => TokenKind::Operator(Operator::Subtract),
            '*' => TokenKind::Operator(Operator::Multiply),
            '/' => TokenKind::Operator(Operator::Divide),
            '(' | ')' | '[' | ']' | '{' | '}' | ',' | '.' | ':' => TokenKind::Sign(first),
            '=' => return Err(self.error("unexpected \"=\", comparison is \"==\"")),
            '\'' => return Err(self.error("unexpected \"'\", texts stand between double quotes")),
            other => return Err(self.error(&format!("unexpected {other:?}"))),
        };
        self.skip(first.len_utf8());
        Ok(kind)
    }

    fn digit_follows(&self) -> bool {
        self.rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit)
    }

    fn number(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.rest;
        let before = self.error("the number is too large");
        let whole = self.while_true(|c| c.is_ascii_digit());
        if !self.rest.starts_with('.') {
            return Ok(TokenKind::Int(whole.to_owned()));
        }
        self.skip(1);
        self.while_true(|c| c.is_ascii_digit());
        let exponent = self.rest.strip_prefix(['e', 'E']);
        let exponent = exponent.map(|rest| rest.strip_prefix(['+', '-']).unwrap_or(rest));
        if let Some(digits) = exponent.filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit())) {
            self.skip(self.rest.len() - digits.len());
            self.while_true(|c| c.is_ascii_digit());
        }
        let text = start.get(..start.len() - self.rest.len()).unwrap_or_default();
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(TokenKind::Double(value)),
            _ => Err(before),
        }
    }

    fn bytes(&mut self) -> Result<Vec<u8>, ParseError> {
        self.skip(2);
        let at = self.error("bytes need an even number of hex digits");
        let digits = self.while_true(|c| c.is_ascii_hexdigit()).as_bytes();
        if digits.is_empty() || digits.len() % 2 == 1 {
            return Err(at);
        }
        let digit =
            |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok()).unwrap_or(0);
        Ok(digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect())
    }

    /// A text with Go's escapes.
    fn text(&mut self) -> Result<String, ParseError> {
        let start = self.error("the text has no end");
        self.skip(1);
        let mut bytes = Vec::new();
        loop {
            bytes.extend_from_slice(self.while_true(|c| c != '"' && c != '\\').as_bytes());
            match self.rest.chars().next() {
                None => return Err(start),
                Some('"') => {
                    self.skip(1);
                    let not_utf8 = ParseError { message: "the text is not UTF-8".to_owned(), ..start };
                    return String::from_utf8(bytes).map_err(|_| not_utf8);
                }
                Some(_) => self.escape(&mut bytes)?,
            }
        }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), ParseError> {
        let unknown = self.error("unknown escape in a text");
        self.skip(1);
        let Some(c) = self.rest.chars().next() else { return Err(unknown) };
        let (digits, radix) = match c {
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='7' => (3, 8),
            _ => (0, 0),
        };
        if digits > 0 {
            if radix == 16 {
                self.skip(1);
            }
            let Some(text) = self.rest.get(..digits) else { return Err(unknown) };
            let Ok(value) = u32::from_str_radix(text, radix) else { return Err(unknown) };
            if text.starts_with('+') {
                return Err(unknown);
            }
            self.skip(digits);
            if matches!(c, 'u' | 'U') {
                let Some(c) = char::from_u32(value) else { return Err(unknown) };
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                bytes.push(u8::try_from(value).map_err(|_| unknown)?);
            }
            return Ok(());
        }
        bytes.push(match c {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' => b'\\',
            '"' => b'"',
            _ => return Err(unknown),
        });
        self.skip(1);
        Ok(())
    }
}
