//! Remote write: batches of OTel metrics in, the bodies of write requests out.
//!
//! No I/O: an [`Encoder`] gives snappy-compressed protobuf and [`Message`] the headers
//! that go with it; the caller sends it. Protocol 1.0 and 2.0.
//!
//! ```
//! use otelpipe_core::batch::MetricBatch;
//! use otelpipe_core::metric::{Metric, MetricData};
//! use otelpipe_core::point::NumberPoint;
//! use otelpipe_prom::remote_write::{Encoder, RemoteWriteConfig, RemoteWriteOptions, Translator};
//!
//! let mut batch = MetricBatch::default();
//! let point = NumberPoint::new(0.25, 1_700_000_000_000_000_000).with("k8s.pod.name", "web-1");
//! batch.scope_mut().metrics.push(Metric::new("cpu.usage", MetricData::Gauge(vec![point])));
//!
//! let (translator, _warnings) =
//!     Translator::compile(&RemoteWriteConfig::default(), RemoteWriteOptions::default()).expect("good settings");
//! let mut encoder = Encoder::new(translator);
//! let mut bodies = Vec::new();
//! let report = encoder.encode(&batch, |request| bodies.push(request.body.to_vec()));
//! assert_eq!((report.samples, bodies.len()), (1, 1)); // cpu_usage{k8s_pod_name="web-1"} 0.25
//! ```
//!
//! Frames go through [`Encoder::encode_frame`]: the translation of a shape that comes again is
//! kept, and its requests are compressed while they are written.
//!
//! Source: prometheus/docs `docs/specs/prw`; contrib v0.156 `pkg/translator/prometheusremotewrite`.

mod config;
mod encoder;
mod frame;
mod joint;
mod labels;
mod message;
mod native;
mod report;
mod series;
mod snappy;
mod symbols;
mod translate;
mod v1;
mod v2;
mod view;

pub use config::{
    ConfigProblem, RemoteWriteConfig, RemoteWriteOptions, ResourceToTelemetryConfig, TargetInfoConfig,
    Translator,
};
pub use encoder::{Encoder, WriteRequest};
pub use frame::{FrameCounts, KeptPlans};
pub use message::{Message, UnknownMessage};
pub use report::{DropReason, Dropped, TranslationReport};
pub use view::SeriesView;
