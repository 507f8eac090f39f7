//! The compiled configuration, and which declarations select which metric names.

use alloc::format;
use alloc::vec::Vec;

use hashbrown::HashMap;
use otelpipe_core::shared_str::SharedStr;

use crate::config::{EmfConfig, EmfConfigError, EmfWarning};
use crate::declaration::MetricDeclaration;
use crate::dimension::DimensionRollup;
use crate::options::EmfOptions;
use crate::placeholder::NameTemplate;
use crate::unit::{UNITS, from_ucum};

/// Where documents go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OutputDestination {
    /// To CloudWatch Logs.
    CloudWatch,
    /// To standard output, one document a line.
    Stdout,
    /// Nowhere: what upstream does with any other name.
    Discard,
}

/// Shape of the envelope around the measurements.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EnvelopeVersion {
    Zero,
    One,
    /// No envelope: what upstream does with any other version.
    Nothing,
}

/// A configuration that can run.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) namespace: Option<SharedStr>,
    pub(crate) group: Option<NameTemplate>,
    pub(crate) stream: Option<NameTemplate>,
    pub(crate) rollup: DimensionRollup,
    pub(crate) declarations: Vec<MetricDeclaration>,
    descriptors: HashMap<SharedStr, (SharedStr, bool)>,
    pub(crate) json_keys: Vec<SharedStr>,
    pub(crate) resource_labels: bool,
    pub(crate) without_service_labels: bool,
    pub(crate) fargate: bool,
    pub(crate) detailed: bool,
    pub(crate) retain_first: bool,
    pub(crate) version: EnvelopeVersion,
    pub(crate) destination: OutputDestination,
    pub(crate) options: EmfOptions,
}

impl Rules {
    pub(crate) fn compile(
        config: &EmfConfig,
        options: EmfOptions,
    ) -> Result<(Self, Vec<EmfWarning>), Vec<EmfConfigError>> {
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        config.check(&mut errors, &mut warnings);
        let mut warn = |path: &str, message| warnings.push(EmfWarning { path: path.into(), message });
        let rollup = DimensionRollup::parse(&config.dimension_rollup_option).unwrap_or_else(|| {
            let option = &config.dimension_rollup_option;
            warn("dimension_rollup_option", format!("unknown option {option:?}: there is no roll-up"));
            DimensionRollup::Nothing
        });
        let version = match config.version.as_str() {
            "0" => EnvelopeVersion::Zero,
            "1" => EnvelopeVersion::One,
            other => {
                warn(
                    "version",
                    format!("unknown version {other:?}: documents have no metrics for CloudWatch"),
                );
                EnvelopeVersion::Nothing
            }
        };
        let destination = match &config.output_destination {
            name if name.eq_ignore_ascii_case("cloudwatch") => OutputDestination::CloudWatch,
            name if name.eq_ignore_ascii_case("stdout") => OutputDestination::Stdout,
            other => {
                warn("output_destination", format!("unknown destination {other:?}: nothing is sent"));
                OutputDestination::Discard
            }
        };
        let declarations = MetricDeclaration::compile_all(
            &config.metric_declarations,
            options.max_declared_dimensions,
            &mut errors,
            &mut warnings,
        );
        if DeclarationIndex::try_from(declarations.len()).is_err() {
            errors.push(EmfConfigError {
                path: "metric_declarations".into(),
                message: format!(
                    "{} declarations, at most {} are allowed",
                    declarations.len(),
                    DeclarationIndex::MAX
                ),
            });
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let template = |name: &str| (!name.is_empty()).then(|| NameTemplate::parse(name));
        let descriptors = config.metric_descriptors.iter();
        let descriptors = descriptors.filter(|descriptor| {
            !descriptor.metric_name.is_empty() && UNITS.contains(&descriptor.unit.as_str())
        });
        let rules = Self {
            namespace: (!config.namespace.is_empty()).then(|| config.namespace.as_str().into()),
            group: template(&config.log_group_name),
            stream: template(&config.log_stream_name),
            rollup,
            declarations,
            descriptors: descriptors
                .map(|it| (it.metric_name.as_str().into(), (it.unit.as_str().into(), it.overwrite)))
                .collect(),
            json_keys: config.parse_json_encoded_attr_values.iter().map(|key| key.as_str().into()).collect(),
            resource_labels: config.resource_to_telemetry_conversion.enabled,
            without_service_labels: config.resource_to_telemetry_conversion.exclude_service_attributes,
            fargate: config.eks_fargate_container_insights_enabled,
            detailed: config.detailed_metrics,
            retain_first: config.retain_initial_value_of_delta_metric,
            version,
            destination,
            options,
        };
        Ok((rules, warnings))
    }

    /// The unit of a metric as its definition shows it.
    pub(crate) fn unit<'u>(&'u self, metric: &str, unit: &'u str) -> &'u str {
        match self.descriptors.get(metric) {
            Some((descriptor, overwrite)) if *overwrite || unit.is_empty() => descriptor,
            _ => from_ucum(unit),
        }
    }
}

/// Position in [`Rules::declarations`].
pub(crate) type DeclarationIndex = u16;

/// Position in [`Selections`].
pub(crate) type SelectionId = u32;

/// Which declarations select a metric by its name: each answer kept once, each name
/// asked once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selections {
    lists: Vec<Vec<DeclarationIndex>>,
    by_name: HashMap<SharedStr, SelectionId>,
}

/// Names kept; metric names are few, unless someone makes them up.
const MAX_NAMES: usize = 65_536;

impl Selections {
    pub(crate) fn of(&mut self, name: &SharedStr, declarations: &[MetricDeclaration]) -> SelectionId {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        let list: Vec<DeclarationIndex> = (0..)
            .zip(declarations)
            .filter(|(_, declaration)| declaration.selects(name))
            .map(|(at, _)| at)
            .collect();
        let at = self.lists.iter().position(|known| *known == list).unwrap_or_else(|| {
            self.lists.push(list);
            self.lists.len() - 1
        });
        let id = SelectionId::try_from(at).unwrap_or(SelectionId::MAX);
        if self.by_name.len() >= MAX_NAMES {
            self.by_name.clear();
        }
        self.by_name.insert(name.clone(), id);
        id
    }

    pub(crate) fn get(&self, id: SelectionId) -> &[DeclarationIndex] {
        &self.lists[id as usize]
    }
}
