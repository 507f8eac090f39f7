//! OTLP on the wire, as far as the receiver and the exporters share it: paths, answers
//! and the framing of gRPC.

pub(crate) mod grpc;
mod response;
mod status;

pub(crate) use response::{PartialSuccess, refusal};
pub(crate) use status::{Code, Status};

/// The media type of protobuf bodies.
pub(crate) const PROTOBUF: &str = "application/x-protobuf";

/// The media type of JSON bodies.
pub(crate) const JSON: &str = "application/json";

/// The gRPC method that takes metrics.
pub(crate) const EXPORT_METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
