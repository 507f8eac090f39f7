//! Settings that otelpipe takes and does nothing with.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, Visitor};

/// The type of a key that is accepted, but has no effect.
///
/// Its value is read as a `T`, so that a mistake in it is still found, and forgotten.
/// [`decode`](super::decode::decode) warns at the value, unless it is the zero value of its
/// type (`false`, `0`, nothing) or a section with `enabled: false`, which ask for nothing in
/// upstream's settings either.
pub struct NoEffect<T = IgnoredAny>(PhantomData<T>);

/// What the warning says.
pub const NO_EFFECT: &str = "this setting is accepted, but has no effect in otelpipe";

/// By this name the deserializer of the configuration knows the type.
pub(super) const TYPE_NAME: &str = "otelpipe::NoEffect";

impl<'de, T: Deserialize<'de>> Deserialize<'de> for NoEffect<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forget<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Forget<T> {
            type Value = NoEffect<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a setting")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<NoEffect<T>, D::Error> {
                T::deserialize(inner).map(|_| NoEffect::default())
            }
        }
        deserializer.deserialize_newtype_struct(TYPE_NAME, Forget(PhantomData))
    }
}

impl<T> Default for NoEffect<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T> Clone for NoEffect<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for NoEffect<T> {}

impl<T> fmt::Debug for NoEffect<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoEffect")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde::Deserialize as _;

    use super::*;
    use crate::config::{Leniency, Problems, decode, yaml};

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        #[serde(rename = "size")]
        _size: NoEffect<u16>,
        inner: Inner,
    }

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "names")]
        _names: NoEffect<Vec<String>>,
        #[serde(rename = "anything")]
        _anything: NoEffect,
    }

    /// Whether it can be read, and the problems with their places.
    fn read(text: &str) -> (bool, Vec<String>) {
        let mut problems = Problems::new();
        let node = yaml::parse(text, &Arc::from("c.yaml"), &mut problems).expect("valid YAML");
        let settings: Option<Settings> = decode(&node, "x", Leniency::Strict, &mut problems);
        let line = |problem: &crate::config::Problem| {
            let column = problem.span.as_ref().map_or(0, |span| span.column);
            format!("{column} {}: {}", problem.path, problem.message)
        };
        (settings.is_some(), problems.iter().map(line).collect())
    }

    #[test]
    fn what_is_set_without_effect_is_a_warning_at_its_place() {
        assert_eq!(read("{size: 5}"), (true, vec![format!("8 x::size: {NO_EFFECT}")]));
        let both =
            [format!("17 x::inner::names: {NO_EFFECT}"), format!("32 x::inner::anything: {NO_EFFECT}")];
        assert_eq!(read("{inner: {names: [a], anything: {b: 1}}}"), (true, both.to_vec()));
    }

    #[test]
    fn zero_values_ask_for_nothing() {
        assert_eq!(read("{size: 0, inner: {names: [], anything: {}}}"), (true, vec![]));
        assert_eq!(read("{size: , inner: {names: , anything: false}}"), (true, vec![]));
        assert_eq!(read("{inner: {anything: {enabled: false, initial: 5}}}"), (true, vec![]));
        let on = read("{inner: {anything: {enabled: true}}}");
        assert_eq!(on, (true, vec![format!("20 x::inner::anything: {NO_EFFECT}")]));
    }

    #[test]
    fn a_mistake_in_it_is_an_error_as_everywhere() {
        let (is_good, problems) = read("{size: 5, inner: {names: {a: b}}}");
        assert!(!is_good);
        assert_eq!(
            problems,
            [&format!("8 x::size: {NO_EFFECT}"), "26 x::inner::names: expected a list, found a map"]
        );
    }

    #[test]
    fn another_deserializer_reads_it_as_well() {
        let value: serde_json::Value = serde_json::json!(["a"]);
        assert!(NoEffect::<Vec<String>>::deserialize(value.clone()).is_ok());
        assert!(NoEffect::<bool>::deserialize(value).is_err());
    }
}
