//! Pipelines made up by dice. The same dice make the same stages.

use std::collections::BTreeMap;

use otelpipe_core::attribute_rules::{
    ActionConfig, AttributesConfig, AttributesRule, MetricMatchConfig, ResourceConfig, ResourceRule,
};
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::delta::{CumulativeToDelta, CumulativeToDeltaConfig, DeltaMatchConfig};
use otelpipe_core::duration::GoDuration;
use otelpipe_core::filter::{Filter, FilterConfig, MatchConfig, MetricFilterConfig};
use otelpipe_core::generate::{Generation, GenerationOptions, GenerationRuleConfig};
use otelpipe_core::plan::{SeriesStage, Stage};
use otelpipe_core::rate::{DeltaToRate, DeltaToRateConfig};
use otelpipe_core::transform::{OperationConfig, TransformConfig, Transforms, ValueActionConfig};

use crate::dice::Dice;

/// Names that metrics have, or get from rules.
pub(crate) const NAMES: [&str; 6] = ["cpu", "cpu_limit", "mem", "rx", "tx", "new_cpu"];
pub(crate) const KEYS: [&str; 4] = ["pod", "ns", "image", "Type"];
pub(crate) const VALUES: [&str; 4] = ["a", "b", "", "7"];
const PATTERNS: [&str; 8] = [".*", "^cpu.*", "cpu", "mem|rx", "^(r|t)x$", "nothing", "new_(.*)", "x"];

pub(crate) fn stages(dice: &mut Dice) -> Vec<Stage> {
    (0..=dice.below(6)).map(|_| stage(dice)).collect()
}

fn stage(dice: &mut Dice) -> Stage {
    loop {
        let made = match dice.below(9) {
            0 | 1 => transforms(dice),
            2 => filter(dice),
            3 => attributes(dice),
            4 => resource(dice),
            5 | 6 => delta(dice),
            7 => rate(dice),
            _ => generation(dice),
        };
        match made {
            Some(_) if dice.once_in(12) => return Stage::Custom(Box::new(Copies)),
            Some(stage) => return stage,
            None => {} // a configuration that is refused
        }
    }
}

/// A stage of an embedder's: every metric `mem` once more, behind the others.
#[derive(Debug)]
struct Copies;

impl SeriesStage for Copies {
    fn apply(&mut self, batch: &mut MetricBatch) {
        for scope in batch.resources.iter_mut().flat_map(|resource| &mut resource.scopes) {
            let copies: Vec<_> =
                scope.metrics.iter().filter(|metric| metric.name == "mem").cloned().collect();
            scope.metrics.extend(copies);
        }
    }
}

fn transforms(dice: &mut Dice) -> Option<Stage> {
    let configs: Vec<TransformConfig> = (0..=dice.below(4)).map(|_| transform(dice)).collect();
    Transforms::compile(&configs, "1").ok().map(Stage::Transform)
}

fn transform(dice: &mut Dice) -> TransformConfig {
    let labels = (0..dice.below(3)).map(|_| (dice.text(&KEYS), dice.text(&["a", "^$", "\\S", "b"])));
    let labels: BTreeMap<String, String> = labels.collect();
    let mut config = TransformConfig {
        match_type: dice.text(&["regexp", "regexp", "strict"]),
        action: dice.text(&["update", "update", "insert", "insert", "group", "combine"]),
        experimental_match_labels: labels,
        ..TransformConfig::default()
    };
    if config.action == "combine" && !dice.once_in(8) {
        config.action = "insert".into();
    }
    config.include = if config.match_type == "strict" { dice.text(&NAMES) } else { dice.text(&PATTERNS) };
    match &*config.action {
        "insert" | "combine" => config.new_name = dice.text(&["new_cpu", "rx", "${1}_more", "cpu_limit"]),
        "update" if dice.once_in(2) => config.new_name = dice.text(&["new_cpu", "tx", "cpu"]),
        "group" => config.group_resource_labels = Some([("group".to_owned(), "g".to_owned())].into()),
        _ => {}
    }
    config.aggregation_type = if config.action == "combine" { "sum".into() } else { String::new() };
    config.operations = (0..dice.below(3)).map(|_| operation(dice)).collect();
    config
}

fn operation(dice: &mut Dice) -> OperationConfig {
    let mut config = OperationConfig {
        action: dice.text(&["add_label", "update_label", "update_label", "delete_label_value"]),
        label: dice.text(&KEYS),
        ..OperationConfig::default()
    };
    match &*config.action {
        "add_label" => {
            config.label.clear();
            (config.new_label, config.new_value) = (dice.text(&KEYS), dice.text(&["a", "new"]));
        }
        "update_label" => {
            if dice.once_in(2) {
                config.new_label = dice.text(&["pod", "PodName", "Type"]);
            } else {
                let (value, new_value) = (dice.text(&VALUES), dice.text(&["a", "z"]));
                config.value_actions = vec![ValueActionConfig { value, new_value }];
            }
        }
        _ => config.label_value = dice.text(&VALUES),
    }
    if dice.once_in(5) {
        config = OperationConfig {
            action: dice.text(&["scale_value", "toggle_scalar_data_type"]),
            experimental_scale: dice.pick(&[0.1, 1_000.0, -1.0]),
            ..OperationConfig::default()
        };
    }
    if dice.once_in(40) {
        config = OperationConfig {
            action: "aggregate_labels".into(),
            label_set: dice.some(&KEYS, 2),
            aggregation_type: dice.text(&["sum", "max"]),
            ..OperationConfig::default()
        };
    }
    config
}

fn filter(dice: &mut Dice) -> Option<Stage> {
    let mut metrics = MetricFilterConfig::default();
    if dice.once_in(2) {
        let match_type = dice.text(&["strict", "regexp"]);
        let metric_names = dice.some(if match_type == "strict" { &NAMES } else { &PATTERNS }, 4);
        let side = MatchConfig { match_type, metric_names, ..MatchConfig::default() };
        if dice.once_in(2) { metrics.include = Some(side) } else { metrics.exclude = Some(side) }
    } else {
        let conditions = [
            r#"name == "mem""#,
            r#"IsMatch(name, "x$") and type == METRIC_DATA_TYPE_SUM"#,
            r#"HasAttrOnDatapoint("pod", "a")"#,
            "is_monotonic",
        ];
        let of_points = [r#"attributes["pod"] == "a""#, r#"metric.name == "rx" and attributes["ns"] == nil"#];
        if dice.once_in(2) {
            metrics.metric = dice.some(&conditions, 2);
        } else {
            metrics.datapoint = dice.some(&of_points, 2);
            if dice.once_in(10) {
                metrics.datapoint.push("value_double > 10.0".into());
            }
        }
    }
    let error_mode = dice.text(&["ignore", "propagate"]);
    let config = FilterConfig { metrics: Some(metrics), error_mode, ..FilterConfig::default() };
    Filter::compile(&config).ok().map(Stage::Filter)
}

fn action(dice: &mut Dice) -> ActionConfig {
    let mut config = ActionConfig {
        key: dice.text(&["pod", "ns", "Type", "job"]),
        action: dice.text(&["insert", "update", "upsert", "delete", "hash", "convert", "extract"]),
        ..ActionConfig::default()
    };
    match &*config.action {
        "insert" | "update" | "upsert" if dice.once_in(2) => config.from_attribute = dice.text(&KEYS),
        "insert" | "update" | "upsert" => config.value = Some(dice.text(&VALUES).into()),
        "convert" => config.converted_type = dice.text(&["int", "string", "double"]),
        "extract" => config.pattern = "^(?P<first>.)".into(),
        _ => {}
    }
    config
}

fn attributes(dice: &mut Dice) -> Option<Stage> {
    let mut config = AttributesConfig {
        actions: (0..=dice.below(2)).map(|_| action(dice)).collect(),
        ..AttributesConfig::default()
    };
    if dice.once_in(2) {
        let names = MetricMatchConfig {
            match_type: "strict".into(),
            metric_names: dice.some(&NAMES, 3),
            ..MetricMatchConfig::default()
        };
        if dice.once_in(2) { config.include = Some(names) } else { config.exclude = Some(names) }
    }
    AttributesRule::compile(&config).ok().map(Stage::Attributes)
}

fn resource(dice: &mut Dice) -> Option<Stage> {
    let attributes = (0..=dice.below(2)).map(|_| action(dice)).collect();
    ResourceRule::compile(&ResourceConfig { attributes }).ok().map(Stage::Resource)
}

fn delta(dice: &mut Dice) -> Option<Stage> {
    let mut config = CumulativeToDeltaConfig {
        initial_value: dice.text(&["auto", "keep", "drop"]),
        max_staleness: GoDuration::from_s(dice.pick(&[0, 90, 3_600])),
        ..CumulativeToDeltaConfig::default()
    };
    if dice.once_in(2) {
        let match_type = dice.text(&["strict", "regexp"]);
        let metrics = dice.some(if match_type == "strict" { &NAMES } else { &PATTERNS }, 5);
        let side = DeltaMatchConfig { metrics, match_type, ..DeltaMatchConfig::default() };
        if dice.once_in(3) { config.exclude = Some(side) } else { config.include = Some(side) }
    }
    CumulativeToDelta::compile(&config, 1_000_000_000_000).ok().map(|rule| Stage::Delta(Box::new(rule)))
}

fn rate(dice: &mut Dice) -> Option<Stage> {
    let config = DeltaToRateConfig { metrics: dice.some(&NAMES, 4) };
    DeltaToRate::compile(&config).ok().map(Stage::Rate)
}

fn generation(dice: &mut Dice) -> Option<Stage> {
    let rules: Vec<GenerationRuleConfig> = (0..=dice.below(3))
        .map(|_| GenerationRuleConfig {
            name: dice.text(&["made", "new_cpu", "ratio"]),
            unit: dice.text(&["", "Percent"]),
            kind: dice.text(&["calculate", "calculate", "scale"]),
            metric1: dice.text(&NAMES),
            metric2: dice.text(&NAMES),
            operation: dice.text(&["add", "subtract", "multiply", "divide", "percent", "percent"]),
            scale_by: dice.pick(&[0.1, 1_000.0]),
        })
        .collect();
    let options =
        GenerationOptions { match_attributes: !dice.once_in(3), skip_unless_positive: dice.once_in(15) };
    Generation::compile(&rules, options).ok().map(Stage::Generate)
}
