//! The labels of one point: collected from where they come from, sorted once.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use otelpipe_core::attributes::Attributes;
use otelpipe_core::label::METRIC_NAME;
use otelpipe_core::resource::{Resource, Scope};
use otelpipe_core::value::AttributeValue;

use super::config::Translator;
use crate::normalize::{LabelNamer, NameError};

/// Who wins when two labels have one name: the first of these.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Rank {
    /// `otel_scope_*`.
    Scope,
    /// `job` and `instance`.
    Target,
    /// Attributes of the point, and of the resource when they are copied to it. Values
    /// of names that become equal are joined.
    Point,
    /// External labels fill gaps only.
    External,
}

/// Labels that all points of a scope have, owned, with names as they are sent.
#[derive(Debug, Default)]
pub(super) struct BaseLabels {
    labels: Vec<BaseLabel>,
    /// Why each point of this resource is refused.
    error: Option<NameError>,
}

#[derive(Debug)]
struct BaseLabel {
    name: String,
    value: String,
    /// The attribute's own name, by which joined values are ordered.
    key: String,
    rank: Rank,
}

/// What the resource says about itself, in labels.
#[derive(Clone, Debug, Default)]
pub(super) struct TargetLabels {
    pub(super) job: String,
    pub(super) instance: String,
}

impl TargetLabels {
    pub(super) fn of(resource: &Resource) -> Self {
        let text = |key: &str| {
            let mut out = String::new();
            resource.attributes.get(key).map(|value| {
                value.write_text(&mut out);
                out
            })
        };
        let job = match (text(SERVICE_NAME), text(SERVICE_NAMESPACE)) {
            (Some(name), Some(namespace)) => namespace + "/" + &name,
            (name, _) => name.unwrap_or_default(),
        };
        Self { job, instance: text(SERVICE_INSTANCE_ID).unwrap_or_default() }
    }
}

impl BaseLabels {
    pub(super) fn of(
        translator: &Translator,
        resource: &Resource,
        target: &TargetLabels,
        scope: &Scope,
    ) -> Self {
        let mut base = Self::default();
        let owned = |text: &str| String::from(text);
        for (name, value) in &translator.external_labels {
            base.push(owned(name), value.clone(), Rank::External);
        }
        for (name, value) in [("job", &target.job), ("instance", &target.instance)] {
            if !value.is_empty() {
                base.push(owned(name), value.clone(), Rank::Target);
            }
        }
        if translator.resource_to_telemetry.enabled {
            base.add_resource(translator, resource);
        }
        if translator.scope_info {
            base.add_scope(translator, scope);
        }
        base
    }

    fn push(&mut self, name: String, value: String, rank: Rank) {
        self.labels.push(BaseLabel { name, value, key: String::new(), rank });
    }

    fn add_resource(&mut self, translator: &Translator, resource: &Resource) {
        for (key, value) in &resource.attributes {
            let (mut name, mut text) = (String::new(), String::new());
            value.write_text(&mut text);
            if !copies(translator, key) || text.is_empty() {
                continue;
            }
            match translator.labels.write(key, &mut name) {
                Ok(()) => self.labels.push(BaseLabel {
                    name,
                    value: text,
                    key: String::from(key.as_str()),
                    rank: Rank::Point,
                }),
                Err(error) => self.error = Some(error),
            }
        }
    }

    fn add_scope(&mut self, translator: &Translator, scope: &Scope) {
        for (name, value) in [("otel_scope_name", &scope.name), ("otel_scope_version", &scope.version)] {
            if !value.is_empty() {
                self.push(name.into(), String::from(value.as_str()), Rank::Scope);
            }
        }
        for (key, value) in &scope.attributes {
            if matches!(key.as_str(), "name" | "version" | "schema_url") {
                continue;
            }
            let (mut name, mut text) = (String::new(), String::new());
            value.write_text(&mut text);
            if text.is_empty() && !translator.options.empty_scope_labels {
                continue;
            }
            match translator.labels.write(&(String::from("otel_scope_") + key), &mut name) {
                Ok(()) => self.push(name, text, Rank::Scope),
                Err(error) => self.error = Some(error),
            }
        }
    }
}

fn copies(translator: &Translator, key: &str) -> bool {
    let is_service = matches!(key, SERVICE_NAME | SERVICE_NAMESPACE | SERVICE_INSTANCE_ID);
    !(translator.resource_to_telemetry.exclude_service_attributes && is_service)
}

/// The labels of `target_info`; `None` if the resource has none.
pub(super) fn target_info_labels<'b>(
    namer: LabelNamer,
    resource: &'b Resource,
    target: &'b TargetLabels,
    external: &'b [(String, String)],
) -> Result<Option<PointLabels<'b>>, NameError> {
    let is_own = |key: &str| !matches!(key, SERVICE_NAME | SERVICE_NAMESPACE | SERVICE_INSTANCE_ID);
    let has_own = resource.attributes.iter().any(|(key, _)| is_own(key));
    if !has_own || (target.job.is_empty() && target.instance.is_empty()) {
        return Ok(None);
    }
    let mut labels = PointLabels::default();
    for (key, value) in &resource.attributes {
        if is_own(key) {
            labels.add_attribute(namer, key, value)?;
        }
    }
    for (name, value) in [("job", &target.job), ("instance", &target.instance)] {
        if !value.is_empty() {
            labels.add(name, value, "", Rank::Target);
        }
    }
    for (name, value) in external {
        labels.add(name, value, "", Rank::External);
    }
    labels.sort();
    Ok(Some(labels))
}

/// A name or value: borrowed from the batch, or a piece of the scratch text.
#[derive(Clone, Debug)]
enum Text<'b> {
    Borrowed(&'b str),
    Scratch(Range<usize>),
}

impl Text<'_> {
    fn resolve<'s>(&'s self, scratch: &'s str) -> &'s str {
        match self {
            Self::Borrowed(text) => text,
            Self::Scratch(range) => scratch.get(range.clone()).unwrap_or_default(),
        }
    }
}

#[derive(Debug)]
struct Entry<'b> {
    name: Text<'b>,
    value: Text<'b>,
    key: &'b str,
    rank: Rank,
}

/// The labels of one point, without `__name__`. Used again for the next point.
#[derive(Debug, Default)]
pub(super) struct PointLabels<'b> {
    entries: Vec<Entry<'b>>,
    scratch: String,
}

impl<'b> PointLabels<'b> {
    /// Replaces the labels by those of a point.
    pub(super) fn collect(
        &mut self,
        translator: &Translator,
        base: &'b BaseLabels,
        resource: &Resource,
        attributes: &'b Attributes,
    ) -> Result<(), NameError> {
        self.entries.clear();
        self.scratch.clear();
        let copies_resource = translator.resource_to_telemetry.enabled;
        for (key, value) in attributes {
            // The resource's attribute of that name takes its place.
            let is_overwritten =
                copies_resource && copies(translator, key) && resource.attributes.get(key).is_some();
            if !is_overwritten {
                self.add_attribute(translator.labels, key, value)?;
            }
        }
        if let Some(error) = &base.error {
            return Err(error.clone());
        }
        for label in &base.labels {
            self.add(&label.name, &label.value, &label.key, label.rank);
        }
        self.sort();
        Ok(())
    }

    fn add_attribute(
        &mut self,
        namer: LabelNamer,
        key: &'b str,
        value: &'b AttributeValue,
    ) -> Result<(), NameError> {
        let value = match value {
            AttributeValue::String(text) => Text::Borrowed(text),
            other => {
                let start = self.scratch.len();
                other.write_text(&mut self.scratch);
                Text::Scratch(start..self.scratch.len())
            }
        };
        if value.resolve(&self.scratch).is_empty() {
            return Ok(());
        }
        let name = if namer.is_good(key) {
            Text::Borrowed(key)
        } else {
            let start = self.scratch.len();
            namer.write(key, &mut self.scratch)?;
            Text::Scratch(start..self.scratch.len())
        };
        self.entries.push(Entry { name, value, key, rank: Rank::Point });
        Ok(())
    }

    fn add(&mut self, name: &'b str, value: &'b str, key: &'b str, rank: Rank) {
        self.entries.push(Entry { name: Text::Borrowed(name), value: Text::Borrowed(value), key, rank });
    }

    fn sort(&mut self) {
        let Self { entries, scratch } = self;
        entries.sort_unstable_by(|a, b| {
            let by_name = a.name.resolve(scratch).cmp(b.name.resolve(scratch));
            by_name.then_with(|| (a.rank, a.key).cmp(&(b.rank, b.key)))
        });
        entries.dedup_by(|later, first| {
            if later.name.resolve(scratch) != first.name.resolve(scratch) {
                return false;
            }
            let both_of_point = (later.rank, first.rank) == (Rank::Point, Rank::Point);
            if both_of_point && later.value.resolve(scratch) != first.value.resolve(scratch) {
                let mut joined = String::from(first.value.resolve(scratch));
                joined.push(';');
                joined.push_str(later.value.resolve(scratch));
                let start = scratch.len();
                scratch.push_str(&joined);
                first.value = Text::Scratch(start..scratch.len());
            }
            true
        });
        entries.retain(|entry| entry.name.resolve(scratch) != METRIC_NAME);
    }

    /// Name and value of each label, sorted: those before `__name__`, those up to `extra`,
    /// `extra` itself if it is there, and the rest.
    pub(super) fn parts(&self, extra: &str) -> [impl Iterator<Item = (&str, &str)>; 4] {
        let name_of = |entry: &Entry<'b>| entry.name.resolve(&self.scratch) < METRIC_NAME;
        let name_at = self.entries.partition_point(name_of);
        let mut extra_at = self.entries.len();
        let mut extra_end = extra_at;
        if !extra.is_empty() {
            extra_at = self.entries.partition_point(|entry| entry.name.resolve(&self.scratch) < extra);
            let is_there =
                self.entries.get(extra_at).is_some_and(|entry| entry.name.resolve(&self.scratch) == extra);
            extra_end = extra_at + usize::from(is_there);
        }
        [0..name_at, name_at..extra_at, extra_at..extra_end, extra_end..self.entries.len()].map(|range| {
            self.entries
                .get(range)
                .unwrap_or_default()
                .iter()
                .map(|entry| (entry.name.resolve(&self.scratch), entry.value.resolve(&self.scratch)))
        })
    }
}

const SERVICE_NAME: &str = "service.name";
const SERVICE_NAMESPACE: &str = "service.namespace";
const SERVICE_INSTANCE_ID: &str = "service.instance.id";
