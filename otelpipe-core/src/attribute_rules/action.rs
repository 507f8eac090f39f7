//! Actions on one list of attributes.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::config::{ActionConfig, AttributeRuleError};
use super::convert::{ConvertedType, hash};
use crate::attributes::Attributes;
use crate::pattern::Pattern;
use crate::shared_str::SharedStr;
use crate::value::AttributeValue;

/// Compiled actions: what they do depends on the attributes alone.
///
/// Source: contrib 0.156 `internal/coreinternal/attraction/attraction.go`.
#[derive(Clone, Debug, Default)]
pub struct AttributeActions(Vec<Action>);

#[derive(Clone, Debug)]
enum Action {
    Set { when: When, key: SharedStr, source: Source },
    Delete { key: Option<SharedStr>, pattern: Option<Pattern> },
    Hash { key: Option<SharedStr>, pattern: Option<Pattern> },
    Extract { key: SharedStr, pattern: Pattern },
    Convert { key: SharedStr, to: ConvertedType },
}

/// Whether the key has to be absent or present.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum When {
    Absent,
    Present,
    Always,
}

#[derive(Clone, Debug)]
enum Source {
    Value(AttributeValue),
    Attribute { from: SharedStr, default: Option<AttributeValue> },
}

impl AttributeActions {
    /// Compiles a list of actions; `field` is its name, for errors.
    ///
    /// # Errors
    ///
    /// The first field that is missing, wrong, or not for its action.
    pub fn compile(field: &str, configs: &[ActionConfig]) -> Result<Self, AttributeRuleError> {
        if configs.is_empty() {
            let message = format!("missing required field {field:?}");
            return Err(AttributeRuleError::new(field.into(), message));
        }
        let compile = |(at, config)| action(&format!("{field}[{at}]"), config);
        configs.iter().enumerate().map(compile).collect::<Result<_, _>>().map(Self)
    }

    /// Runs the actions in order, each seeing what the previous ones left.
    pub fn apply(&self, attributes: &mut Attributes) {
        for action in &self.0 {
            action.apply(attributes);
        }
    }
}

impl Action {
    fn apply(&self, attributes: &mut Attributes) {
        match self {
            Self::Set { when, key, source } => {
                let due = *when == When::Always || (*when == When::Present) == attributes.get(key).is_some();
                let value = due.then(|| source.value(attributes)).flatten();
                if let Some(value) = value {
                    attributes.insert(key.clone(), value);
                }
            }
            Self::Delete { key, pattern } => {
                if let Some(key) = key {
                    attributes.remove(key);
                }
                if let Some(pattern) = pattern {
                    attributes.retain(|key, _| !pattern.is_match(key));
                }
            }
            Self::Hash { key, pattern } => {
                if let Some(key) = key {
                    hash_value(attributes, key);
                }
                if let Some(pattern) = pattern {
                    let found: Vec<SharedStr> = attributes
                        .iter()
                        .filter(|(key, _)| pattern.is_match(key))
                        .map(|(key, _)| key.clone())
                        .collect();
                    found.iter().for_each(|key| hash_value(attributes, key));
                }
            }
            Self::Extract { key, pattern } => extract(attributes, key, pattern),
            Self::Convert { key, to } => {
                let converted = attributes.get(key).and_then(|value| {
                    let converted = to.convert(value)?;
                    (converted != *value).then_some(converted)
                });
                if let Some(converted) = converted {
                    attributes.insert(key.clone(), converted);
                }
            }
        }
    }
}

impl Source {
    fn value(&self, attributes: &Attributes) -> Option<AttributeValue> {
        match self {
            Self::Value(value) => Some(value.clone()),
            Self::Attribute { from, default } => attributes.get(from).or(default.as_ref()).cloned(),
        }
    }
}

fn hash_value(attributes: &mut Attributes, key: &SharedStr) {
    attributes.update(key, |value| *value = hash(value).into());
}

/// Puts the text of every named group; one that took no part puts `""`.
fn extract(attributes: &mut Attributes, key: &str, pattern: &Pattern) {
    let Some(AttributeValue::String(text)) = attributes.get(key).cloned() else { return };
    let Some(found) = pattern.captures(&text) else { return };
    for (_, name, group) in found.iter() {
        if let Some(name) = name {
            attributes.insert(name, group.unwrap_or_default());
        }
    }
}

fn action(at: &str, config: &ActionConfig) -> Result<Action, AttributeRuleError> {
    let word = config.action.to_lowercase();
    let check = Check { at, config, word: &word };
    match &*word {
        "insert" => check.set(When::Absent),
        "update" => check.set(When::Present),
        "upsert" => check.set(When::Always),
        "delete" => check.keys().map(|(key, pattern)| Action::Delete { key, pattern }),
        "hash" => check.keys().map(|(key, pattern)| Action::Hash { key, pattern }),
        "extract" => check.extract(),
        "convert" => check.convert(),
        "" => Err(check.missing("action")),
        _ => {
            let words = r#"["insert" "update" "upsert" "delete" "hash" "extract" "convert"]"#;
            Err(check.wrong("action", format!("unsupported action {:?}: must be in {words}", config.action)))
        }
    }
}

/// One action under examination.
struct Check<'a> {
    at: &'a str,
    config: &'a ActionConfig,
    /// The action in lower case.
    word: &'a str,
}

impl Check<'_> {
    fn set(&self, when: When) -> Result<Action, AttributeRuleError> {
        let key = self.key()?;
        self.unused(&["pattern", "converted_type"])?;
        let config = self.config;
        if !config.from_context.is_empty() {
            return Err(self.wrong("from_context", self.no_context()));
        }
        let from = (!config.from_attribute.is_empty()).then(|| SharedStr::from(&*config.from_attribute));
        let source = match (&config.value, from, &config.default_value) {
            (Some(_), Some(_), _) => {
                let message = "only one of \"value\", \"from_attribute\" and \"from_context\" can be set";
                return Err(self.wrong("from_attribute", message));
            }
            (Some(value), None, _) | (None, None, Some(value)) => Source::Value(value.clone()),
            (None, Some(from), default) => Source::Attribute { from, default: default.clone() },
            (None, None, None) => {
                let message = "one of \"value\", \"from_attribute\" and \"default_value\" must be set";
                return Err(self.wrong("value", message));
            }
        };
        Ok(Action::Set { when, key, source })
    }

    fn no_context(&self) -> &'static str {
        match &*self.config.from_context {
            "client.address" => "a client address is not known here: data is scraped, no client sends it",
            _ => "metadata of requests is not known here: data is scraped, no client sends it",
        }
    }

    fn keys(&self) -> Result<(Option<SharedStr>, Option<Pattern>), AttributeRuleError> {
        let config = self.config;
        if config.key.is_empty() && config.pattern.is_empty() {
            let message = format!("action {:?} needs \"key\", \"pattern\" or both", self.word);
            return Err(self.wrong("key", message));
        }
        self.unused(&["value", "from_attribute", "converted_type"])?;
        let key = (!config.key.is_empty()).then(|| SharedStr::from(&*config.key));
        let pattern = if config.pattern.is_empty() { None } else { Some(self.pattern()?) };
        Ok((key, pattern))
    }

    fn extract(&self) -> Result<Action, AttributeRuleError> {
        let key = self.key()?;
        self.unused(&["value", "from_attribute", "from_context", "default_value", "converted_type"])?;
        if self.config.pattern.is_empty() {
            return Err(self.missing("pattern"));
        }
        let pattern = self.pattern()?;
        if pattern.group_names().next().is_none() {
            return Err(self.wrong("pattern", "the pattern has no named group: write (?P<name>…)"));
        }
        if pattern.group_names().any(|name| name.is_none()) {
            return Err(self.wrong("pattern", "the pattern has a group without a name: write (?P<name>…)"));
        }
        Ok(Action::Extract { key, pattern })
    }

    fn convert(&self) -> Result<Action, AttributeRuleError> {
        let key = self.key()?;
        self.unused(&["value", "from_attribute", "from_context", "default_value", "pattern"])?;
        let to = match &*self.config.converted_type {
            "string" => ConvertedType::String,
            "int" => ConvertedType::Int,
            "double" => ConvertedType::Double,
            "" => return Err(self.missing("converted_type")),
            _ => {
                let message = r#""converted_type" must be in ["string" "int" "double"]"#;
                return Err(self.wrong("converted_type", message));
            }
        };
        Ok(Action::Convert { key, to })
    }

    fn key(&self) -> Result<SharedStr, AttributeRuleError> {
        if self.config.key.is_empty() {
            Err(self.missing("key"))
        } else {
            Ok(self.config.key.as_str().into())
        }
    }

    fn pattern(&self) -> Result<Pattern, AttributeRuleError> {
        Pattern::search(&self.config.pattern).map_err(|error| self.wrong("pattern", error.to_string()))
    }

    fn unused(&self, fields: &[&str]) -> Result<(), AttributeRuleError> {
        let config = self.config;
        let set = |field: &&&str| match **field {
            "value" => config.value.is_some(),
            "from_attribute" => !config.from_attribute.is_empty(),
            "from_context" => !config.from_context.is_empty(),
            "default_value" => config.default_value.is_some(),
            "pattern" => !config.pattern.is_empty(),
            _ => !config.converted_type.is_empty(),
        };
        match fields.iter().find(set) {
            Some(field) => Err(self.wrong(field, format!("action {:?} does not use {field:?}", self.word))),
            None => Ok(()),
        }
    }

    fn missing(&self, field: &str) -> AttributeRuleError {
        self.wrong(field, format!("missing required field {field:?}"))
    }

    fn wrong(&self, field: &str, message: impl Into<alloc::string::String>) -> AttributeRuleError {
        AttributeRuleError::new(format!("{}.{field}", self.at), message)
    }
}
