//! Placeholders such as `{PodName}` in names of log groups and streams.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// What stands for a placeholder without a value.
pub(crate) const UNDEFINED: &str = "undefined";

/// The placeholders and the attributes that they stand for: the first is named like
/// the placeholder itself, the second is tried when the first is missing.
///
/// Source: `patternKeyToAttributeMap` in `exporter/awsemfexporter/util.go`.
const PLACEHOLDERS: [(&str, &str); 7] = [
    ("ClusterName", "aws.ecs.cluster.name"),
    ("TaskId", "aws.ecs.task.id"),
    ("NodeName", "k8s.node.name"),
    ("PodName", "pod"),
    ("ServiceName", "service.name"),
    ("ContainerInstanceId", "aws.ecs.container.instance.id"),
    ("TaskDefinitionFamily", "aws.ecs.task.family"),
];

/// Values by attribute name, as text.
pub(crate) trait Lookup {
    /// The text of `name`, `None` if there is no such attribute.
    fn text(&self, name: &str) -> Option<Cow<'_, str>>;
}

/// A configured name, cut at its placeholders.
#[derive(Clone, Debug)]
pub(crate) struct NameTemplate {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Literal(String),
    /// Index into [`PLACEHOLDERS`].
    Placeholder(usize),
}

impl NameTemplate {
    /// Any other text in braces stays as it is.
    pub(crate) fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            let known = PLACEHOLDERS.iter().enumerate().find_map(|(at, (name, _))| {
                let after = rest.strip_prefix('{')?.strip_prefix(name)?.strip_prefix('}')?;
                Some((at, after))
            });
            if let Some((at, after)) = known {
                if !literal.is_empty() {
                    parts.push(Part::Literal(core::mem::take(&mut literal)));
                }
                parts.push(Part::Placeholder(at));
                rest = after;
            } else {
                literal.push(character);
                rest = rest.strip_prefix(character).unwrap_or_default();
            }
        }
        if !literal.is_empty() || parts.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Self { parts }
    }

    /// Appends the name. For each placeholder the first of `sources` that has a value
    /// answers; without any it becomes `undefined`. Returns whether all have a value.
    ///
    /// A value that looks like a placeholder is not replaced again: upstream's order is
    /// random there.
    pub(crate) fn write(&self, sources: &[&dyn Lookup], out: &mut String) -> bool {
        let mut complete = true;
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Placeholder(at) => {
                    let value = sources.iter().find_map(|source| value(*source, *at));
                    complete &= value.is_some();
                    out.push_str(value.as_deref().unwrap_or(UNDEFINED));
                }
            }
        }
        complete
    }
}

/// An attribute that is there but empty hides the second name, as upstream.
fn value(source: &dyn Lookup, at: usize) -> Option<Cow<'_, str>> {
    let (first, second) = PLACEHOLDERS[at];
    source.text(first).or_else(|| source.text(second)).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Lookup for &[(&str, &str)] {
        fn text(&self, name: &str) -> Option<Cow<'_, str>> {
            self.iter().find(|(key, _)| *key == name).map(|(_, value)| Cow::Borrowed(*value))
        }
    }

    #[track_caller]
    fn check(template: &str, attributes: &[(&str, &str)], name: &str, complete: bool) {
        let mut out = String::new();
        assert_eq!(NameTemplate::parse(template).write(&[&attributes], &mut out), complete, "{template}");
        assert_eq!(out, name);
    }

    #[test]
    fn placeholders_take_the_first_name_then_the_second() {
        check("{TaskId}", &[("TaskId", "7")], "7", true);
        check("{TaskId}", &[("aws.ecs.task.id", "t")], "t", true);
        check("{TaskId}", &[("TaskId", ""), ("aws.ecs.task.id", "t")], "undefined", false);
        check("{Foo}-{TaskId}", &[("TaskId", "7"), ("Foo", "x")], "{Foo}-7", true);
        check("a{PodName}b{PodName}{{NodeName}}", &[("pod", "p"), ("k8s.node.name", "n")], "apbp{n}", true);
        check("{JobName}é{", &[], "{JobName}é{", true);
        for (first, second) in PLACEHOLDERS {
            let template = alloc::format!("/x/{{{first}}}");
            check(&template, &[(second, "2")], "/x/2", true);
            check(&template, &[(second, "2"), (first, "1")], "/x/1", true);
        }
    }
}
