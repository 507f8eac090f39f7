//! The `otlp` receiver: metrics that are sent over gRPC or HTTP.
//!
//! Source: collector core `receiver/otlpreceiver`. Traces and logs are refused as upstream
//! refuses what no pipeline takes: gRPC `Unimplemented`, HTTP 404.

mod grpc;
mod http;
mod intake;
mod settings;

use std::time::Duration;

use async_trait::async_trait;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::component::{BuildContext, ComponentError, MetricSink, Receiver};
use crate::config::{ComponentId, Node, Problems};
use crate::pages;
use crate::server::{Protocol, ServerOptions, serve};

use intake::Intake;
use settings::{GrpcSettings, HttpSettings, Settings};

/// Reads the receiver's settings and makes it. Problems go to `problems`.
pub fn build(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Receiver>> {
    let settings = Settings::read(id, node, cx, problems)?;
    Some(Box::new(OtlpReceiver { id: id.to_string(), settings }))
}

#[derive(Debug)]
struct OtlpReceiver {
    id: String,
    settings: Settings,
}

#[async_trait]
impl Receiver for OtlpReceiver {
    async fn run(self: Box<Self>, sink: MetricSink, stop: CancellationToken) -> Result<(), ComponentError> {
        self.bind().await?.run(sink, stop).await;
        Ok(())
    }
}

impl OtlpReceiver {
    /// Opens the ports.
    async fn bind(self) -> Result<Listening, ComponentError> {
        let Self { id, settings } = self;
        let listen = async |name: &str, endpoint: &str| match pages::listen(endpoint).await {
            Ok(listener) => {
                tracing::info!(receiver = %id, endpoint, "Starting {name} server");
                Ok(listener)
            }
            Err(failure) => Err(pages::cannot_listen(endpoint, &failure)),
        };
        let grpc = match settings.grpc {
            Some(grpc) => Some((listen("GRPC", &grpc.endpoint).await?, grpc)),
            None => None,
        };
        let http = match settings.http {
            Some(http) => Some((listen("HTTP", &http.endpoint).await?, http)),
            None => None,
        };
        Ok(Listening { id, grpc, http, patience: PATIENCE })
    }
}

/// The receiver with its ports open.
#[derive(Debug)]
struct Listening {
    id: String,
    grpc: Option<(TcpListener, GrpcSettings)>,
    http: Option<(TcpListener, HttpSettings)>,
    /// How long a request waits for room in the pipelines.
    patience: Duration,
}

impl Listening {
    /// Answers until `stop`.
    async fn run(self, sink: MetricSink, stop: CancellationToken) {
        let intake = Intake::new(self.id, sink, self.patience);
        let grpc = async {
            let Some((listener, settings)) = self.grpc else { return };
            let options = ServerOptions {
                tls: settings.tls.clone(),
                max_streams: settings.max_streams,
                ..ServerOptions::new(Protocol::Grpc)
            };
            let service = grpc::service(settings, intake.clone());
            serve(listener, options, service, stop.clone()).await;
        };
        let http = async {
            let Some((listener, settings)) = self.http else { return };
            let options = ServerOptions {
                tls: settings.tls.clone(),
                header_timeout: settings.header_timeout,
                keep_alive: settings.keep_alive,
                ..ServerOptions::new(Protocol::Http)
            };
            let service = http::service(settings, intake.clone());
            serve(listener, options, service, stop.clone()).await;
        };
        tokio::join!(grpc, http);
    }
}

/// Clients wait 10 s as a rule, and collectors 5 s: they shall hear that there is no room,
/// rather than nothing.
const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
pub(crate) mod tests;
