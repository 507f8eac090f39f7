//! From words to a syntax tree.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::ParseError;
use super::ast::{Column, Expr, Key, Operator, Segment, Value};
use super::lexer::{Token, TokenKind, tokens};

/// Parses a condition.
///
/// Binding, from loose to tight: `or`, `and`, `not`, comparison, `+ -`, `* /`.
///
/// # Errors
/// If the text is no condition, with the column where it goes wrong.
pub fn parse(source: &str) -> Result<Expr, ParseError> {
    let tokens = tokens(source)?;
    let mut parser = Parser { tokens, at: 0, end: source.chars().count() + 1, depth: 0, operators: 0 };
    let root = parser.or()?;
    if parser.at < parser.tokens.len() {
        return Err(parser.unexpected("\"and\", \"or\" or an operator"));
    }
    parser.expr(root)
}

/// Nesting deeper than this is refused rather than allowed to exhaust the stack.
const MAX_DEPTH: usize = 64;

/// As above: a chain of arithmetic is a tree as deep as the chain is long.
const MAX_OPERATORS: usize = 1_000;

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    end: usize,
    depth: usize,
    operators: usize,
}

/// Parentheses stand around conditions and around values: which one shows behind them.
enum Node {
    Expr(Expr),
    Value(Value, usize),
}

impl Parser {
    fn column(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |token| token.column)
    }

    fn peek(&self) -> Option<&TokenKind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn error<T>(&self, message: &str) -> Result<T, ParseError> {
        Err(ParseError { column: self.column(), message: message.to_owned() })
    }

    fn unexpected(&self, wanted: &str) -> ParseError {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(TokenKind::Name(name)) => format!("{name:?}"),
            Some(TokenKind::Sign(sign)) => format!("\"{sign}\""),
            Some(TokenKind::Comparison(comparison)) => format!("\"{comparison}\""),
            Some(_) => "this".to_owned(),
        };
        ParseError { column: self.column(), message: format!("{wanted} expected, not {found}") }
    }

    fn eat(&mut self, sign: char) -> bool {
        let found = self.peek() == Some(&TokenKind::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: char) -> Result<(), ParseError> {
        if self.eat(sign) { Ok(()) } else { Err(self.unexpected(&format!("\"{sign}\""))) }
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(TokenKind::Name(name)) if name == word);
        self.at += usize::from(found);
        found
    }

    fn expr(&self, node: Node) -> Result<Expr, ParseError> {
        match node {
            Node::Expr(expr) => Ok(expr),
            Node::Value(Value::Bool(value), _) => Ok(Expr::Const(value)),
            Node::Value(call @ Value::Call { .. }, _) => Ok(Expr::Call(call)),
            Node::Value(_, column) => {
                let message = "a value alone is no condition, compare it with something".to_owned();
                Err(ParseError { column, message })
            }
        }
    }

    fn value(&self, node: Node) -> Result<Value, ParseError> {
        match node {
            Node::Value(value, _) => Ok(value),
            Node::Expr(_) => self.error("a condition stands where a value is expected"),
        }
    }

    fn or(&mut self) -> Result<Node, ParseError> {
        self.chain("or", Self::and, Expr::Or)
    }

    fn and(&mut self) -> Result<Node, ParseError> {
        self.chain("and", Self::not, Expr::And)
    }

    fn chain(
        &mut self,
        word: &str,
        item: fn(&mut Self) -> Result<Node, ParseError>,
        join: fn(Vec<Expr>) -> Expr,
    ) -> Result<Node, ParseError> {
        let first = item(self)?;
        if !self.eat_word(word) {
            return Ok(first);
        }
        let mut list = vec![self.expr(first)?];
        loop {
            let next = item(self)?;
            list.push(self.expr(next)?);
            if !self.eat_word(word) {
                return Ok(Node::Expr(join(list)));
            }
        }
    }

    fn not(&mut self) -> Result<Node, ParseError> {
        if !self.eat_word("not") {
            return self.comparison();
        }
        let inner = self.comparison()?;
        Ok(Node::Expr(Expr::Not(Box::new(self.expr(inner)?))))
    }

    fn comparison(&mut self) -> Result<Node, ParseError> {
        let left = self.sum()?;
        let Some(TokenKind::Comparison(comparison)) = self.peek() else { return Ok(left) };
        let comparison = *comparison;
        let left = self.value(left)?;
        self.at += 1;
        let right = self.sum()?;
        Ok(Node::Expr(Expr::Compare(left, comparison, self.value(right)?)))
    }

    fn sum(&mut self) -> Result<Node, ParseError> {
        self.math(Self::product, &[Operator::Add, Operator::Subtract])
    }

    fn product(&mut self) -> Result<Node, ParseError> {
        self.math(Self::primary, &[Operator::Multiply, Operator::Divide])
    }

    fn math(
        &mut self,
        item: fn(&mut Self) -> Result<Node, ParseError>,
        operators: &[Operator],
    ) -> Result<Node, ParseError> {
        let column = self.column();
        let mut left = item(self)?;
        while let Some(TokenKind::Operator(operator)) = self.peek() {
            let operator = *operator;
            if !operators.contains(&operator) {
                break;
            }
            self.operators += 1;
            if self.operators > MAX_OPERATORS {
                return self.error("the condition is too long");
            }
            let a = self.value(left)?;
            self.at += 1;
            let right = item(self)?;
            left = Node::Value(Value::Math(Box::new(a), operator, Box::new(self.value(right)?)), column);
        }
        Ok(left)
    }

    fn primary(&mut self) -> Result<Node, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.error("the condition is nested too deeply");
        }
        let node = self.primary_inner();
        self.depth -= 1;
        node
    }

    fn primary_inner(&mut self) -> Result<Node, ParseError> {
        let column = self.column();
        if self.eat('(') {
            let inner = self.or()?;
            self.expect(')')?;
            return Ok(inner);
        }
        let value = match self.peek().cloned() {
            Some(TokenKind::Operator(sign @ (Operator::Add | Operator::Subtract))) => {
                self.at += 1;
                self.signed(sign)?
            }
            Some(TokenKind::Int(_) | TokenKind::Double(_)) => self.signed(Operator::Add)?,
            Some(TokenKind::Text(text)) => self.literal(Value::Text(text)),
            Some(TokenKind::Bytes(bytes)) => self.literal(Value::Bytes(bytes)),
            Some(TokenKind::Sign('[')) => self.list()?,
            Some(TokenKind::Sign('{')) => self.map()?,
            Some(TokenKind::Name(name)) => self.named(&name)?,
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Node::Value(value, column))
    }

    fn literal(&mut self, value: Value) -> Value {
        self.at += 1;
        value
    }

    fn signed(&mut self, sign: Operator) -> Result<Value, ParseError> {
        let is_negative = sign == Operator::Subtract;
        let value = match self.peek() {
            Some(TokenKind::Double(value)) => Value::Double(if is_negative { -value } else { *value }),
            Some(TokenKind::Int(digits)) => {
                let text = format!("{}{digits}", if is_negative { "-" } else { "" });
                match text.parse() {
                    Ok(int) => Value::Int(int),
                    Err(_) => return self.error("the number is too large"),
                }
            }
            _ => return Err(self.unexpected("a number")),
        };
        self.at += 1;
        Ok(value)
    }

    fn list(&mut self) -> Result<Value, ParseError> {
        self.at += 1;
        self.values(']').map(Value::List)
    }

    /// Values between commas, up to `close`.
    fn values(&mut self, close: char) -> Result<Vec<Value>, ParseError> {
        let mut values = Vec::new();
        if self.eat(close) {
            return Ok(values);
        }
        loop {
            let node = self.sum()?;
            values.push(self.value(node)?);
            if !self.eat(',') {
                self.expect(close)?;
                return Ok(values);
            }
        }
    }

    fn map(&mut self) -> Result<Value, ParseError> {
        self.at += 1;
        let mut map = Vec::new();
        if self.eat('}') {
            return Ok(Value::Map(map));
        }
        loop {
            let Some(TokenKind::Text(key)) = self.peek().cloned() else {
                return Err(self.unexpected("a key"));
            };
            self.at += 1;
            self.expect(':')?;
            let node = self.sum()?;
            map.push((key, self.value(node)?));
            if !self.eat(',') {
                self.expect('}')?;
                return Ok(Value::Map(map));
            }
        }
    }

    fn named(&mut self, name: &str) -> Result<Value, ParseError> {
        match name {
            "true" | "false" => return Ok(self.literal(Value::Bool(name == "true"))),
            "nil" => return Ok(self.literal(Value::Nil)),
            "and" | "or" | "not" => return Err(self.unexpected("a value")),
            _ => {}
        }
        let column = Column(self.column());
        if name.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Ok(Value::Path(self.path()?, column));
        }
        self.at += 1;
        if self.eat('(') {
            let arguments = self.values(')')?;
            return Ok(Value::Call { name: name.to_owned(), arguments, keys: self.keys()?, column });
        }
        if name.contains(|c: char| c.is_ascii_lowercase()) {
            return Err(self.unexpected("\"(\""));
        }
        Ok(Value::Enum(name.to_owned(), column))
    }

    fn path(&mut self) -> Result<Vec<Segment>, ParseError> {
        let mut segments = Vec::new();
        loop {
            let name = match self.peek() {
                Some(TokenKind::Name(name)) if !name.contains(|c: char| c.is_ascii_uppercase()) => {
                    name.clone()
                }
                _ => return Err(self.unexpected("a name in lower case")),
            };
            self.at += 1;
            segments.push(Segment { name, keys: self.keys()? });
            if !self.eat('.') {
                return Ok(segments);
            }
        }
    }

    fn keys(&mut self) -> Result<Vec<Key>, ParseError> {
        let mut keys = Vec::new();
        while self.eat('[') {
            keys.push(match self.peek().cloned() {
                Some(TokenKind::Text(text)) => Key::Text(text),
                Some(TokenKind::Int(digits)) => match digits.parse() {
                    Ok(index) => Key::Index(index),
                    Err(_) => return self.error("the number is too large"),
                },
                _ => return Err(self.unexpected("a key")),
            });
            self.at += 1;
            self.expect(']')?;
        }
        Ok(keys)
    }
}

/// For messages: the path as written.
pub(super) fn dotted(segments: &[Segment]) -> String {
    segments.iter().map(|segment| segment.name.as_str()).collect::<Vec<_>>().join(".")
}
