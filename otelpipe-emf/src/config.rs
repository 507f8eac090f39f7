//! What a user writes under `awsemf:`, and what can be wrong with it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::unit::UNITS;

/// Days that CloudWatch Logs can keep a group's events; 0 is "for ever".
pub const RETENTION_DAYS: [i64; 22] =
    [0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 2192, 2557, 2922, 3288, 3653];

/// The keys of the `awsemf` exporter that say what is written and where to.
///
/// The keys of the AWS session (`region`, `endpoint`, `role_arn`, `max_retries`, …) are
/// the caller's; [`EmfConfig::KEYS`] tells the two apart.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct EmfConfig {
    /// Log group; default `""`, which means `/metrics/` and the namespace. May hold placeholders.
    pub log_group_name: String,
    /// Log stream; default `""`, which means the caller's default stream. May hold placeholders.
    pub log_stream_name: String,
    /// CloudWatch namespace; default `""`, which means `service.namespace/service.name` of the resource.
    pub namespace: String,
    /// `ZeroAndSingleDimensionRollup` (default), `SingleDimensionRollupOnly` or `NoDimensionRollup`.
    pub dimension_rollup_option: String,
    /// Which metrics are extracted, by which dimensions. Default none: all, by all labels.
    pub metric_declarations: Vec<MetricDeclarationConfig>,
    /// Units of metrics by name. Default none.
    pub metric_descriptors: Vec<MetricDescriptorConfig>,
    /// Labels whose text stands in the document as the JSON it is. Default none.
    pub parse_json_encoded_attr_values: Vec<String>,
    /// Whether resource attributes become labels.
    pub resource_to_telemetry_conversion: ResourceToTelemetryConfig,
    /// Adds the `kubernetes` object to points of pods and containers. Default false.
    pub eks_fargate_container_insights_enabled: bool,
    /// `cloudwatch` (default) or `stdout`, in any case.
    pub output_destination: String,
    /// Writes a summary as one metric per quantile, a sum and a count. Default false.
    pub detailed_metrics: bool,
    /// Shape of the envelope, `"1"` (default) or `"0"`.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "text_or_number"))]
    pub version: String,
    /// Exports the first value of a cumulative series as it is. Default false.
    pub retain_initial_value_of_delta_metric: bool,
    /// Days to keep a log group that the exporter itself creates, one of [`RETENTION_DAYS`]. Default 0.
    pub log_retention: i64,
    /// Tags of a log group that the exporter itself creates. Default none.
    pub tags: Option<BTreeMap<String, String>>,
}

/// Which metrics are extracted from the log into CloudWatch, and by which dimensions.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct MetricDeclarationConfig {
    /// Dimension sets; one counts if the point has all its labels. Default none.
    pub dimensions: Vec<Vec<String>>,
    /// Patterns, one of which is found in the metric's name. At least one.
    pub metric_name_selectors: Vec<String>,
    /// Conditions on labels, one of which must hold. Default none: any labels.
    pub label_matchers: Vec<LabelMatcherConfig>,
}

/// A condition on labels.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct LabelMatcherConfig {
    /// Labels whose values are joined, in this order. At least one.
    pub label_names: Vec<String>,
    /// What stands between the values; `""` and the default mean `;`.
    pub separator: String,
    /// Pattern that is to be found in the joined text.
    pub regex: String,
}

/// Unit of a metric.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct MetricDescriptorConfig {
    /// Exact name of the metric.
    pub metric_name: String,
    /// One of [`UNITS`].
    pub unit: String,
    /// Whether it replaces a unit that the metric already has. Default false.
    pub overwrite: bool,
}

/// Whether resource attributes become labels of every point.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct ResourceToTelemetryConfig {
    /// Copies them, over labels of the same name. Default false.
    pub enabled: bool,
    /// Leaves out `service.name`, `service.namespace` and `service.instance.id`. Default false.
    pub exclude_service_attributes: bool,
}

impl Default for EmfConfig {
    fn default() -> Self {
        Self {
            log_group_name: String::new(),
            log_stream_name: String::new(),
            namespace: String::new(),
            dimension_rollup_option: "ZeroAndSingleDimensionRollup".to_string(),
            metric_declarations: Vec::new(),
            metric_descriptors: Vec::new(),
            parse_json_encoded_attr_values: Vec::new(),
            resource_to_telemetry_conversion: ResourceToTelemetryConfig::default(),
            eks_fargate_container_insights_enabled: false,
            output_destination: "cloudwatch".to_string(),
            detailed_metrics: false,
            version: "1".to_string(),
            retain_initial_value_of_delta_metric: false,
            log_retention: 0,
            tags: None,
        }
    }
}

impl EmfConfig {
    /// The keys of this struct, sorted, for a caller that reads its own from the same map.
    pub const KEYS: [&str; 15] = [
        "detailed_metrics",
        "dimension_rollup_option",
        "eks_fargate_container_insights_enabled",
        "log_group_name",
        "log_retention",
        "log_stream_name",
        "metric_declarations",
        "metric_descriptors",
        "namespace",
        "output_destination",
        "parse_json_encoded_attr_values",
        "resource_to_telemetry_conversion",
        "retain_initial_value_of_delta_metric",
        "tags",
        "version",
    ];

    /// What the user agent says about this exporter, for `otelpipe/1.0 (…)`: `awsemf`,
    /// with `; AppSignals` or `; ContainerInsights` where the configured names say so.
    ///
    /// ```
    /// let mut config = otelpipe_emf::config::EmfConfig::default();
    /// config.log_group_name = "/aws/containerinsights/{ClusterName}/performance".into();
    /// assert_eq!(config.user_agent_comment(), "awsemf; ContainerInsights");
    /// ```
    pub fn user_agent_comment(&self) -> &'static str {
        let group = self.log_group_name.as_str();
        let signals =
            self.namespace == "ApplicationSignals" && group.starts_with("/aws/application-signals/");
        // ^/aws/.*containerinsights/.*/(performance|prometheus)$
        let insights = ["/performance", "/prometheus"]
            .iter()
            .filter_map(|end| group.strip_prefix("/aws/")?.strip_suffix(end))
            .any(|middle| middle.contains("containerinsights/"));
        match (signals, insights) {
            (false, false) => "awsemf",
            (true, false) => "awsemf; AppSignals",
            (false, true) => "awsemf; ContainerInsights",
            (true, true) => "awsemf; AppSignals; ContainerInsights",
        }
    }

    /// Errors of the keys about new log groups, and warnings about keys that have no effect.
    pub(crate) fn check(&self, errors: &mut Vec<EmfConfigError>, warnings: &mut Vec<EmfWarning>) {
        if !RETENTION_DAYS.contains(&self.log_retention) {
            errors.push(EmfConfigError {
                path: "log_retention".into(),
                message: format!(
                    "invalid value for retention policy: {} is not one of {:?}",
                    self.log_retention, RETENTION_DAYS
                ),
            });
        }
        if let Some(tags) = &self.tags {
            check_tags(tags, errors);
        }
        for (at, descriptor) in self.metric_descriptors.iter().enumerate() {
            if descriptor.metric_name.is_empty() {
                warnings.push(EmfWarning {
                    path: format!("metric_descriptors[{at}].metric_name"),
                    message: "a descriptor without a metric name has no effect".into(),
                });
            } else if !UNITS.contains(&descriptor.unit.as_str()) {
                warnings.push(EmfWarning {
                    path: format!("metric_descriptors[{at}].unit"),
                    message: format!(
                        "{:?} is not a unit of CloudWatch, so the descriptor has no effect",
                        descriptor.unit
                    ),
                });
            }
        }
    }
}

/// A value of the configuration that cannot be run.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct EmfConfigError {
    /// Where in the exporter's map, such as `metric_declarations[0].metric_name_selectors[1]`.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

/// A value of the configuration that is accepted but has no effect, or another one than
/// its author may expect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EmfWarning {
    /// Where in the exporter's map.
    pub path: String,
    /// What happens instead.
    pub message: String,
}

fn check_tags(tags: &BTreeMap<String, String>, errors: &mut Vec<EmfConfigError>) {
    let mut error = |path: String, message: String| errors.push(EmfConfigError { path, message });
    if tags.is_empty() || tags.len() > 50 {
        error(
            "tags".into(),
            format!("invalid amount of items: {}, must have at least 1 tag and at most 50", tags.len()),
        );
    }
    let allowed = |text: &str| text.chars().all(|c| is_letter_number_separator(c) || "_.:/=+-@".contains(c));
    for (key, value) in tags {
        let path = || format!("tags.{key}");
        if !(1..=128).contains(&key.len()) {
            error(path(), format!("key {key:?} has {} bytes, must have 1 to 128", key.len()));
        } else if !(1..=256).contains(&value.len()) {
            error(path(), format!("value {value:?} has {} bytes, must have 1 to 256", value.len()));
        } else if !allowed(key) {
            error(
                path(),
                format!("key {key:?} has a character other than letters, numbers, spaces and _.:/=+-@"),
            );
        } else if !allowed(value) {
            error(
                path(),
                format!("value {value:?} has a character other than letters, numbers, spaces and _.:/=+-@"),
            );
        }
    }
}

/// `\p{L}`, `\p{N}` and `\p{Z}`, near enough: Rust's alphabetic characters include some
/// marks that stand among letters.
fn is_letter_number_separator(character: char) -> bool {
    let separator = matches!(
        character,
        ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    );
    character.is_alphanumeric() || separator
}

/// Weak typing, as collectors before 0.105 had: `version: 1` means `"1"`.
#[cfg(feature = "serde")]
fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Visitor;
    impl serde::de::Visitor<'_> for Visitor {
        type Value = String;
        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("a text or a whole number")
        }
        fn visit_str<E>(self, text: &str) -> Result<String, E> {
            Ok(text.into())
        }
        fn visit_u64<E>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }
        fn visit_i64<E>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }
    }
    deserializer.deserialize_any(Visitor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(config: &EmfConfig) -> Vec<String> {
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        config.check(&mut errors, &mut warnings);
        errors.iter().map(|error| error.path.clone()).collect()
    }

    fn tags(pairs: &[(&str, &str)]) -> EmfConfig {
        let tags = pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        EmfConfig { tags: Some(tags), ..EmfConfig::default() }
    }

    #[test]
    fn retention_and_tags_are_checked_as_upstream_does() {
        assert_eq!(errors(&EmfConfig::default()), [""; 0]);
        assert_eq!(errors(&EmfConfig { log_retention: 2, ..EmfConfig::default() }), ["log_retention"]);
        assert_eq!(errors(&EmfConfig { log_retention: 3653, ..EmfConfig::default() }), [""; 0]);
        assert_eq!(errors(&tags(&[])), ["tags"]);
        assert_eq!(errors(&tags(&[("a", "")])), ["tags.a"]);
        assert_eq!(errors(&tags(&[("", "a")])), ["tags."]);
        assert_eq!(errors(&tags(&[("a", &"é".repeat(129))])), ["tags.a"]);
        assert_eq!(errors(&tags(&[("a b", "Ü 1_.:/=+-@")])), [""; 0]);
        assert_eq!(errors(&tags(&[("a;", "b"), ("c", "d!")])), ["tags.a;", "tags.c"]);
        let many: Vec<String> = (0..51).map(|at| at.to_string()).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "x")).collect();
        assert_eq!(errors(&tags(&many)), ["tags"]);
    }

    #[test]
    fn the_user_agent_names_container_insights_groups() {
        for (group, namespace, comment) in [
            ("/aws/containerinsights/{ClusterName}/performance", "", "awsemf; ContainerInsights"),
            ("/aws/ecs/containerinsights/c/prometheus", "", "awsemf; ContainerInsights"),
            ("/aws/containerinsights/performance", "", "awsemf"),
            ("/aws/containerinsights/c/other", "", "awsemf"),
            ("/aws/application-signals/data", "ApplicationSignals", "awsemf; AppSignals"),
        ] {
            let config = EmfConfig {
                log_group_name: group.into(),
                namespace: namespace.into(),
                ..EmfConfig::default()
            };
            assert_eq!(config.user_agent_comment(), comment, "{group}");
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn keys_are_spelt_as_in_yaml() {
        let config: EmfConfig = serde_json::from_str(
            r#"{"version": 0, "metric_declarations": [{"dimensions": [["a"]], "metric_name_selectors": ["m"],
                "label_matchers": [{"label_names": ["a"], "regex": "x"}]}],
                "resource_to_telemetry_conversion": {"enabled": true}, "tags": {"k": "v"}}"#,
        )
        .unwrap();
        assert_eq!(config.version, "0");
        assert_eq!(config.metric_declarations[0].label_matchers[0].separator, "");
        let error = serde_json::from_str::<EmfConfig>(r#"{"sending_queue": {}}"#).unwrap_err().to_string();
        assert!(error.starts_with("unknown field `sending_queue`"), "{error}");
        for key in EmfConfig::KEYS {
            assert!(error.contains(key), "{key}");
        }
    }
}
