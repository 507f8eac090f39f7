//! A batch as OTLP protobuf: the message `MetricsData`, which is also the body of an
//! export request.
//!
//! Written and read without messages in between: keys and texts that come again share
//! one allocation.
//!
//! Source: opentelemetry-proto v1, `metrics.proto`, `common.proto`, `resource.proto`.
//!
//! ```
//! use otelpipe_core::batch::MetricBatch;
//! use otelpipe_core::metric::{Metric, MetricData};
//! use otelpipe_core::otlp_proto;
//! use otelpipe_core::point::NumberPoint;
//!
//! let mut batch = MetricBatch::default();
//! batch.scope_mut().metrics.push(Metric::new("up", MetricData::Gauge(vec![NumberPoint::new(1, 7)])));
//! let mut body = Vec::new();
//! otlp_proto::write(&batch, &mut body);
//! assert_eq!(otlp_proto::read(&body)?, batch);
//! # Ok::<(), otlp_proto::OtlpProtoError>(())
//! ```

mod read;
mod write;

pub use read::{OtlpProtoError, OtlpProtoErrorKind, read};
pub use write::write;

/// How deep values may be nested in each other.
const MAX_DEPTH: usize = 64;
