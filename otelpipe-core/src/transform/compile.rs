//! From what users write to rules that cannot be wrong.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::config::{ActionWord, Choice, MatchType, OperationWord, SubmatchCase};
use super::label::{AddLabel, DeleteLabelValue, KeepLabels, UnifyLabelValues, UpdateLabel};
use super::memo::EditMemo;
use super::rename::NewName;
use super::select::{LabelMatcher, NameMemo, Selection};
use super::{
    Action, Aggregation, Operation, OperationConfig, TransformConfig, TransformError, TransformRule,
    Transforms,
};
use crate::pattern::{Pattern, PatternError};
use crate::shared_str::SharedStr;

impl Transforms {
    /// Compiles the entries of `transforms:`. `version` is what `{{version}}` becomes
    /// in new values: the collector's version.
    ///
    /// # Errors
    ///
    /// The first field that is missing or wrong, in upstream's words, with its path.
    pub fn compile(configs: &[TransformConfig], version: &str) -> Result<Self, TransformError> {
        let compile = |(at, config)| rule(&format!("transforms[{at}]"), config, version);
        let rules = configs.iter().enumerate().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { rules, memo: NameMemo::default(), edits: EditMemo::default() })
    }
}

fn rule(at: &str, config: &TransformConfig, version: &str) -> Result<TransformRule, TransformError> {
    if !config.metric_name.is_empty() && !config.include.is_empty() {
        let message = "\"metric_name\" is the old spelling of \"include\": only one of them can be set";
        return Err(TransformError::new(format!("{at}.metric_name"), message));
    }
    let match_type = MatchType::parse_optional(at, "match_type", &config.match_type)?;
    let (include, match_type) = match (&*config.include, &*config.metric_name) {
        ("", "") => return Err(TransformError::missing(at, "include", "")),
        ("", name) => (name, MatchType::Strict),
        (include, _) => (include, match_type.unwrap_or(MatchType::Strict)),
    };
    SubmatchCase::parse_optional(at, "submatch_case", &config.submatch_case)?;
    let aggregation = Aggregation::parse_optional(at, "aggregation_type", &config.aggregation_type)?;
    let action = action(at, config, match_type, aggregation)?;
    let operations = config
        .operations
        .iter()
        .enumerate()
        .map(|(index, config)| operation(&format!("{at}.operations[{index}]"), index, config, version))
        .collect::<Result<_, _>>()?;
    let selection = selection(at, config, include, match_type)?;
    Ok(TransformRule { selection, action, operations })
}

fn action(
    at: &str,
    config: &TransformConfig,
    match_type: MatchType,
    aggregation: Option<Aggregation>,
) -> Result<Action, TransformError> {
    let missing = |field| TransformError::missing(at, field, &config.action);
    let new_name = NewName::compile(&config.new_name, match_type == MatchType::Regexp);
    Ok(match ActionWord::parse(at, "action", &config.action)? {
        ActionWord::Insert => Action::Insert { new_name: new_name.ok_or_else(|| missing("new_name"))? },
        ActionWord::Update => Action::Update { new_name },
        ActionWord::Combine if new_name.is_none() => return Err(missing("new_name")),
        ActionWord::Combine => Action::Combine {
            new_name: config.new_name.as_str().into(),
            aggregation: aggregation.ok_or_else(|| missing("aggregation_type"))?,
        },
        ActionWord::Group => {
            let labels = config.group_resource_labels.as_ref();
            let labels = labels.ok_or_else(|| missing("group_resource_labels"))?;
            Action::Group { resource_labels: labels.iter().map(|(k, v)| (shared(k), shared(v))).collect() }
        }
    })
}

fn selection(
    at: &str,
    config: &TransformConfig,
    include: &str,
    match_type: MatchType,
) -> Result<Selection, TransformError> {
    let pattern = |text: &str| match match_type {
        MatchType::Strict => Ok(Pattern::strict(text)),
        MatchType::Regexp => Pattern::search(text),
    };
    let include = pattern(include)
        .map_err(|error| TransformError::new(format!("{at}.include"), format!("\"include\", {error}")))?;
    let matcher = |(label, value): (&String, &String)| {
        let wrong = |error: PatternError| {
            TransformError::new(format!("{at}.experimental_match_labels.{label}"), error.to_string())
        };
        Ok(LabelMatcher { label: shared(label), value: pattern(value).map_err(wrong)? })
    };
    let labels = config.experimental_match_labels.iter().map(matcher).collect::<Result<_, _>>()?;
    Ok(Selection { include, labels })
}

fn operation(
    at: &str,
    index: usize,
    config: &OperationConfig,
    version: &str,
) -> Result<Operation, TransformError> {
    let numbered = |error: TransformError| {
        TransformError::new(error.path, format!("operation {}: {}", index + 1, error.message))
    };
    compile_operation(at, config, version).map_err(numbered)
}

fn compile_operation(at: &str, config: &OperationConfig, version: &str) -> Result<Operation, TransformError> {
    let missing = |field| TransformError::missing(at, field, &config.action);
    let required = |field, text: &str| if text.is_empty() { Err(missing(field)) } else { Ok(shared(text)) };
    let versioned = |text: &str| SharedStr::from(text.replace("{{version}}", version));
    let word = OperationWord::parse(at, "action", &config.action)?;
    let aggregation = Aggregation::parse_optional(at, "aggregation_type", &config.aggregation_type)?;
    Ok(match word {
        OperationWord::AddLabel => {
            let label = required("new_label", &config.new_label)?;
            required("new_value", &config.new_value)?;
            Operation::AddLabel(AddLabel { label, value: versioned(&config.new_value) })
        }
        OperationWord::UpdateLabel => Operation::UpdateLabel(UpdateLabel {
            label: required("label", &config.label)?,
            new_label: (!config.new_label.is_empty()).then(|| shared(&config.new_label)),
            values: config
                .value_actions
                .iter()
                .map(|v| (shared(&v.value), versioned(&v.new_value)))
                .collect(),
        }),
        OperationWord::DeleteLabelValue => Operation::DeleteLabelValue(DeleteLabelValue {
            label: shared(&config.label),
            value: shared(&config.label_value),
        }),
        OperationWord::ToggleScalarDataType => Operation::ToggleScalarDataType,
        OperationWord::ScaleValue if config.experimental_scale == 0.0 => {
            return Err(missing("experimental_scale"));
        }
        OperationWord::ScaleValue => Operation::ScaleValue(config.experimental_scale),
        OperationWord::AggregateLabels => {
            Operation::AggregateLabels(KeepLabels { labels: shared_list(&config.label_set) }, aggregation)
        }
        OperationWord::AggregateLabelValues => {
            let unify = UnifyLabelValues {
                label: shared(&config.label),
                values: shared_list(&config.aggregated_values),
                new_value: versioned(&config.new_value),
            };
            Operation::AggregateLabelValues(unify, aggregation)
        }
    })
}

fn shared(text: &str) -> SharedStr {
    text.into()
}

fn shared_list(texts: &[String]) -> Vec<SharedStr> {
    texts.iter().map(|text| shared(text)).collect()
}
