//! `resource_attributes`: what a resource must have.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::ottl::double_text;
use super::side::unknown_type;
use super::{AttributeConfig, FilterError, MatchConfig, ScalarConfig, error};
use crate::pattern::Pattern;
use crate::resource::Resource;
use crate::value::AttributeValue;

/// Attributes of which a resource must have all.
#[derive(Debug)]
pub(super) struct ResourceMatcher(Vec<(String, Wanted)>);

#[derive(Debug)]
enum Wanted {
    Anything,
    Equal(AttributeValue),
    Pattern(Box<Pattern>),
}

impl ResourceMatcher {
    pub(super) fn compile(path: &str, config: &MatchConfig) -> Result<Self, FilterError> {
        let entries = config.resource_attributes.iter().enumerate().map(|(at, attribute)| {
            let at = format!("{path}.resource_attributes[{at}]");
            if attribute.key.is_empty() {
                return Err(error(&at, "can't have empty key in the list of attributes"));
            }
            Ok((attribute.key.clone(), wanted(path, &at, &config.match_type, attribute)?))
        });
        entries.collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn matches(&self, resource: &Resource) -> bool {
        self.0.iter().all(|(key, wanted)| {
            let Some(value) = resource.attributes.get(key) else { return false };
            match wanted {
                Wanted::Anything => true,
                Wanted::Equal(wanted) => wanted == value,
                Wanted::Pattern(pattern) => match value {
                    AttributeValue::String(text) => pattern.is_match(text),
                    AttributeValue::Bool(value) => pattern.is_match(&value.to_string()),
                    AttributeValue::Int(value) => pattern.is_match(&value.to_string()),
                    AttributeValue::Double(value) => pattern.is_match(&double_text(*value)),
                    _ => false,
                },
            }
        })
    }
}

fn wanted(
    path: &str,
    at: &str,
    match_type: &str,
    attribute: &AttributeConfig,
) -> Result<Wanted, FilterError> {
    match (match_type, &attribute.value) {
        (_, None) => Ok(Wanted::Anything),
        ("strict", Some(value)) => Ok(Wanted::Equal(value.into())),
        ("regexp", Some(ScalarConfig::Text(pattern))) => {
            let pattern = Pattern::search(pattern)
                .map_err(|cause| error(&format!("{at}.value"), &cause.to_string()))?;
            Ok(Wanted::Pattern(Box::new(pattern)))
        }
        ("regexp", Some(other)) => {
            let (key, found) = (&attribute.key, other.type_name());
            let message = format!("match_type=regexp for {key:?} only supports Str, but found {found}");
            Err(error(&format!("{at}.value"), &message))
        }
        (other, Some(_)) => Err(unknown_type(path, other)),
    }
}
