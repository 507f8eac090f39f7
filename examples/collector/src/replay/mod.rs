//! Replay: recorded expositions through a configured pipeline, with stepped time.
//!
//! The same scraper, processors and encoder as in the running collector; only the
//! sockets and the clock are missing. `replay` feeds it from files, `demo` from a
//! cluster made up on the spot.

pub mod recording;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use otelpipe_core::frame::{Columns, Metrics};
use otelpipe_core::label::LabelSet;
use otelpipe_core::plan::PlanCounts;
use otelpipe_prom::scrape::{Answer, ScrapeReport, Target, TargetScraper};

use crate::component::{BuildContext, Exporter};
use crate::components;
use crate::config::{CollectorConfig, Pipeline, Problems, Section};
use crate::discovery::TargetGroup;
use crate::discovery::kubernetes::node_groups;
use crate::pipeline::{Chain, Stage};
use crate::receivers::prometheus::{self, manager::Job};

/// A pipeline without sockets and clock.
pub struct Engine {
    jobs: Vec<Job>,
    targets: BTreeMap<String, Vec<TargetScraper>>,
    chain: Chain,
    exporters: Vec<(String, Box<dyn Exporter>)>,
    out: Vec<Metrics>,
    /// What has happened so far.
    pub totals: Totals,
}

/// Counts of a replay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Scrapes fed.
    pub scrapes: usize,
    /// Scrapes that failed.
    pub failed: usize,
    /// Samples in their bodies.
    pub samples: u64,
    /// Points that entered the pipeline, report series included.
    pub points_in: usize,
    /// Points that left it.
    pub points_out: usize,
    /// Lines written.
    pub lines: usize,
    /// Bytes written.
    pub bytes: usize,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("totals", &self.totals).finish_non_exhaustive()
    }
}

impl Engine {
    /// The pipeline `name` of a configuration (`metrics`, `metrics/app`), or the first
    /// that has a prometheus receiver. `None` if anything is wrong; see `problems`.
    pub fn build(
        config: &CollectorConfig,
        name: Option<&str>,
        cx: &BuildContext,
        problems: &mut Problems,
    ) -> Option<Self> {
        let scrapes = |pipeline: &Pipeline| {
            pipeline.receivers.iter().any(|receiver| receiver.id.kind() == "prometheus")
        };
        let found = config.pipelines().find(|pipeline| match name {
            Some(name) => pipeline.id.to_string() == name,
            None => scrapes(pipeline),
        });
        let Some(pipeline) = found else {
            let message = match name {
                Some(name) => format!("there is no metrics pipeline {name:?}"),
                None => "there is no metrics pipeline with a prometheus receiver".to_owned(),
            };
            let ids: Vec<String> = config.pipelines().map(|pipeline| pipeline.id.to_string()).collect();
            problems.error(
                None,
                "service::pipelines",
                message,
                Some(format!("the pipelines are: {}", ids.join(", "))),
            );
            return None;
        };
        let cx = &cx.with_authenticators(config, problems);
        let mut jobs = Vec::new();
        for receiver in &pipeline.receivers {
            if let Some(component) = config.find(Section::Receivers, &receiver.id)
                && component.kind.name == "prometheus"
            {
                jobs.extend(prometheus::jobs(&component.id, &component.node, cx, problems));
            }
        }
        let chain = Chain::new(components::stages(config, pipeline, cx, problems), cx);
        let mut exporters = Vec::new();
        for exporter in &pipeline.exporters {
            if let Some(component) = config.find(Section::Exporters, &exporter.id) {
                exporters.extend(
                    Some(component.id.to_string()).zip(components::exporter(component, cx, problems)),
                );
            }
        }
        (!problems.has_errors()).then(|| Self {
            jobs,
            targets: BTreeMap::new(),
            chain,
            exporters,
            out: Vec::new(),
            totals: Totals::default(),
        })
    }

    /// Makes targets of Kubernetes node objects (a `NodeList` as JSON), as discovery of
    /// role `node` does. A node's targets get the node's name as their source.
    ///
    /// # Errors
    ///
    /// The text is no list of nodes, or a target cannot be scraped as it is configured.
    pub fn discover_nodes(&mut self, node_list: &str) -> Result<(), String> {
        for group in node_groups(node_list)? {
            let name = group.source.trim_start_matches("node/").to_owned();
            self.discover(&name, &group)?;
        }
        Ok(())
    }

    /// Makes a target of every job for `source` from discovered labels.
    ///
    /// # Errors
    ///
    /// The target cannot be scraped as it is configured.
    pub fn discover(&mut self, source: &str, group: &TargetGroup) -> Result<(), String> {
        for job in &self.jobs {
            for discovered in &group.targets {
                let target = Target::from_discovered(discovered, &group.labels, &job.rules)
                    .map_err(|error| format!("target {source} of job {}: {error}", job.rules.job_name()))?;
                if let Some(target) = target {
                    let scraper = TargetScraper::new(Arc::clone(&job.rules), target);
                    self.targets.entry(source.to_owned()).or_default().push(scraper);
                }
            }
        }
        Ok(())
    }

    /// The processors with what they took and gave.
    pub fn stages(&self) -> impl Iterator<Item = &Stage> {
        self.chain.stages()
    }

    /// Whether `source` has a target.
    pub fn knows(&self, source: &str) -> bool {
        self.targets.contains_key(source)
    }

    /// Feeds one exposition to every target of `source`, at `at_ms`. What the exporters
    /// would send goes to `write`. Returns the report of the last target.
    ///
    /// # Errors
    ///
    /// Those of `write`.
    pub fn scrape(
        &mut self,
        source: &str,
        body: &[u8],
        at_ms: i64,
        write: &mut dyn Write,
    ) -> std::io::Result<Option<ScrapeReport>> {
        let now_ns = otelpipe_core::time::ns_from_ms(at_ms);
        self.tick(now_ns, write)?;
        let mut last = None;
        for scraper in self.targets.get_mut(source).into_iter().flatten() {
            let answer =
                Answer::Body { body, content_type: Some("text/plain; version=0.0.4"), duration_s: 0.0 };
            let (metrics, report) = scraper.scrape_metrics(answer, at_ms, Columns::default());
            self.totals.scrapes += 1;
            self.totals.failed += usize::from(!report.up);
            self.totals.samples += report.scraped;
            self.totals.points_in += metrics.point_count();
            self.chain.consume(metrics, now_ns, &mut self.out);
            last = Some(report);
        }
        self.render(now_ns, write)?;
        Ok(last)
    }

    /// How the pipeline's batches were run so far.
    pub fn plan_counts(&self) -> PlanCounts {
        self.chain.plan_counts()
    }

    /// Ends the pipeline: what processors still hold is rendered too.
    ///
    /// # Errors
    ///
    /// Those of `write`.
    pub fn finish(&mut self, at_ms: i64, write: &mut dyn Write) -> std::io::Result<()> {
        let now_ns = otelpipe_core::time::ns_from_ms(at_ms);
        self.tick(now_ns, write)?;
        self.chain.flush(now_ns, &mut self.out);
        self.render(now_ns, write)
    }

    /// Lets the time pass up to `now_ns`, so that batches leave when they are due.
    fn tick(&mut self, now_ns: u64, write: &mut dyn Write) -> std::io::Result<()> {
        while let Some(due) = self.chain.next_tick_ns().filter(|due| *due <= now_ns) {
            self.chain.tick(due, &mut self.out);
            self.render(due, write)?;
        }
        Ok(())
    }

    fn render(&mut self, now_ns: u64, write: &mut dyn Write) -> std::io::Result<()> {
        let mut counted = Counted { inner: write, totals: &mut self.totals };
        for batch in self.out.drain(..) {
            counted.totals.points_out += batch.point_count();
            let Some(((_, last), others)) = self.exporters.split_last_mut() else { continue };
            for (_, exporter) in others {
                exporter.render(batch.clone(), now_ns, &mut counted)?;
            }
            last.render(batch, now_ns, &mut counted)?;
        }
        Ok(())
    }
}

/// The labels of a bare file's target: its name as address, then what the user gave.
pub fn bare_target(source: &str, labels: &[(String, String)]) -> TargetGroup {
    let mut target = LabelSet::from_iter([("__address__".to_owned(), source.to_owned())]);
    for (name, value) in labels {
        target.set(name.clone(), value.clone());
    }
    TargetGroup { source: source.to_owned(), targets: vec![target], labels: LabelSet::new() }
}

/// The labels that discovery of role `node` gives a node of which only the name is known.
pub fn bare_node(name: &str, labels: &[(String, String)]) -> TargetGroup {
    let mut group = bare_target(&format!("{name}:10250"), labels);
    group.targets[0].set("__meta_kubernetes_node_name", name.to_owned());
    group.targets[0].set("instance", name.to_owned());
    group
}

/// Counts what passes.
struct Counted<'w, 't> {
    inner: &'w mut dyn Write,
    totals: &'t mut Totals,
}

impl Write for Counted<'_, '_> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(data)?;
        self.totals.bytes += written;
        self.totals.lines += data.iter().take(written).filter(|byte| **byte == b'\n').count();
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}
