//! The receiver against a small metadata endpoint.

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::Metrics;
use tokio::sync::mpsc;

use super::endpoint::MAX_BODY;
use super::*;
use crate::config::yaml;
use crate::test_server::{Reply, TestServer, dead_url};

const TASK: &str = r#"{"Cluster": "demo", "TaskARN": "arn:aws:ecs:eu-west-1:111122223333:task/demo/0123",
    "Containers": [{"DockerId": "a", "Name": "app", "Limits": {"CPU": 256, "Memory": 512}}]}"#;
const LONG: Duration = Duration::from_secs(30);
const STATS: &str = r#"{"a": {"id": "a", "memory_stats": {"usage": 2097152, "stats": {"cache": 1048576}}}}"#;

fn context(url: Option<&str>) -> BuildContext {
    let pairs = url.map(|url| ("ECS_CONTAINER_METADATA_URI_V4", url));
    BuildContext {
        env: pairs.into_iter().collect(),
        metrics: Arc::default(),
        version: "test",
        now_ns: 0,
        gates: Arc::default(),
        authenticators: Default::default(),
        handover: Default::default(),
    }
}

fn read(text: &str, cx: &BuildContext) -> Result<EcsReceiver, String> {
    let mut problems = Problems::new();
    let node = yaml::parse(text, &Arc::from("ecs.yaml"), &mut problems).unwrap();
    let id = ComponentId::parse("awsecscontainermetrics").unwrap();
    let receiver = EcsReceiver::read(&id, &node, cx, &mut problems);
    receiver.filter(|_| problems.is_empty()).ok_or_else(|| problems.render(false))
}

/// A running receiver: what it gives, and how to end it.
struct Running {
    batches: mpsc::Receiver<Metrics>,
    cx: BuildContext,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), ComponentError>>,
}

impl Running {
    fn start(url: &str) -> Self {
        Self::start_with(url, LONG)
    }

    fn start_with(url: &str, timeout: Duration) -> Self {
        let cx = context(Some(url));
        let receiver = read("collection_interval: 5ms", &cx).unwrap_or_else(|text| panic!("{text}"));
        let receiver = EcsReceiver { timeout, ..receiver };
        let (sender, batches) = mpsc::channel(16);
        let sink = MetricSink::new(receiver.id.clone(), vec![sender], Arc::clone(&cx.metrics));
        let stop = CancellationToken::new();
        let task = tokio::spawn(Box::new(receiver).run(sink, stop.clone()));
        Self { batches, cx, stop, task }
    }

    fn failures(&self) -> u64 {
        self.cx.metrics.failed_collections("awsecscontainermetrics")
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// Answers `/task` and `/task/stats`.
async fn endpoint(
    mut task: impl FnMut() -> Reply + Send + 'static,
    mut stats: impl FnMut() -> Reply + Send + 'static,
) -> TestServer {
    TestServer::start(move |seen| match seen.path.as_str() {
        "/v4/abc/task" => task(),
        "/v4/abc/task/stats" => stats(),
        other => Reply::Status(404, format!("no {other}")),
    })
    .await
}

fn ok(text: &str) -> Reply {
    Reply::Status(200, text.to_owned())
}

#[test]
fn the_interval_is_twenty_seconds_unless_configured() {
    let cx = context(None);
    assert_eq!(read("{}", &cx).map(|receiver| receiver.interval), Ok(Duration::from_secs(20)));
    assert_eq!(
        read("collection_interval: 15s", &cx).map(|receiver| receiver.interval),
        Ok(Duration::from_secs(15))
    );
}

#[test]
fn settings_that_cannot_work_are_errors() {
    let cx = context(None);
    let text = read("collection_interval: 0s", &cx).map(drop).unwrap_err();
    assert!(text.contains("collection_interval must be greater than 0"), "{text}");
    let text = read("collection_intervall: 1s", &cx).map(drop).unwrap_err();
    assert!(text.contains("collection_interval"), "{text}");
}

#[tokio::test]
async fn without_an_endpoint_the_start_fails_as_upstream_says_it() {
    for (url, reason) in [
        (None, "endpoint is empty"),
        (Some(""), "endpoint is empty"),
        (Some("169.254.170.2/v4"), "\"169.254.170.2/v4\" is not a URL"),
        (Some("ftp://host/v4"), "\"ftp://host/v4\" is not an http URL with a host"),
    ] {
        let cx = context(url);
        let receiver = read("{}", &cx).unwrap_or_else(|text| panic!("{text}"));
        let (sender, _batches) = mpsc::channel(1);
        let sink = MetricSink::new("ecs".into(), vec![sender], Arc::clone(&cx.metrics));
        let error = Box::new(receiver).run(sink, CancellationToken::new()).await.unwrap_err().to_string();
        let expected = format!(
            "unable to detect task metadata endpoint: no valid endpoint for environment variable \
             ECS_CONTAINER_METADATA_URI_V4: {reason}; "
        );
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[tokio::test]
async fn each_container_and_then_the_task_leave_as_batches_of_one_time() {
    let server = endpoint(|| ok(TASK), || ok(STATS)).await;
    let mut running = Running::start(&format!("{}/v4/abc/", server.url()));
    let container = running.batches.recv().await.unwrap().into_batch();
    let task = running.batches.recv().await.unwrap().into_batch();
    let names = |batch: &MetricBatch| -> Vec<String> {
        batch.metrics().map(|metric| metric.name.to_string()).collect()
    };
    assert_eq!((container.metric_count(), task.metric_count()), (26, 28));
    assert!(names(&container).iter().all(|name| name.starts_with("container.")));
    assert!(names(&task).iter().all(|name| name.starts_with("ecs.task.")));
    let time = |batch: &MetricBatch| {
        let mut times = HashSet::new();
        for metric in batch.metrics() {
            metric.each_point(|point| {
                let _ = times.insert(point.time_ns());
            });
        }
        assert_eq!(times.len(), 1);
        times.into_iter().next()
    };
    assert_eq!(time(&container), time(&task));
    let paths: Vec<String> = server.seen().into_iter().map(|seen| seen.path).take(2).collect();
    assert_eq!(paths, ["/v4/abc/task", "/v4/abc/task/stats"]);
    assert_eq!(running.failures(), 0);
    running.end().await;
}

/// Whatever comes before, the collection after it works.
async fn recovers(timeout: Duration, mut bad: impl FnMut() -> Reply + Send + 'static) {
    let mut calls = 0;
    let stats = move || {
        calls += 1;
        if calls == 1 { bad() } else { ok(STATS) }
    };
    let server = endpoint(|| ok(TASK), stats).await;
    let mut running = Running::start_with(&format!("{}/v4/abc", server.url()), timeout);
    assert_eq!(running.batches.recv().await.unwrap().into_batch().metric_count(), 26);
    assert!(running.failures() >= 1);
    running.end().await;
}

#[tokio::test]
async fn a_failed_collection_is_counted_and_the_next_one_works() {
    recovers(LONG, || Reply::Status(500, "out of order".into())).await;
    recovers(LONG, || ok(r#"{"a": {"id": "#)).await;
    recovers(LONG, || ok("null")).await;
    recovers(LONG, || ok(r#"{"a": {"id": 1}}"#)).await;
    recovers(LONG, || ok(&format!("{STATS}{STATS}"))).await;
    recovers(Duration::from_millis(100), || Reply::Hang).await;
    recovers(LONG, || ok(&format!("{{\"x\": \"{}\"}}", "y".repeat(MAX_BODY)))).await;
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_counted_at_each_tick() {
    let url = dead_url().await;
    let running = Running::start(&url);
    while running.failures() < 2 {
        tokio::task::yield_now().await;
    }
    running.end().await;
}

#[tokio::test]
async fn containers_without_statistics_leave_the_task_alone() {
    let server = endpoint(|| ok(TASK), || ok(r#"{"a": null}"#)).await;
    let mut running = Running::start(&format!("{}/v4/abc", server.url()));
    assert_eq!(running.batches.recv().await.unwrap().into_batch().metric_count(), 28);
    assert_eq!(running.batches.recv().await.unwrap().into_batch().metric_count(), 28);
    running.end().await;
}
