//! What the running collector costs: memory and processor time of the release binary with
//! the EKS document, read from `/proc` (Linux).
//!
//! The bench serves the kubelet's exposition and takes the place of CloudWatch Logs. It
//! needs `cargo build --release -p otelpipe-collector` before, and says so.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use otelpipe_benches::http::{Answer, serve};
use otelpipe_benches::process::{Memory, Running, collector};
use otelpipe_benches::{eks, file};
use otelpipe_collector::replay::recording;

/// What one 350-line target may cost, bytes.
const LIMIT_KIB: u64 = 20 * 1024;

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
    let work = [
        Work { name: "idle, no target", copies: 0, sends: false },
        Work { name: "346 samples, to stdout", copies: 1, sends: false },
        Work { name: "346 samples, to CloudWatch Logs", copies: 1, sends: true },
        Work { name: "10,000 samples, to CloudWatch Logs", copies: 30, sends: true },
    ];
    println!(
        "{:36} {:>9} {:>9} {:>9} {:>12} {:>12}",
        "resident", "RSS", "peak", "anonymous", "CPU/scrape", "CPU at start"
    );
    let mut light = true;
    for work in work {
        match work.measure(&binary, &body, scrapes) {
            Ok(cost) => {
                println!("{:36} {cost}", work.name);
                light &= work.copies > 1 || cost.memory.peak_kib < LIMIT_KIB;
            }
            Err(error) => {
                eprintln!("resident: {}: {error}", work.name);
                return ExitCode::FAILURE;
            }
        }
    }
    // A test may run the unoptimised binary, whose pages are many more.
    if !light && !testing {
        eprintln!("resident: a small collector needs more than {} MiB", LIMIT_KIB / 1024);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The body of a recorded scrape.
fn recorded() -> String {
    let run = file("examples/collector/tests/data/golden/eks-fargate");
    let scrapes = recording::find(&[run]).expect("the recorded run");
    String::from_utf8(scrapes[0].body().expect("a body")).expect("UTF-8")
}

struct Work {
    name: &'static str,
    /// How often the recorded target is there.
    copies: usize,
    /// To CloudWatch Logs, or to standard output.
    sends: bool,
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
        let server = Server::start(multiplied(body, self.copies))?;
        let folder = std::env::temp_dir().join(format!("otelpipe-resident-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let config = folder.join("config.yaml");
        std::fs::write(&config, self.config(server.port))?;
        let child = Command::new(binary)
            .arg("--config")
            .arg(&config)
            .env_clear()
            .envs(eks::ENV)
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
        if self.copies == 0 {
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
        if self.sends && server.pushes.load(Ordering::Relaxed) == 0 {
            return Err(io::Error::other("nothing was sent to CloudWatch Logs"));
        }
        Ok(Cost { memory: running.memory()?, start, scrape: Some(worked / rounds) })
    }

    /// The recorded run's document with this target, every second.
    fn config(&self, port: u16) -> String {
        let path = file("examples/collector/tests/data/golden/eks-fargate/config.yaml");
        let text = std::fs::read_to_string(path).expect("the run's configuration");
        let (head, rest) = text.split_once("        sample_limit:").expect("the job's limit");
        let (_, tail) = rest.split_once("        metric_relabel_configs:").expect("the rules for samples");
        let targets = if self.copies == 0 { String::new() } else { format!("'127.0.0.1:{port}'") };
        let job = format!(
            "        static_configs:\n        - targets: [{targets}]\n          labels: {{node: n, \
             kubernetes_io_hostname: n, eks_amazonaws_com_compute_type: fargate}}\n        metric_relabel_configs:"
        );
        let sink = if self.sends {
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

/// A kubelet and CloudWatch Logs on one port: GET is answered with the exposition of now,
/// anything else as CloudWatch answers a push.
struct Server {
    port: u16,
    scrapes: Arc<AtomicU64>,
    pushes: Arc<AtomicU64>,
}

impl Server {
    fn start(body: String) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server =
            Self { port: listener.local_addr()?.port(), scrapes: Arc::default(), pushes: Arc::default() };
        let (scrapes, pushes) = (Arc::clone(&server.scrapes), Arc::clone(&server.pushes));
        let body = Arc::new(body);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (body, scrapes, pushes) = (Arc::clone(&body), Arc::clone(&scrapes), Arc::clone(&pushes));
                std::thread::spawn(move || answer(stream, &body, &scrapes, &pushes));
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

/// Answers one connection. That it ends in the middle is the collector's affair.
fn answer(stream: TcpStream, body: &str, scrapes: &AtomicU64, pushes: &AtomicU64) {
    let _ = serve(stream, |request| {
        // Counted before it is answered: what is measured up to here are the scrapes before.
        if request.method != "GET" {
            pushes.fetch_add(1, Ordering::Relaxed);
            let content = Arc::from(*b"{}");
            return Some(Answer { kind: "application/x-amz-json-1.1", gzip: false, content });
        }
        scrapes.fetch_add(1, Ordering::Relaxed);
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        Some(Answer { kind, gzip: request.gzip, content: pack(&exposition(body), request.gzip).into() })
    });
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
