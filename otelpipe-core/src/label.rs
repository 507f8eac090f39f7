//! Labels: the pairs of strings that name a Prometheus series.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use smallvec::SmallVec;

/// The label that holds the metric name.
pub const METRIC_NAME: &str = "__name__";

/// The most labels that are searched one by one.
const SHORT: usize = 32;

/// One label, borrowed or owned. Ordered by name, then value.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Label<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its value.
    pub value: Cow<'a, str>,
}

/// Labels sorted by name (byte order), no name twice, no empty value.
///
/// Up to 16 labels live inside the value itself. Names and values borrow from
/// where they came from (an exposition, a target) until a rule writes new ones.
///
/// ```
/// use otelpipe_core::label::LabelSet;
///
/// let mut labels = LabelSet::new();
/// labels.set("pod", "web-1");
/// labels.set("container", "app");
/// assert_eq!(labels.to_string(), r#"{container="app", pod="web-1"}"#);
/// labels.set("pod", ""); // an empty value means "no such label"
/// assert_eq!(labels.get("pod"), None);
/// ```
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct LabelSet<'a>(SmallVec<[Label<'a>; 16]>);

impl<'a> LabelSet<'a> {
    /// No labels. Does not allocate.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of `name`, `None` if there is no such label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.position(name).map(|at| &*self.0[at].value)
    }

    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let (name, value) = (name.into(), value.into());
        match self.position(&name) {
            Some(at) if value.is_empty() => drop(self.0.remove(at)),
            Some(at) => self.0[at].value = value,
            None if value.is_empty() => {}
            None => {
                let (Ok(at) | Err(at)) = self.find(&name);
                self.0.insert(at, Label { name, value });
            }
        }
    }

    /// Removes a label and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<Cow<'a, str>> {
        self.position(name).map(|at| self.0.remove(at).value)
    }

    /// Keeps the labels for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&Label<'a>) -> bool) {
        self.0.retain(|label| keep(label));
    }

    /// The labels, sorted by name.
    pub fn iter(&self) -> core::slice::Iter<'_, Label<'a>> {
        self.0.iter()
    }

    /// Removes all labels, keeps the room.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The same labels with every text owned. Allocates for each borrowed text.
    pub fn into_owned(self) -> LabelSet<'static> {
        let owned = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        LabelSet(self.0.into_iter().map(|l| Label { name: owned(l.name), value: owned(l.value) }).collect())
    }

    /// Where the label is. In a short list looking at every length is quicker than a
    /// binary search, which must read the text of each name that it compares with.
    fn position(&self, name: &str) -> Option<usize> {
        if self.0.len() > SHORT {
            return self.find(name).ok();
        }
        self.0.iter().position(|label| label.name == name)
    }

    /// Where the label is, or where it would have to be.
    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|label| (*label.name).cmp(name))
    }
}

impl<'s, 'a> IntoIterator for &'s LabelSet<'a> {
    type Item = &'s Label<'a>;
    type IntoIter = core::slice::Iter<'s, Label<'a>>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Later labels of one name win; empty values are left out.
impl<'a, N: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>> FromIterator<(N, V)> for LabelSet<'a> {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut set = Self::new();
        for (name, value) in pairs {
            set.set(name, value);
        }
        set
    }
}

/// As Prometheus writes label sets: `{a="1", b="2"}`.
impl fmt::Display for LabelSet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, label) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{}={:?}", label.name, label.value)?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for LabelSet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which names are allowed for metrics and labels.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum NameValidation {
    /// Any text that is not empty (Prometheus 3).
    #[default]
    Utf8,
    /// `[A-Za-z_][A-Za-z0-9_]*`, metric names with `:` too (before Prometheus 3).
    Legacy,
}

impl NameValidation {
    /// Whether `name` may name a label.
    ///
    /// ```
    /// use otelpipe_core::label::NameValidation::{Legacy, Utf8};
    /// assert!(Utf8.allows_label("http.method") && !Legacy.allows_label("http.method"));
    /// assert!(!Utf8.allows_label(""));
    /// ```
    pub fn allows_label(self, name: &str) -> bool {
        !name.is_empty() && (self == Self::Utf8 || is_legacy(name, false))
    }

    /// Whether `name` may name a metric.
    pub fn allows_metric(self, name: &str) -> bool {
        !name.is_empty() && (self == Self::Utf8 || is_legacy(name, true))
    }
}

fn is_legacy(name: &str, colon: bool) -> bool {
    name.bytes().enumerate().all(|(at, byte)| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => true,
        b'0'..=b'9' => at > 0,
        b':' => colon,
        _ => false,
    })
}

/// Replaces every character outside `[A-Za-z0-9_]` by `_`: how discovery makes label
/// names of annotations and tags.
///
/// ```
/// assert_eq!(otelpipe_core::label::sanitize("eks.amazonaws.com/role"), "eks_amazonaws_com_role");
/// ```
pub fn sanitize(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn labels_stay_sorted_and_unique() {
        let set: LabelSet<'_> = [("b", "2"), ("a", "1"), ("b", "3"), ("c", "")].into_iter().collect();
        assert_eq!(set.to_string(), r#"{a="1", b="3"}"#);
    }

    #[test]
    fn long_and_short_sets_find_the_same() {
        for count in [SHORT - 1, SHORT, SHORT + 1, 3 * SHORT] {
            let names: alloc::vec::Vec<_> = (0..count).map(|n| (n * 7 % count).to_string()).collect();
            let mut set: LabelSet<'_> = names.iter().map(|name| (&**name, &**name)).collect();
            assert_eq!(set.get("x"), None);
            for name in &names {
                assert_eq!(set.get(name), Some(&**name));
            }
            assert!(set.iter().is_sorted());
            let expected = set.len() - 1;
            assert_eq!(set.remove("1").as_deref(), Some("1"));
            assert_eq!((set.get("1"), set.len()), (None, expected));
        }
    }

    #[test]
    fn legacy_names_start_with_a_letter_or_underscore() {
        assert!(NameValidation::Legacy.allows_label("_a1"));
        assert!(!NameValidation::Legacy.allows_label("1a"));
        assert!(!NameValidation::Legacy.allows_label("a:b"));
        assert!(NameValidation::Legacy.allows_metric("a:b"));
    }
}
