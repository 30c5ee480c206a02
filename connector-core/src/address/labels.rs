//! Label selectors, in the grammar of `apimachinery/pkg/labels`.
//!
//! A selector is parsed rather than passed on as text, because it is joined to the origin selector with a comma: whatever
//! were not exactly a list of requirements could change what is selected.

use std::collections::BTreeSet;
use std::fmt;
use std::iter::Peekable;
use std::str::FromStr;
use std::vec::IntoIter;

use super::{AddressError, names};

/// Requirements on labels, all of which an object must meet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelSelector {
    /// The requirements, sorted by key.
    pub requirements: Vec<LabelRequirement>,
}

/// A requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LabelRequirement {
    /// The key of the label.
    pub key: String,
    /// What is required of it.
    pub operator: LabelOperator,
    /// What it is compared with: sorted, at least one for [`LabelOperator::In`] and [`LabelOperator::NotIn`], none for the
    /// two of existence, else one.
    pub values: Vec<String>,
}

/// What is required of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LabelOperator {
    /// `key in (values)`
    In,
    /// `key notin (values)`; an absent label meets it.
    NotIn,
    /// `key=value`
    Equals,
    /// `key==value`, the same as [`LabelOperator::Equals`].
    DoubleEquals,
    /// `key!=value`; an absent label meets it.
    NotEquals,
    /// `key`
    Exists,
    /// `!key`
    DoesNotExist,
    /// `key>value`, as integers.
    GreaterThan,
    /// `key<value`, as integers.
    LessThan,
}

impl LabelOperator {
    /// Whether an object without the label meets the requirement.
    pub(super) fn accepts_absence(self) -> bool {
        matches!(self, Self::NotIn | Self::NotEquals | Self::DoesNotExist)
    }
}

impl LabelRequirement {
    /// A requirement that `key` be (or not be) `value`.
    pub(super) fn one(key: &str, equal: bool, value: &str) -> Self {
        let operator = if equal { LabelOperator::Equals } else { LabelOperator::NotEquals };
        Self { key: key.to_owned(), operator, values: vec![value.to_owned()] }
    }
}

impl FromStr for LabelSelector {
    type Err = AddressError;

    fn from_str(selector: &str) -> Result<Self, Self::Err> {
        let parser = Parser { tokens: lex(selector)?.into_iter().peekable() };
        let mut requirements = parser.parse().map_err(AddressError::Selector)?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements })
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, one) in self.requirements.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            write!(f, "{one}")?;
        }
        Ok(())
    }
}

impl fmt::Display for LabelRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, values) = (&self.key, self.values.join(","));
        match self.operator {
            LabelOperator::In => write!(f, "{key} in ({values})"),
            LabelOperator::NotIn => write!(f, "{key} notin ({values})"),
            LabelOperator::Equals => write!(f, "{key}={values}"),
            LabelOperator::DoubleEquals => write!(f, "{key}=={values}"),
            LabelOperator::NotEquals => write!(f, "{key}!={values}"),
            LabelOperator::Exists => write!(f, "{key}"),
            LabelOperator::DoesNotExist => write!(f, "!{key}"),
            LabelOperator::GreaterThan => write!(f, "{key}>{values}"),
            LabelOperator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

/// A word, or a symbol of the grammar. The words `in` and `notin` are operators or values, by their place.
#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Symbol(&'static str),
}

impl Token<'_> {
    fn text(&self) -> &str {
        match self {
            Token::Word(text) => text,
            Token::Symbol(text) => text,
        }
    }
}

/// The longest first, so that `==` is not read as two.
const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

fn lex(selector: &str) -> Result<Vec<Token<'_>>, AddressError> {
    // The reference takes a NUL for the end of the text.
    if selector.contains('\0') {
        return Err(AddressError::Selector("found NUL, expected: identifier".to_owned()));
    }
    let (mut tokens, mut rest) = (Vec::new(), selector);
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        if rest.is_empty() {
            return Ok(tokens);
        }
        let token = match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            Some(symbol) => Token::Symbol(symbol),
            None => {
                let stop = [' ', '\t', '\r', '\n', '=', '!', '(', ')', ',', '>', '<'];
                Token::Word(&rest[..rest.find(stop).unwrap_or(rest.len())])
            }
        };
        rest = &rest[token.text().len()..];
        tokens.push(token);
    }
}

struct Parser<'a> {
    tokens: Peekable<IntoIter<Token<'a>>>,
}

impl<'a> Parser<'a> {
    fn next_is(&mut self, symbol: &str) -> bool {
        matches!(self.tokens.peek(), Some(Token::Symbol(found)) if *found == symbol)
    }

    /// The text of the next token, empty at the end.
    fn next_text(&mut self) -> String {
        self.tokens.peek().map(|token| token.text().to_owned()).unwrap_or_default()
    }

    fn parse(mut self) -> Result<Vec<LabelRequirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.tokens.peek() {
                None => return Ok(requirements),
                Some(Token::Word(_) | Token::Symbol("!")) => {}
                Some(other) => {
                    return Err(format!("found '{}', expected: !, identifier, or 'end of string'", other.text()));
                }
            }
            let one = self.requirement().map_err(|fault| format!("unable to parse requirement: {fault}"))?;
            requirements.push(one);
            match self.tokens.next() {
                None => return Ok(requirements),
                Some(Token::Symbol(",")) => {
                    if !matches!(self.tokens.peek(), Some(Token::Word(_) | Token::Symbol("!"))) {
                        return Err(format!("found '{}', expected: identifier after ','", self.next_text()));
                    }
                }
                Some(other) => return Err(format!("found '{}', expected: ',' or 'end of string'", other.text())),
            }
        }
    }

    fn requirement(&mut self) -> Result<LabelRequirement, String> {
        let negated = self.next_is("!");
        if negated {
            self.tokens.next();
        }
        let key = match self.tokens.next() {
            Some(Token::Word(key)) => key.to_owned(),
            other => {
                let found = other.as_ref().map(Token::text).unwrap_or_default();
                return Err(format!("found '{found}', expected: identifier"));
            }
        };
        let faults = names::label_key_faults(&key);
        if !faults.is_empty() {
            return Err(format!("<nil>: Invalid value: {key:?}: {}", faults.join("; ")));
        }
        if negated || self.tokens.peek().is_none() || self.next_is(",") {
            let operator = if negated { LabelOperator::DoesNotExist } else { LabelOperator::Exists };
            return Ok(LabelRequirement { key, operator, values: Vec::new() });
        }
        let operator = match self.tokens.next() {
            Some(Token::Word("in")) => LabelOperator::In,
            Some(Token::Word("notin")) => LabelOperator::NotIn,
            Some(Token::Symbol("=")) => LabelOperator::Equals,
            Some(Token::Symbol("==")) => LabelOperator::DoubleEquals,
            Some(Token::Symbol("!=")) => LabelOperator::NotEquals,
            Some(Token::Symbol(">")) => LabelOperator::GreaterThan,
            Some(Token::Symbol("<")) => LabelOperator::LessThan,
            other => {
                let found = other.as_ref().map(Token::text).unwrap_or_default();
                return Err(format!("found '{found}', expected: in, notin, =, ==, !=, gt, lt"));
            }
        };
        let values = match operator {
            LabelOperator::In | LabelOperator::NotIn => self.values()?,
            _ => BTreeSet::from([self.value()?]),
        };
        let requirement = LabelRequirement { key, operator, values: values.into_iter().collect() };
        requirement.check()?;
        Ok(requirement)
    }

    /// `(a,b)`, where each value may be empty.
    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        if !self.next_is("(") {
            return Err(format!("found '{}' expected: '('", self.next_text()));
        }
        self.tokens.next();
        let mut values = BTreeSet::new();
        loop {
            let value = match self.tokens.peek() {
                Some(Token::Word(word)) => {
                    let word = (*word).to_owned();
                    self.tokens.next();
                    word
                }
                Some(Token::Symbol("," | ")")) => String::new(),
                _ => return Err(format!("found '{}', expected: ',', ')' or identifier", self.next_text())),
            };
            values.insert(value);
            match self.tokens.next() {
                Some(Token::Symbol(")")) => return Ok(values),
                Some(Token::Symbol(",")) => {}
                other => {
                    let found = other.as_ref().map(Token::text).unwrap_or_default();
                    return Err(format!("found '{found}', expected: ',' or ')'"));
                }
            }
        }
    }

    fn value(&mut self) -> Result<String, String> {
        match self.tokens.peek() {
            None | Some(Token::Symbol(",")) => Ok(String::new()),
            Some(Token::Word(word)) => {
                let word = (*word).to_owned();
                self.tokens.next();
                Ok(word)
            }
            Some(other) => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }
}

impl LabelRequirement {
    fn check(&self) -> Result<(), String> {
        let mut faults = Vec::new();
        if matches!(self.operator, LabelOperator::GreaterThan | LabelOperator::LessThan) {
            for (at, value) in self.values.iter().enumerate().filter(|(_, value)| value.parse::<i64>().is_err()) {
                faults.push(format!(
                    "values[{at}]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
                ));
            }
        }
        for (at, value) in self.values.iter().enumerate() {
            let found = names::label_value_faults(value);
            if !found.is_empty() {
                faults.push(format!("values[{at}][{}]: Invalid value: {value:?}: {}", self.key, found.join("; ")));
            }
        }
        match faults.as_slice() {
            [] => Ok(()),
            [one] => Err(one.clone()),
            many => Err(format!("[{}]", many.join(", "))),
        }
    }
}
