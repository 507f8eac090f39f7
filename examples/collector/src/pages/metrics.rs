//! `/metrics`: the collector's metrics about itself.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{listen, serve};
use crate::component::ComponentError;
use crate::own_metrics::{Naming, OwnMetrics};
use crate::telemetry::MetricsReader;

/// The servers of the readers that the configuration has; they stop with [`Servers::stop`].
#[derive(Debug)]
pub struct Servers {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Servers {
    /// Opens the ports of all readers.
    ///
    /// # Errors
    ///
    /// A port cannot be opened. The collector does not start, as upstream.
    pub async fn start(readers: &[MetricsReader], metrics: &Arc<OwnMetrics>) -> Result<Self, ComponentError> {
        let mut servers = Self { stop: CancellationToken::new(), tasks: Vec::new() };
        for MetricsReader { endpoint, naming } in readers {
            let listener = match listen(endpoint).await {
                Ok(listener) => listener,
                Err(error) => {
                    servers.stop().await;
                    return Err(ComponentError(format!(
                        "binding address {endpoint} for the collector's own metrics: {error}; is another collector \
                         running? Choose another port in service.telemetry.metrics.readers \
                         (pull.exporter.prometheus.port), or set service.telemetry.metrics.level to none"
                    )));
                }
            };
            tracing::debug!(endpoint, "serving own metrics at /metrics");
            let (metrics, naming) = (Arc::clone(metrics), *naming);
            let answer = move |path: &str| answer(path, &metrics, naming);
            servers.tasks.push(tokio::spawn(serve(listener, answer, servers.stop.clone())));
        }
        Ok(servers)
    }

    /// Closes all ports; they can be opened again when this returns.
    pub async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// Source: `promhttp.HandlerFor`, which knows the text format alone when nothing else is asked of it.
fn answer(path: &str, metrics: &OwnMetrics, naming: Naming) -> Response<Full<Bytes>> {
    let (status, kind, body) = if path == "/metrics" {
        (
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            metrics.page(naming),
        )
    } else {
        (StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n".to_owned())
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Request;

    use super::*;
    use crate::http_client::{HttpClient, HttpOptions, Limits};

    async fn get(url: &str) -> (u16, String) {
        let http = HttpClient::new(&HttpOptions::default()).unwrap();
        let limits = Limits { timeout: Duration::from_secs(5), max_body: 1 << 20 };
        let answer = http.fetch(Request::get(url).body(Bytes::new()).unwrap(), limits).await.unwrap();
        (answer.status().as_u16(), String::from_utf8(answer.body().to_vec()).unwrap())
    }

    async fn free_port() -> u16 {
        listen("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
    }

    #[tokio::test]
    async fn each_reader_has_its_port_and_its_names() {
        let metrics = Arc::new(OwnMetrics::default());
        metrics.receiver_accepted("prometheus", 3);
        let endpoints = [free_port().await, free_port().await].map(|port| format!("127.0.0.1:{port}"));
        let suffixes = Naming { without_units: false, without_type_suffix: false };
        let readers = [
            MetricsReader { endpoint: endpoints[0].clone(), naming: Naming::default() },
            MetricsReader { endpoint: endpoints[1].clone(), naming: suffixes },
        ];
        let servers = Servers::start(&readers, &metrics).await.unwrap();
        let has = |page: &str, line: &str| assert!(page.lines().any(|other| other == line), "{page}");
        let (status, page) = get(&format!("http://{}/metrics", endpoints[0])).await;
        assert_eq!(status, 200);
        has(&page, "otelcol_receiver_accepted_metric_points{receiver=\"prometheus\",transport=\"http\"} 3");
        let (_, page) = get(&format!("http://{}/metrics", endpoints[1])).await;
        has(
            &page,
            "otelcol_receiver_accepted_metric_points_total{receiver=\"prometheus\",transport=\"http\"} 3",
        );
        assert_eq!(get(&format!("http://{}/", endpoints[0])).await.0, 404);
        servers.stop().await;
        // The ports are free again.
        Servers::start(&readers, &metrics).await.unwrap().stop().await;
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error_that_says_what_to_do() {
        let taken = listen("127.0.0.1:0").await.unwrap();
        let endpoint = taken.local_addr().unwrap().to_string();
        let reader = MetricsReader { endpoint: endpoint.clone(), naming: Naming::default() };
        let error =
            Servers::start(&[reader], &Arc::new(OwnMetrics::default())).await.unwrap_err().to_string();
        let begin =
            format!("binding address {endpoint} for the collector's own metrics: Address already in use");
        assert!(error.starts_with(&begin) && error.contains("pull.exporter.prometheus.port"), "{error}");
    }
}
