//! Relabel rules as users write them.

use alloc::string::String;
use alloc::vec::Vec;

/// One entry of `relabel_configs` or `metric_relabel_configs`.
///
/// Keys that were not written are `None`, because an absent `regex`, `separator` or
/// `replacement` means something else than an empty one.
///
/// Source: Prometheus `model/relabel/relabel.go`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct RelabelConfig {
    /// Labels whose values are joined into the source value. Default: none, which
    /// makes the source value empty.
    pub source_labels: Vec<String>,
    /// What joins the source values. Absent or null: `;`.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "text::or_absent"))]
    pub separator: Option<String>,
    /// The pattern that the source value (or a label's name) must match as a whole.
    /// Absent: `(.*)`. A null is the empty pattern, as in Prometheus.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "text::or_empty"))]
    pub regex: Option<String>,
    /// Divisor of `hashmod`. Default: 0, which `hashmod` refuses.
    pub modulus: u64,
    /// The label to write or to compare with. Default: none.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "text::or_default"))]
    pub target_label: String,
    /// What to write, with references to groups. Absent or null: `$1`.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "text::or_absent"))]
    pub replacement: Option<String>,
    /// What to do, in any case (`replace`, `Keep`, …). Absent: `replace`.
    pub action: Option<String>,
}

impl RelabelConfig {
    /// The rule as the collector's `prometheus` receiver runs it: an empty
    /// `separator` or `replacement` counts as absent.
    ///
    /// The receiver of contrib v0.156 writes its configuration out and loads it again,
    /// and the Prometheus library in it leaves out these keys when they are empty.
    #[must_use]
    pub fn as_collector(mut self) -> Self {
        self.separator = self.separator.filter(|text| !text.is_empty());
        self.replacement = self.replacement.filter(|text| !text.is_empty());
        self
    }
}

/// Texts that YAML may have read as a number or a truth value.
#[cfg(feature = "serde")]
mod text {
    use super::String;
    use alloc::format;
    use alloc::string::ToString;
    use core::fmt;

    use serde::Deserializer;
    use serde::de::{Error, Visitor};

    /// Null is `None`.
    pub(super) fn or_absent<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
        from.deserialize_any(Text)
    }

    /// Null is the empty text.
    pub(super) fn or_empty<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
        or_default(from).map(Some)
    }

    /// Null is the empty text.
    pub(super) fn or_default<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
        Ok(from.deserialize_any(Text)?.unwrap_or_default())
    }

    struct Text;

    impl<'de> Visitor<'de> for Text {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(text.into()))
        }

        fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
            Ok(Some(value.to_string()))
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
            Ok(Some(value.to_string()))
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
            Ok(Some(value.to_string()))
        }

        fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
            Ok(Some(format!("{value:?}"))) // `1e3` arrives as `1000.0` upstream too
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
            from.deserialize_any(self)
        }
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::*;

    #[track_caller]
    fn read(json: &str) -> RelabelConfig {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn absent_null_and_empty_are_told_apart() {
        let absent = read("{}");
        assert_eq!(absent, RelabelConfig::default());
        let null = read(r#"{"regex": null, "separator": null, "replacement": null, "action": null}"#);
        assert_eq!(null, RelabelConfig { regex: Some(String::new()), ..RelabelConfig::default() });
        let empty = read(r#"{"regex": "", "separator": "", "replacement": ""}"#);
        let some = Some(String::new());
        assert_eq!((&empty.regex, &empty.separator, &empty.replacement), (&some, &some, &some));
        let collector = empty.as_collector();
        assert_eq!((&collector.regex, &collector.separator, &collector.replacement), (&some, &None, &None));
    }

    #[test]
    fn numbers_and_truth_values_are_texts() {
        let read = read(r#"{"regex": true, "separator": 1, "replacement": 1.5, "target_label": 1000.0}"#);
        assert_eq!(read.regex.as_deref(), Some("true"));
        assert_eq!(read.separator.as_deref(), Some("1"));
        assert_eq!(read.replacement.as_deref(), Some("1.5"));
        assert_eq!(read.target_label, "1000.0");
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = serde_json::from_str::<RelabelConfig>(r#"{"source_label": []}"#).expect_err("unknown");
        assert!(alloc::string::ToString::to_string(&error).contains("unknown field `source_label`"));
    }
}
