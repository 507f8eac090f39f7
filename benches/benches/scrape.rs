//! A scrape of a target whose series are known, and of one never seen: from the body to
//! the batch, or to the columns of a frame (`frame`). `recognised` and `dropped` are the same
//! with a rule that drops all series: each is known and its value read. `rated` is `frame`, and
//! then the increase of every counter and its rate, time moving on. `shuffled` is a target that
//! shows its series in another order each time.

use core::hint::black_box;
use core::time::Duration;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use otelpipe_benches::{ThreadTime, advance, body, criterion, on_cpu};
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::delta::{CumulativeToDelta, CumulativeToDeltaConfig};
use otelpipe_core::frame::{Columns, Metrics};
use otelpipe_core::label::LabelSet;
use otelpipe_core::metric::MetricData;
use otelpipe_core::plan::{Pipeline, Stage};
use otelpipe_core::rate::{DeltaToRate, DeltaToRateConfig};
use otelpipe_core::relabel::RelabelConfig;
use otelpipe_core::time::ns_from_ms;
use otelpipe_prom::scrape::{
    Answer, GlobalConfig, ScrapeConfig, ScrapeOptions, ScrapeRules, Target, TargetScraper,
};

const BODIES: [(&str, &str); 2] = [
    ("cadvisor", "kubernetes-1_33-kubelet-metrics-cadvisor"),
    ("node_exporter", "node_exporter-e2e-output.txt"),
];

const T0_MS: i64 = 1_800_000_000_000;

/// Time between two scrapes.
const INTERVAL_MS: i64 = 15_000;

fn scraper(rules: &Arc<ScrapeRules>) -> TargetScraper {
    let discovered =
        [("__address__", "10.0.0.5:10250"), ("cluster", "c"), ("node", "n")].into_iter().collect();
    let target = Target::from_discovered(&discovered, &LabelSet::new(), rules);
    TargetScraper::new(Arc::clone(rules), target.expect("a good target").expect("no rule drops it"))
}

fn scrape(scraper: &mut TargetScraper, body: &[u8]) -> usize {
    let mut batch = MetricBatch::default();
    let answer = Answer::Body { body, content_type: Some("text/plain"), duration_s: 0.0 };
    let report = scraper.scrape(answer, T0_MS, &mut batch);
    assert!(report.up, "{:?}", report.error);
    black_box(batch).point_count()
}

/// Into columns that are used again. Returns how many points there were.
fn scrape_frame(scraper: &mut TargetScraper, body: &[u8], spare: &mut Columns) -> usize {
    let answer = Answer::Body { body, content_type: Some("text/plain"), duration_s: 0.0 };
    let (metrics, report) = scraper.scrape_metrics(answer, T0_MS, core::mem::take(spare));
    assert!(report.up, "{:?}", report.error);
    let points = metrics.point_count();
    if let Metrics::Frame(frame) = black_box(metrics) {
        *spare = frame.into_parts().1;
    }
    points
}

/// A scraper, and what makes rates of its counters.
struct Rated {
    scraper: TargetScraper,
    pipeline: Pipeline,
    spare: Columns,
    body: Vec<u8>,
    at_ms: i64,
}

impl Rated {
    fn new(rules: &Arc<ScrapeRules>, body: &[u8]) -> Self {
        let mut batch = MetricBatch::default();
        let answer = Answer::Body { body, content_type: Some("text/plain"), duration_s: 0.0 };
        scraper(rules).scrape(answer, T0_MS, &mut batch);
        let is_counter = |data: &MetricData| matches!(data, MetricData::Sum(sum) if sum.is_monotonic);
        let counters = batch.metrics().filter(|metric| is_counter(&metric.data));
        let rate = DeltaToRateConfig { metrics: counters.map(|metric| metric.name.to_string()).collect() };
        let delta = CumulativeToDelta::compile(&CumulativeToDeltaConfig::default(), 0).expect("defaults");
        let rate = DeltaToRate::compile(&rate).expect("there are counters");
        let pipeline = Pipeline::new(vec![Stage::Delta(Box::new(delta)), Stage::Rate(rate)]);
        Self {
            scraper: scraper(rules),
            pipeline,
            spare: Columns::default(),
            body: body.to_vec(),
            at_ms: T0_MS,
        }
    }

    /// The body is that of the next scrape.
    fn advance(&mut self) {
        self.at_ms += INTERVAL_MS;
        advance(&mut self.body, INTERVAL_MS);
    }

    fn scrape(&mut self) -> usize {
        let Self { scraper, pipeline, spare, at_ms, body } = self;
        let answer =
            Answer::Body { body: black_box(body), content_type: Some("text/plain"), duration_s: 0.0 };
        let (metrics, report) = scraper.scrape_metrics(answer, *at_ms, core::mem::take(spare));
        assert!(report.up, "{:?}", report.error);
        let rated = match metrics {
            Metrics::Frame(frame) => pipeline.consume_frame(frame, ns_from_ms(*at_ms), &mut |_| {}),
            others => {
                pipeline.consume(others.into_batch(), ns_from_ms(*at_ms), &mut |_| {}).map(Metrics::from)
            }
        };
        let rated = black_box(rated.expect("all have values"));
        let points = rated.point_count();
        if let Metrics::Frame(frame) = rated {
            *spare = frame.into_parts().1;
        }
        points
    }
}

/// The body with its series in so many orders, metadata first.
fn shuffled(body: &[u8], orders: usize) -> Vec<Vec<u8>> {
    let lines = body.split_inclusive(|byte| *byte == b'\n');
    let (metadata, mut series): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with(b"#"));
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % below
    };
    let mut bodies = Vec::new();
    for _ in 0..orders {
        for at in (1..series.len()).rev() {
            series.swap(at, random(at + 1));
        }
        bodies.push([metadata.concat(), series.concat()].concat());
    }
    bodies
}

fn benches(criterion: &mut Criterion<ThreadTime>) {
    let mut job = ScrapeConfig::default();
    job.job_name = "j".into();
    let compile = |job: &ScrapeConfig| {
        let rules = ScrapeRules::compile(job, &GlobalConfig::default(), &ScrapeOptions::default());
        Arc::new(rules.expect("the job compiles"))
    };
    let rules = compile(&job);
    job.metric_relabel_configs =
        vec![RelabelConfig { action: Some("drop".into()), ..RelabelConfig::default() }];
    let dropping = compile(&job);
    for (name, file) in BODIES {
        let body = body(file);
        let samples = u64::try_from(scrape(&mut scraper(&rules), &body)).expect("fits");
        let mut group = criterion.benchmark_group(format!("scrape/{name}"));
        group.throughput(Throughput::Elements(samples));
        for (name, rules) in [("known", &rules), ("recognised", &dropping)] {
            let mut known = scraper(rules);
            scrape(&mut known, &body);
            group.bench_function(name, |bencher| {
                bencher.iter(|| scrape(&mut known, black_box(&body)));
            });
        }
        for (name, rules) in [("frame", &rules), ("dropped", &dropping)] {
            let (mut known, mut spare) = (scraper(rules), Columns::default());
            for _ in 0..3 {
                scrape_frame(&mut known, &body, &mut spare);
            }
            let before = known.frames();
            group.bench_function(name, |bencher| {
                bencher.iter(|| scrape_frame(&mut known, black_box(&body), &mut spare));
            });
            scrape_frame(&mut known, &body, &mut spare);
            assert!(known.frames() > before, "the body is the same each time");
        }
        let mut rated = Rated::new(&rules, &body);
        for _ in 0..4 {
            rated.advance();
            rated.scrape();
        }
        let before = rated.pipeline.counts().rule_evaluations;
        group.bench_function("rated", |bencher| {
            bencher.iter_custom(|rounds| {
                let mut worked = Duration::ZERO;
                for _ in 0..rounds {
                    rated.advance();
                    let before = on_cpu();
                    rated.scrape();
                    worked += on_cpu() - before;
                }
                worked
            });
        });
        assert_eq!(rated.pipeline.counts().rule_evaluations, before, "all is known");
        let bodies = shuffled(&body, 16);
        let (mut known, mut spare, mut turn) = (scraper(&rules), Columns::default(), 0);
        scrape_frame(&mut known, &body, &mut spare);
        group.bench_function("shuffled", |bencher| {
            bencher.iter(|| {
                turn += 1;
                scrape_frame(&mut known, black_box(&bodies[turn % bodies.len()]), &mut spare)
            });
        });
        group.bench_function("new", |bencher| {
            bencher.iter_batched(
                || scraper(&rules),
                |mut new| scrape(&mut new, black_box(&body)),
                BatchSize::LargeInput,
            );
        });
        group.finish();
    }
}

criterion_group! {
    name = all;
    config = criterion();
    targets = benches
}
criterion_main!(all);
