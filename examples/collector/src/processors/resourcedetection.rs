//! `resourcedetection`: facts about where the collector runs, set on every resource.
//!
//! The `env` detector reads `OTEL_RESOURCE_ATTRIBUTES`. Other detectors are accepted and
//! not built in yet: each is named in a warning, as a detector that finds nothing.

use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::time::TimeNs;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::component::{BuildContext, ComponentError, Processor};
use crate::config::{ComponentId, GoDuration, Leniency, Node, Problems, decode};

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    detectors: Vec<String>,
    r#override: bool,
    timeout: Option<GoDuration>,
    attributes: Vec<String>,
    refresh_interval: Option<GoDuration>,
    ec2: Option<IgnoredAny>,
    ecs: Option<IgnoredAny>,
    eks: Option<IgnoredAny>,
    system: Option<IgnoredAny>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            detectors: vec!["env".into()],
            r#override: true,
            timeout: None,
            attributes: Vec::new(),
            refresh_interval: None,
            ec2: None,
            ecs: None,
            eks: None,
            system: None,
        }
    }
}

/// Reads the settings, detects and makes the processor.
pub fn build(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Processor>> {
    let config = decode::<Config>(node, &format!("processors::{id}"), Leniency::Strict, problems)?;
    let mut found = Attributes::new();
    for (at, detector) in config.detectors.iter().enumerate() {
        if detector == "env" {
            let text = cx.env.first(&["OTEL_RESOURCE_ATTRIBUTES", "OTEL_RESOURCE"]).unwrap_or_default();
            match parse_env(text) {
                // Detectors named first win.
                Ok(pairs) => {
                    for (key, value) in pairs {
                        if found.get(&key).is_none() {
                            found.insert(key, value);
                        }
                    }
                }
                Err(reason) => problems.warning_at(node, &format!("detectors[{at}]"), reason, None),
            }
        } else {
            let message = format!("the detector {detector} is not built into this version and finds nothing");
            let fix = "set what it would find in OTEL_RESOURCE_ATTRIBUTES: cloud.provider=aws,…";
            problems.warning_at(node, &format!("detectors[{at}]"), message, Some(fix.into()));
        }
    }
    if !config.attributes.is_empty() {
        found.retain(|key, _| config.attributes.iter().any(|kept| kept == key));
    }
    let _ = (config.timeout, config.refresh_interval, config.ec2, config.ecs, config.eks, config.system);
    Some(Box::new(Detected { found, overrides: config.r#override }))
}

/// `key=value` pairs, parted by commas; values are percent-encoded.
fn parse_env(text: &str) -> Result<Vec<(String, String)>, String> {
    let pieces = text.split(',').map(str::trim).filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| {
            let (key, value) = piece
                .split_once('=')
                .ok_or_else(|| format!("OTEL_RESOURCE_ATTRIBUTES: {piece:?} is no key=value"))?;
            Ok((key.trim().to_owned(), decode_percent(value.trim())?))
        })
        .collect()
}

fn decode_percent(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits =
                    [rest.next(), rest.next()].map(|digit| digit.and_then(|d| char::from(d).to_digit(16)));
                let [Some(high), Some(low)] = digits else {
                    return Err(format!(
                        "OTEL_RESOURCE_ATTRIBUTES: {text:?} has a % without two hexadecimal digits"
                    ));
                };
                u8::try_from(high * 16 + low).expect("two hexadecimal digits fit a byte")
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| format!("OTEL_RESOURCE_ATTRIBUTES: {text:?} is not UTF-8"))
}

struct Detected {
    found: Attributes,
    overrides: bool,
}

impl Processor for Detected {
    fn consume(
        &mut self,
        mut batch: MetricBatch,
        _now_ns: TimeNs,
        out: &mut Vec<MetricBatch>,
    ) -> Result<(), ComponentError> {
        for resource in &mut batch.resources {
            let attributes = &mut resource.resource.attributes;
            for (key, value) in &self.found {
                if self.overrides || attributes.get(key).is_none() {
                    attributes.insert(key.clone(), value.clone());
                }
            }
        }
        out.push(batch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_the_environment_are_decoded() {
        let pairs = parse_env("ClusterName=demo, team=a+b,path=%2Fx").unwrap();
        let want = [("ClusterName", "demo"), ("team", "a b"), ("path", "/x")];
        assert_eq!(pairs, want.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert!(parse_env("novalue").unwrap_err().contains("novalue"));
        assert!(parse_env("a=%2").unwrap_err().contains("hexadecimal"));
    }
}
