//! A scrape of a target whose series are known, and of one never seen: from the body to
//! the batch. `recognised` is the first without the batch: every series is known and its
//! value read, and dropped by a rule.

use core::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use otelpipe_benches::{ThreadTime, body, criterion};
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::label::LabelSet;
use otelpipe_core::relabel::RelabelConfig;
use otelpipe_prom::scrape::{
    Answer, GlobalConfig, ScrapeConfig, ScrapeOptions, ScrapeRules, Target, TargetScraper,
};

const BODIES: [(&str, &str); 2] = [
    ("cadvisor", "kubernetes-1_33-kubelet-metrics-cadvisor"),
    ("node_exporter", "node_exporter-e2e-output.txt"),
];

const T0_MS: i64 = 1_800_000_000_000;

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
