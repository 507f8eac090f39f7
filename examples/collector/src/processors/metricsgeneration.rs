//! `metricsgeneration` (`experimental_metricsgeneration`): new metrics computed from others.

use otelpipe_core::generate::{Generation, GenerationOptions, GenerationRuleConfig};
use otelpipe_core::plan::{Stage, StageOutcome, StageReport};
use serde::Deserialize;

use crate::component::{BuildContext, Processor};
use crate::config::{ComponentId, Node, Problems};

use super::{CoreStage, Counter, compiled};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    rules: Vec<GenerationRuleConfig>,
}

/// Reads the settings and makes the processor.
pub fn build(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Processor>> {
    let options = GenerationOptions {
        match_attributes: cx.gate("metricsgeneration.MatchAttributes"),
        ..GenerationOptions::default()
    };
    let rules = compiled(id, node, problems, |config: &Config| {
        Generation::compile(&config.rules, options).map_err(|error| (error.path, error.message))
    })?;
    for (at, rule) in node.get("rules").map_or(&[][..], Node::items).iter().enumerate() {
        if rule.get("operation").is_none_or(Node::is_zero) {
            problems.note_at(
                node,
                &format!("rules[{at}]"),
                "the rule makes nothing without `operation`, as in ADOT",
                Some("write `operation: divide`, or add, subtract, multiply, percent".into()),
            );
        }
    }
    let mut counter = Counter::new(id, cx);
    Some(Box::new(CoreStage::new(Stage::Generate(rules), move |outcome: &StageOutcome| {
        let StageReport::Generate(report) = &outcome.report else { return };
        if report.too_many_pairs > 0 {
            counter.warn_once("a rule pairs more points than it may: some values were not computed");
        }
    })))
}
