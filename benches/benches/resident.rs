//! What the running collector costs: memory and processor time of the release binary with
//! the EKS document, read from `/proc` (Linux).
//!
//! The bench serves the kubelet's exposition and takes the place of CloudWatch Logs. It
//! needs `cargo build --release -p otelpipe-collector` before, and says so.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use otelpipe_benches::file;
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
    let Some(binary) = binary().filter(|_| cfg!(target_os = "linux")) else {
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
                light &= work.copies > 1 || cost.peak_kib < LIMIT_KIB;
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

/// The collector beside this bench, in `target/release`.
fn binary() -> Option<PathBuf> {
    let bench = std::env::current_exe().ok()?;
    Some(bench.parent()?.parent()?.join("otelpipe")).filter(|path| path.is_file())
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
    rss_kib: u64,
    peak_kib: u64,
    anonymous_kib: u64,
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
            mib(self.rss_kib),
            mib(self.peak_kib),
            mib(self.anonymous_kib),
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
            .envs([
                ("OTEL_RESOURCE_ATTRIBUTES", "ClusterName=c"),
                ("AWS_REGION", "us-west-2"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
                ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", "an example, no secret"),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut running = Running(child);
        let cost = self.watch(&mut running, &server, scrapes);
        drop(running);
        std::fs::remove_dir_all(&folder)?;
        cost
    }

    fn watch(&self, running: &mut Running, server: &Server, scrapes: u64) -> io::Result<Cost> {
        if self.copies == 0 {
            std::thread::sleep(Duration::from_secs(2));
            return running.cost(None, Duration::ZERO);
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
        running.cost(Some(worked / rounds), start)
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

/// The collector; it ends with this value.
struct Running(Child);

impl Running {
    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0.id()))
    }

    /// How long all of its threads have worked.
    fn on_cpu(&self) -> io::Result<Duration> {
        let mut nanos = 0;
        for thread in std::fs::read_dir(self.proc("task"))? {
            let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            nanos += text.split(' ').next().and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
        }
        Ok(Duration::from_nanos(nanos))
    }

    fn cost(&mut self, scrape: Option<Duration>, start: Duration) -> io::Result<Cost> {
        if let Some(status) = self.0.try_wait()? {
            return Err(io::Error::other(format!("the collector ended: {status}")));
        }
        let status = std::fs::read_to_string(self.proc("status"))?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            number.ok_or_else(|| io::Error::other(format!("no {name} in /proc")))
        };
        let start = if start.is_zero() { self.on_cpu()? } else { start };
        Ok(Cost {
            rss_kib: kib("VmRSS")?,
            peak_kib: kib("VmHWM")?,
            anonymous_kib: kib("RssAnon")?,
            start,
            scrape,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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

/// Answers the requests of one connection until it ends.
fn answer(stream: TcpStream, body: &str, scrapes: &AtomicU64, pushes: &AtomicU64) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let (mut line, mut length, mut gzip, mut get) = (String::new(), 0_u64, false, None);
        while reader.read_line(&mut line).ok()? > 0 && line != "\r\n" {
            get.get_or_insert(line.starts_with("GET "));
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            gzip |= lower.starts_with("accept-encoding:") && lower.contains("gzip");
            line.clear();
        }
        io::copy(&mut (&mut reader).take(length), &mut io::sink()).ok()?;
        let (content, kind) = if get? {
            (pack(&exposition(body), gzip)?, "text/plain; version=0.0.4; charset=utf-8")
        } else {
            (b"{}".to_vec(), "application/x-amz-json-1.1")
        };
        let packed = if gzip && get? { "Content-Encoding: gzip\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{packed}Content-Length: {}\r\n\r\n",
            content.len()
        );
        // Counted before it is answered: what is measured up to here are the scrapes before.
        if get? { scrapes } else { pushes }.fetch_add(1, Ordering::Relaxed);
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(&content).ok()?;
    }
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

fn pack(text: &str, gzip: bool) -> Option<Vec<u8>> {
    if !gzip {
        return Some(text.as_bytes().to_vec());
    }
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).ok()?;
    packer.finish().ok()
}
