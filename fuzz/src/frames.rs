//! The whole way of the samples: as frames they come out as they do as batches.
//!
//! The first byte of an input chooses settings; then come bodies, with a line `---` between
//! them. Each is scraped three times, and after the last comes the first again, so that
//! there is something to recognise. A digit `7` is another digit each time:
//! values change, and so do names where the input has it there.

use std::sync::Arc;

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::delta::{CumulativeToDelta, CumulativeToDeltaConfig};
use otelpipe_core::frame::{Columns, Metrics};
use otelpipe_core::label::LabelSet;
use otelpipe_core::otlp_proto;
use otelpipe_core::plan::{Engine, Pipeline, Stage};
use otelpipe_core::time::ns_from_ms;
use otelpipe_core::transform::{OperationConfig, TransformConfig, Transforms};
use otelpipe_emf::config::{EmfConfig, MetricDeclarationConfig};
use otelpipe_emf::encoder::EmfEncoder;
use otelpipe_emf::options::EmfOptions;
use otelpipe_prom::remote_write::{Encoder, RemoteWriteConfig, RemoteWriteOptions, Translator};
use otelpipe_prom::scrape::{
    Answer, GlobalConfig, ScrapeConfig, ScrapeOptions, ScrapeRules, Target, TargetScraper,
};

const T0_MS: i64 = 1_700_000_000_000;
const INTERVAL_MS: i64 = 15_000;

/// Longer histories find nothing that these do not.
const MAX_BODIES: usize = 6;

/// Takes each body through both ways and compares what comes out of every room.
///
/// # Panics
///
/// If the ways differ, or one of them loses a point without a count.
pub fn run(data: &[u8]) {
    let Some((&mode, text)) = data.split_first() else { return };
    let bodies: Vec<&[u8]> = bodies(text).take(MAX_BODIES).collect();
    let (mut batches, mut frames) = (Way::new(mode), Way::new(mode));
    batches.pipeline = Pipeline::new(stages(mode)).with_engine(Engine::Reference);
    let mut digits = (b'0'..=b'9').cycle();
    let mut at_ms = T0_MS;
    for body in bodies.iter().chain(bodies.first()) {
        for _ in 0..3 {
            let digit = digits.next().expect("it never ends");
            let body: Vec<u8> = body.iter().map(|&byte| if byte == b'7' { digit } else { byte }).collect();
            let content_type = if mode & 1 == 0 { "text/plain" } else { "application/openmetrics-text" };
            let answer = Answer::Body { body: &body, content_type: Some(content_type), duration_s: 0.25 };
            let (theirs, their_report) = batches.scrape(answer, at_ms);
            let (ours, our_report) = frames.scrape_to_frame(answer, at_ms);
            assert_eq!(our_report, their_report);
            // As text and bytes, in which a NaN is equal to itself.
            let same = ours.clone().into_batch();
            assert_eq!(format!("{same:?}"), format!("{theirs:?}"), "scraped");
            assert_eq!(frames.remote_write(&ours), batches.remote_write(&theirs.clone().into()));
            let (ours, theirs) = (frames.process(ours, at_ms), batches.process(theirs.into(), at_ms));
            assert_eq!(proto(ours.clone()), proto(theirs.clone()), "processed");
            assert_eq!(frames.emf(&[ours], at_ms), batches.emf(&[theirs], at_ms));
            at_ms += INTERVAL_MS;
        }
    }
    assert_eq!(frames.end(at_ms), batches.end(at_ms));
}

fn bodies(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest?;
        let at = text.windows(5).position(|bytes| bytes == b"\n---\n");
        let (body, behind) = at.map_or((text, None), |at| (&text[..=at], Some(&text[at + 5..])));
        rest = behind;
        Some(body)
    })
}

/// Everything that samples go through, with what it remembers.
struct Way {
    scraper: TargetScraper,
    pipeline: Pipeline,
    emf: EmfEncoder,
    remote_write: Encoder,
    spare: Columns,
}

impl Way {
    fn new(mode: u8) -> Self {
        let mut job = ScrapeConfig::default();
        job.job_name = "j".into();
        job.honor_labels = mode & 2 != 0;
        let rules = ScrapeRules::compile(&job, &GlobalConfig::default(), &ScrapeOptions::default());
        let rules = Arc::new(rules.expect("a good job"));
        let discovered: LabelSet<'_> = [("__address__", "10.0.0.5:8080")].into_iter().collect();
        let target = Target::from_discovered(&discovered, &LabelSet::new(), &rules);
        let target = target.expect("a good target").expect("no rule drops it");
        let remote = RemoteWriteConfig {
            protobuf_message: if mode & 4 == 0 {
                "prometheus.WriteRequest"
            } else {
                "io.prometheus.write.v2.Request"
            }
            .into(),
            send_metadata: mode & 8 != 0,
            ..RemoteWriteConfig::default()
        };
        let options = RemoteWriteOptions { start_timestamps: mode & 8 != 0, ..RemoteWriteOptions::default() };
        let translator = Translator::compile(&remote, options).expect("a good configuration").0;
        let emf =
            EmfEncoder::compile(&emf_config(mode), EmfOptions::default()).expect("a good configuration").0;
        Self {
            scraper: TargetScraper::new(rules, target),
            pipeline: Pipeline::new(stages(mode)),
            emf,
            remote_write: Encoder::new(translator),
            spare: Columns::default(),
        }
    }

    fn scrape(&mut self, answer: Answer<'_>, at_ms: i64) -> (MetricBatch, String) {
        let mut batch = MetricBatch::default();
        let report = self.scraper.scrape(answer, at_ms, &mut batch);
        (batch, format!("{report:?}"))
    }

    fn scrape_to_frame(&mut self, answer: Answer<'_>, at_ms: i64) -> (Metrics, String) {
        let (metrics, report) = self.scraper.scrape_metrics(answer, at_ms, core::mem::take(&mut self.spare));
        if let Metrics::Frame(frame) = &metrics {
            self.spare = frame.columns().clone();
        }
        (metrics, format!("{report:?}"))
    }

    /// The message of each request, and the report.
    fn remote_write(&mut self, metrics: &Metrics) -> (Vec<Vec<u8>>, String) {
        let (mut requests, mut points) = (Vec::new(), 0);
        let report = self.remote_write.encode_metrics(metrics, |request| {
            points += request.points;
            // Frames are compressed piece by piece: other bytes that say the same.
            let raw = snap::raw::Decoder::new().decompress_vec(request.body).expect("snappy");
            assert_eq!(raw.len(), request.raw_len);
            requests.push(raw);
        });
        assert_eq!(report.points, points + report.dropped_count());
        (requests, format!("{report:?}"))
    }

    fn process(&mut self, metrics: Metrics, at_ms: i64) -> Metrics {
        let now_ns = ns_from_ms(at_ms);
        match metrics {
            Metrics::Frame(frame) => self.pipeline.consume_frame(frame, now_ns, &mut |_| {}),
            others => self.pipeline.consume(others.into_batch(), now_ns, &mut |_| {}).map(Metrics::from),
        }
        .expect("no stage refuses a batch")
    }

    /// The documents, and the report without the count of those that were spliced.
    fn emf(&mut self, parts: &[Metrics], now_ms: i64) -> (Vec<String>, String) {
        let mut documents = Vec::new();
        let mut report = self.emf.encode_frames(parts, now_ms, |event| documents.push(format!("{event:?}")));
        assert_eq!(report.points + report.parts, report.values + report.dropped_count());
        report.spliced = 0;
        (documents, format!("{report:?}"))
    }

    fn end(&mut self, at_ms: i64) -> String {
        let mut batch = MetricBatch::default();
        self.scraper.end(at_ms, &mut batch);
        format!("{batch:?}")
    }
}

fn proto(metrics: Metrics) -> Vec<u8> {
    let mut bytes = Vec::new();
    otlp_proto::write(&metrics.into_batch(), &mut bytes);
    bytes
}

fn stages(mode: u8) -> Vec<Stage> {
    let delta =
        CumulativeToDelta::compile(&CumulativeToDeltaConfig::default(), 0).expect("a good configuration");
    let transform = |action: &str, new_name: &str| {
        let operation = OperationConfig {
            action: "add_label".into(),
            new_label: "b".into(),
            new_value: "x".into(),
            ..OperationConfig::default()
        };
        let config = TransformConfig {
            include: "a".into(),
            action: action.into(),
            new_name: new_name.into(),
            operations: vec![operation],
            ..TransformConfig::default()
        };
        Stage::Transform(Transforms::compile(&[config], "1").expect("a good configuration"))
    };
    match mode >> 4 & 3 {
        0 => vec![Stage::Delta(Box::new(delta))],
        1 => vec![transform("update", ""), Stage::Delta(Box::new(delta))],
        2 => vec![Stage::Delta(Box::new(delta)), transform("insert", "c")],
        _ => vec![transform("update", "c"), Stage::Delta(Box::new(delta)), transform("update", "")],
    }
}

fn emf_config(mode: u8) -> EmfConfig {
    let mut config =
        EmfConfig { retain_initial_value_of_delta_metric: mode & 64 != 0, ..EmfConfig::default() };
    config.resource_to_telemetry_conversion.enabled = mode & 64 != 0;
    if mode & 128 != 0 {
        config.metric_declarations = vec![MetricDeclarationConfig {
            dimensions: vec![vec!["a".into(), "b".into()], vec!["a".into()], Vec::new()],
            metric_name_selectors: vec!["a".into(), "h".into()],
            ..MetricDeclarationConfig::default()
        }];
    }
    config
}
