//! What the running collector costs: memory and processor time of the release binary with
//! the EKS document and with the published ECS document, read from `/proc` (Linux).
//!
//! The bench serves the kubelet's exposition and takes the place of CloudWatch Logs; for ECS
//! it is the application, the task metadata endpoint and, over HTTPS, the store. It needs
//! `cargo build --release -p otelpipe-collector` before, and says so.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use otelpipe_benches::http::{Answer, serve};
use otelpipe_benches::process::{Memory, Running, collector};
use otelpipe_benches::{eks, file, tls};
use otelpipe_collector::replay::recording;
use rustls::{ServerConnection, StreamOwned};

/// What one 350-line target may cost.
const LIMIT_KIB: u64 = 20 * 1024;

/// What a sidecar on ECS may cost.
const ECS_LIMIT_KIB: u64 = 16 * 1024;

/// Scrapes before the one-time work is taken to be done.
const WARM_UP: u64 = 2;

/// How long to wait for the collector to do anything.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    // As criterion's: cargo passes `--bench` when figures are wanted.
    let told = |flag: &str| std::env::args().any(|argument| argument == flag);
    let testing = told("--test") || !told("--bench");
    let Some(binary) = collector().filter(|_| cfg!(target_os = "linux")) else {
        eprintln!("resident: no release binary; run `cargo build --release -p otelpipe-collector` before");
        return if testing { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    };
    let scrapes = if testing { 2 } else { 10 };
    let body = recorded();
    let eks = |name, copies, sends| {
        let limit_kib = (copies <= 1).then_some(LIMIT_KIB);
        Work { name, document: Document::Eks { copies, sends }, limit_kib }
    };
    let work = [
        eks("idle, no target", 0, false),
        eks("346 samples, to stdout", 1, false),
        eks("346 samples, to CloudWatch Logs", 1, true),
        eks("10,000 samples, to CloudWatch Logs", 30, true),
        Work {
            name: "ECS document, 210 samples and the task",
            document: Document::Ecs,
            limit_kib: Some(ECS_LIMIT_KIB),
        },
    ];
    println!(
        "{:38} {:>9} {:>9} {:>9} {:>12} {:>12}",
        "resident", "RSS", "peak", "anonymous", "CPU/scrape", "CPU at start"
    );
    let mut light = true;
    for work in work {
        match work.measure(&binary, &body, scrapes) {
            Ok(cost) => {
                println!("{:38} {cost}", work.name);
                if let Some(limit) = work.limit_kib.filter(|limit| cost.memory.peak_kib >= *limit) {
                    eprintln!("resident: {}: {} MiB or more", work.name, limit / 1024);
                    light = false;
                }
            }
            Err(error) => {
                eprintln!("resident: {}: {error}", work.name);
                return ExitCode::FAILURE;
            }
        }
    }
    // A test may run the unoptimised binary, whose pages are many more.
    if light || testing { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The body of a recorded scrape.
fn recorded() -> String {
    let run = file("examples/collector/tests/data/golden/eks-fargate");
    let scrapes = recording::find(&[run]).expect("the recorded run");
    String::from_utf8(scrapes[0].body().expect("a body")).expect("UTF-8")
}

struct Work {
    name: &'static str,
    document: Document,
    /// What it may take at its peak.
    limit_kib: Option<u64>,
}

enum Document {
    /// The document for EKS.
    Eks {
        /// How often the recorded target is there.
        copies: usize,
        /// To CloudWatch Logs, or to standard output.
        sends: bool,
    },
    /// The whole document for ECS, to a store over HTTPS.
    Ecs,
}

/// Read while the collector runs, before it is stopped.
struct Cost {
    memory: Memory,
    start: Duration,
    /// `None` without a target.
    scrape: Option<Duration>,
}

impl fmt::Display for Cost {
    #[expect(clippy::cast_precision_loss, reason = "printed with one digit")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |kib: u64| format!("{:.1} MiB", kib as f64 / 1024.0);
        let scrape = self.scrape.map_or("-".into(), |time| format!("{:.2} ms", time.as_secs_f64() * 1e3));
        write!(
            f,
            "{:>9} {:>9} {:>9} {scrape:>12} {:>9} ms",
            mib(self.memory.rss_kib),
            mib(self.memory.peak_kib),
            mib(self.memory.anonymous_kib),
            self.start.as_millis()
        )
    }
}

impl Work {
    fn measure(&self, binary: &Path, body: &str, scrapes: u64) -> io::Result<Cost> {
        let server = Server::start(match self.document {
            Document::Eks { copies, .. } => multiplied(body, copies),
            Document::Ecs => application(),
        })?;
        let folder = std::env::temp_dir().join(format!("otelpipe-resident-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let config = folder.join("config.yaml");
        std::fs::write(&config, self.config(&server))?;
        // As on a real machine, the authority of the store is one of many.
        let roots = folder.join("roots.pem");
        std::fs::write(
            &roots,
            std::fs::read_to_string(AUTHORITIES).unwrap_or_default() + &server.certificate,
        )?;
        let child = Command::new(binary)
            .arg("--config")
            .arg(&config)
            // Another collector of this machine may have the usual port.
            .arg("--set=service.telemetry.metrics.address=127.0.0.1:0")
            .env_clear()
            .envs(eks::ENV)
            .env("SSL_CERT_FILE", &roots)
            .env("ECS_CONTAINER_METADATA_URI_V4", format!("http://127.0.0.1:{}/v4/abc", server.port))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut running = Running::new(child);
        let cost = self.watch(&mut running, &server, scrapes);
        drop(running);
        std::fs::remove_dir_all(&folder)?;
        cost
    }

    fn watch(&self, running: &mut Running, server: &Server, scrapes: u64) -> io::Result<Cost> {
        if matches!(self.document, Document::Eks { copies: 0, .. }) {
            std::thread::sleep(Duration::from_secs(2));
            return Ok(Cost { start: running.on_cpu()?, memory: running.memory()?, scrape: None });
        }
        server.wait(1)?;
        let start = running.on_cpu()?;
        server.wait(1 + WARM_UP)?;
        let before = running.on_cpu()?;
        server.wait(1 + WARM_UP + scrapes)?;
        // Up to here the processing of as many scrapes was counted: all but the one just asked for.
        let worked = running.on_cpu()? - before;
        let rounds = u32::try_from(scrapes).expect("a few");
        let sends = !matches!(self.document, Document::Eks { sends: false, .. });
        if sends && server.pushes.load(Ordering::Relaxed) == 0 {
            return Err(io::Error::other("nothing was sent"));
        }
        Ok(Cost { memory: running.memory()?, start, scrape: Some(worked / rounds) })
    }

    fn config(&self, server: &Server) -> String {
        match self.document {
            Document::Eks { copies, sends } => eks_document(copies, sends, server.port),
            Document::Ecs => ecs_document(server),
        }
    }
}

/// The published document with these addresses, every second.
fn ecs_document(server: &Server) -> String {
    let path = file("examples/collector/tests/data/configs/ecs-amp.yaml");
    let document = std::fs::read_to_string(path).expect("the published configuration");
    let store = format!("https://127.0.0.1:{}/workspaces", server.store_port);
    let replacements = [
        ("scrape_interval: 30s", "scrape_interval: 1s"),
        ("scrape_timeout: 20s", "scrape_timeout: 1s"),
        ("collection_interval: 20s", "collection_interval: 1s"),
        ("0.0.0.0:8081", &format!("127.0.0.1:{}", server.port)),
        ("https://aps-workspaces.ap-northeast-1.amazonaws.com/workspaces", &store),
        ("  health_check:", "  health_check:\n    endpoint: 127.0.0.1:0"),
        ("  sigv4auth:", "  sigv4auth: {region: us-west-2, service: aps}"),
    ];
    replacements.iter().fold(document, |document, (from, to)| {
        assert!(document.contains(from), "the document has no {from}");
        document.replace(from, to)
    })
}

/// The recorded run's document with this target, every second.
fn eks_document(copies: usize, sends: bool, port: u16) -> String {
    let path = file("examples/collector/tests/data/golden/eks-fargate/config.yaml");
    let text = std::fs::read_to_string(path).expect("the run's configuration");
    let (head, rest) = text.split_once("        sample_limit:").expect("the job's limit");
    let (_, tail) = rest.split_once("        metric_relabel_configs:").expect("the rules for samples");
    let targets = if copies == 0 { String::new() } else { format!("'127.0.0.1:{port}'") };
    let job = format!(
        "        static_configs:\n        - targets: [{targets}]\n          labels: {{node: n, \
         kubernetes_io_hostname: n, eks_amazonaws_com_compute_type: fargate}}\n        metric_relabel_configs:"
    );
    let sink = if sends {
        format!("endpoint: http://127.0.0.1:{port}")
    } else {
        "output_destination: stdout".to_owned()
    };
    [head, &job, tail]
        .concat()
        .replace("scrape_interval: 5s", "scrape_interval: 1s")
        .replace("scrape_timeout: 4s", "scrape_timeout: 1s")
        .replace("timeout: 1s\n\nexporters", "timeout: 200ms\n\nexporters")
        .replace("detectors: [env, eks]", "detectors: [env]")
        .replace("endpoint: http://127.0.0.1:18080", &sink)
        .replace("  health_check:\n", "  health_check:\n    endpoint: 127.0.0.1:0\n")
}

/// The body with every cgroup as often as `copies` says, under other ids and pods.
fn multiplied(body: &str, copies: usize) -> String {
    let mut all = String::with_capacity(body.len() * copies);
    for line in body.lines() {
        let often = if line.starts_with('#') || !line.contains("id=\"") { copies.min(1) } else { copies };
        for copy in 0..often {
            if copy == 0 {
                all.push_str(line);
            } else {
                let line = line.replace("id=\"/", &format!("id=\"/{copy}/"));
                all.push_str(&line.replace("pod=\"", &format!("pod=\"{copy}-")));
            }
            all.push('\n');
        }
    }
    all
}

/// The recorded application ten times, under other names.
fn application() -> String {
    let path = file("otelpipe-prom/tests/data/golden/ecs-amp/expositions/app.0000.txt");
    let body = std::fs::read_to_string(path).expect("the recorded run");
    let mut all = String::new();
    for copy in 0..10 {
        for line in body.lines() {
            let about = ["# TYPE ", "# HELP "].into_iter().find(|about| line.starts_with(about));
            let (about, line) = line.split_at(about.map_or(0, str::len));
            all.push_str(&format!("{about}copy{copy}_{line}\n"));
        }
    }
    all
}

/// The authorities that this machine trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A kubelet, an application, a task's metadata endpoint and CloudWatch Logs on one port: GET
/// is answered with the exposition of now, or what the endpoint said in a recorded run,
/// anything else as CloudWatch answers a push. A store over HTTPS on another port.
struct Server {
    port: u16,
    store_port: u16,
    /// That of the store, PEM.
    certificate: String,
    scrapes: Arc<AtomicU64>,
    pushes: Arc<AtomicU64>,
}

impl Server {
    fn start(body: String) -> io::Result<Self> {
        let (plain, store) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
        let (tls, certificate) = tls::localhost()?;
        let server = Self {
            port: plain.local_addr()?.port(),
            store_port: store.local_addr()?.port(),
            certificate,
            scrapes: Arc::default(),
            pushes: Arc::default(),
        };
        let (scrapes, pushes) = (Arc::clone(&server.scrapes), Arc::clone(&server.pushes));
        let body = Arc::new(body);
        let answering =
            Answering { body: Arc::clone(&body), scrapes: Arc::clone(&scrapes), pushes: Arc::clone(&pushes) };
        let of_store = Answering { body, scrapes, pushes };
        std::thread::spawn(move || {
            for stream in plain.incoming().flatten() {
                let answering = answering.clone();
                std::thread::spawn(move || answering.run(stream));
            }
        });
        std::thread::spawn(move || {
            for stream in store.incoming().flatten() {
                let (answering, tls) = (of_store.clone(), Arc::clone(&tls));
                std::thread::spawn(move || {
                    let connection = ServerConnection::new(tls).expect("the settings are good");
                    answering.run(StreamOwned::new(connection, stream));
                });
            }
        });
        Ok(server)
    }

    /// Waits until that many scrapes were asked for.
    fn wait(&self, scrapes: u64) -> io::Result<()> {
        let since = Instant::now();
        while self.scrapes.load(Ordering::Relaxed) < scrapes {
            if since.elapsed() > PATIENCE {
                return Err(io::Error::other("the collector does not scrape"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// What the connections share.
#[derive(Clone)]
struct Answering {
    body: Arc<String>,
    scrapes: Arc<AtomicU64>,
    pushes: Arc<AtomicU64>,
}

impl Answering {
    /// Answers one connection. That it ends in the middle is the collector's affair.
    fn run(self, stream: impl Read + Write) {
        let mut polls = 0;
        let _ = serve(stream, |request| {
            // Counted before it is answered: what is measured up to here are the scrapes before.
            if request.method != "GET" {
                self.pushes.fetch_add(1, Ordering::Relaxed);
                let content = Arc::from(*b"{}");
                return Some(Answer { kind: "application/x-amz-json-1.1", gzip: false, content });
            }
            if let Some(of_task) = request.path.strip_prefix("/v4/abc/task") {
                polls += usize::from(of_task == "/stats");
                let content = recorded_task(of_task, polls).into();
                return Some(Answer { kind: "application/json", gzip: false, content });
            }
            self.scrapes.fetch_add(1, Ordering::Relaxed);
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            let content = pack(&exposition(&self.body), request.gzip).into();
            Some(Answer { kind, gzip: request.gzip, content })
        });
    }
}

/// What the metadata endpoint said: the task, or the statistics of its containers.
fn recorded_task(what: &str, polls: usize) -> Vec<u8> {
    let name =
        if what == "/stats" { format!("task-stats.{:04}.json", polls % 9) } else { "task.json".into() };
    let folder = file("examples/collector/tests/data/golden/ecs-amp/metadata");
    std::fs::read(folder.join(name)).expect("the recorded run")
}

/// The body with its timestamps set to now.
fn exposition(body: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
    let mut fresh = String::with_capacity(body.len());
    for line in body.lines() {
        match line.rsplit_once(' ') {
            Some((series, stamp)) if stamp.len() == 13 && stamp.bytes().all(|byte| byte.is_ascii_digit()) => {
                fresh.push_str(&format!("{series} {now}\n"));
            }
            _ => {
                fresh.push_str(line);
                fresh.push('\n');
            }
        }
    }
    fresh
}

fn pack(text: &str, gzip: bool) -> Vec<u8> {
    if !gzip {
        return text.as_bytes().to_vec();
    }
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).expect("memory takes all");
    packer.finish().expect("memory takes all")
}
