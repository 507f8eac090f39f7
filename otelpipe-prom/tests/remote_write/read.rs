//! Runs the encoder and reads its requests with `prost`, whichever the message.

use std::fmt::Write;

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::{Frame, Metrics};
use otelpipe_core::value::is_stale;
use otelpipe_prom::remote_write::{
    Encoder, Message, RemoteWriteConfig, RemoteWriteOptions, TranslationReport, Translator,
};
use prost::Message as _;

use crate::proto::{self, Exemplar, Histogram, Label, RequestV2, Sample, WriteRequest};

/// A series as both messages mean it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Series {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) exemplars: Vec<Exemplar>,
    pub(crate) histograms: Vec<Histogram>,
    /// Type, help, unit; protocol 2.0.
    pub(crate) metadata: (i32, String, String),
}

/// A request, decoded.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) raw: Vec<u8>,
    pub(crate) series: Vec<Series>,
    pub(crate) metadata: Vec<proto::MetricMetadata>,
    pub(crate) symbols: Vec<String>,
}

pub(crate) fn encoder(config: &RemoteWriteConfig, options: RemoteWriteOptions) -> Encoder {
    Encoder::new(Translator::compile(config, options).expect("a good configuration").0)
}

/// Encodes and decodes; checks what holds for every request.
pub(crate) fn encode(encoder: &mut Encoder, batch: &MetricBatch) -> (Vec<Request>, TranslationReport) {
    collect(|each| encoder.encode(batch, each))
}

/// The same of a frame.
pub(crate) fn encode_frame(encoder: &mut Encoder, frame: &Frame) -> (Vec<Request>, TranslationReport) {
    collect(|each| encoder.encode_frame(frame, each))
}

/// The same of parts.
pub(crate) fn encode_metrics(encoder: &mut Encoder, metrics: &Metrics) -> (Vec<Request>, TranslationReport) {
    collect(|each| encoder.encode_metrics(metrics, each))
}

fn collect(
    encode: impl FnOnce(&mut dyn FnMut(otelpipe_prom::remote_write::WriteRequest<'_>)) -> TranslationReport,
) -> (Vec<Request>, TranslationReport) {
    let mut requests = Vec::new();
    let mut points = 0;
    let report = encode(&mut |request| {
        let raw = snap::raw::Decoder::new().decompress_vec(request.body).expect("snappy");
        assert_eq!(raw.len(), request.raw_len);
        let decoded = decode(request.message, raw);
        let count = |count: fn(&Series) -> usize| decoded.series.iter().map(count).sum::<usize>() as u64;
        assert_eq!(count(|_| 1), request.series);
        assert_eq!(count(|series| series.samples.len()), request.samples);
        assert_eq!(count(|series| series.histograms.len()), request.histograms);
        assert_eq!(count(|series| series.exemplars.len()), request.exemplars);
        assert_eq!(decoded.metadata.len() as u64, request.metadata);
        points += request.points;
        requests.push(decoded);
    });
    assert_eq!(
        report.points,
        points + report.dropped_count(),
        "every point is written or counted: {report:?}"
    );
    assert_eq!(report.requests, requests.len() as u64);
    (requests, report)
}

fn decode(message: Message, raw: Vec<u8>) -> Request {
    let mut request = Request::default();
    match message {
        Message::V1 => {
            let WriteRequest { timeseries, metadata } = WriteRequest::decode(&raw[..]).expect("a message");
            request.metadata = metadata;
            request.series = timeseries
                .into_iter()
                .map(|series| Series {
                    labels: pairs(series.labels),
                    samples: series.samples,
                    exemplars: series.exemplars,
                    histograms: series.histograms,
                    metadata: Default::default(),
                })
                .collect();
        }
        Message::V2 => {
            let RequestV2 { symbols, timeseries } = RequestV2::decode(&raw[..]).expect("a message");
            assert_eq!(symbols[0], "", "symbol 0 is empty");
            let mut sorted = symbols.clone();
            sorted.sort();
            sorted.dedup();
            assert_eq!(sorted.len(), symbols.len(), "no symbol twice");
            let text = |at: u32| symbols[at as usize].clone();
            let labels = |refs: &[u32]| -> Vec<(String, String)> {
                assert_eq!(refs.len() % 2, 0);
                refs.chunks(2).map(|pair| (text(pair[0]), text(pair[1]))).collect()
            };
            request.series = timeseries
                .iter()
                .map(|series| {
                    let metadata = series.metadata.expect("always written");
                    let exemplars = series.exemplars.iter().map(|exemplar| Exemplar {
                        labels: labels(&exemplar.labels_refs)
                            .into_iter()
                            .map(|(name, value)| Label { name, value })
                            .collect(),
                        value: exemplar.value,
                        timestamp: exemplar.timestamp,
                    });
                    Series {
                        labels: labels(&series.labels_refs),
                        samples: series.samples.clone(),
                        exemplars: exemplars.collect(),
                        histograms: series.histograms.clone(),
                        metadata: (metadata.r#type, text(metadata.help_ref), text(metadata.unit_ref)),
                    }
                })
                .collect();
            request.symbols = symbols;
        }
    }
    for series in &request.series {
        assert!(
            series.labels.is_sorted_by(|a, b| a.0 < b.0),
            "names are sorted and unique: {:?}",
            series.labels
        );
        assert!(series.labels.iter().any(|(name, _)| name == "__name__"));
        assert_ne!(
            series.samples.is_empty(),
            series.histograms.is_empty(),
            "samples or histograms: {series:?}"
        );
        assert!(series.samples.is_sorted_by_key(|sample| sample.timestamp));
    }
    request.raw = raw;
    request
}

fn pairs(labels: Vec<Label>) -> Vec<(String, String)> {
    labels.into_iter().map(|label| (label.name, label.value)).collect()
}

/// `name{a="1"} 2@3 4@5`, and exemplars after ` # `.
pub(crate) fn show(series: &Series) -> String {
    let mut out = String::new();
    let name = series.labels.iter().find(|(name, _)| name == "__name__").map_or("", |(_, value)| value);
    out.push_str(name);
    let labels: Vec<String> = series
        .labels
        .iter()
        .filter(|(name, _)| name != "__name__")
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    let _ = write!(out, "{{{}}}", labels.join(","));
    for sample in &series.samples {
        let _ = match is_stale(sample.value) {
            true => write!(out, " STALE@{}", sample.timestamp),
            false => write!(out, " {}@{}", sample.value, sample.timestamp),
        };
    }
    for exemplar in &series.exemplars {
        let labels: Vec<String> =
            exemplar.labels.iter().map(|label| format!("{}={:?}", label.name, label.value)).collect();
        let _ = write!(out, " # {{{}}} {}@{}", labels.join(","), exemplar.value, exemplar.timestamp);
    }
    out
}

/// All series of all requests, sorted.
pub(crate) fn lines(requests: &[Request]) -> Vec<String> {
    let mut lines: Vec<String> = requests.iter().flat_map(|request| &request.series).map(show).collect();
    lines.sort();
    lines
}
