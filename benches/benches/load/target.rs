//! The API server of a made-up cluster: every node's cAdvisor page over TLS 1.3, packed
//! with gzip. Pages are written and packed before the run, so that answering costs little.

use core::time::Duration;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use otelpipe_benches::cadvisor::Page;
use otelpipe_benches::http::{Answer, serve};
use otelpipe_benches::tls;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What is served, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) nodes: usize,
    /// Samples of each node.
    pub(crate) samples: usize,
    pub(crate) interval: Duration,
    /// How many scrapes of each node can be answered.
    pub(crate) scrapes: usize,
}

/// The server; it answers until the end of this program.
pub(crate) struct Targets {
    /// Host and port.
    pub(crate) address: String,
    pub(crate) size: Size,
    pages: Vec<Page>,
    shared: Arc<Shared>,
}

struct Shared {
    /// By node and scrape.
    answers: Vec<Vec<Answer>>,
    served: Mutex<Served>,
    changed: Condvar,
}

#[derive(Default)]
struct Served {
    /// Scrapes by node.
    scrapes: Vec<usize>,
    /// No further scrape is answered.
    held: bool,
}

impl Targets {
    /// Makes the pages, for scrapes that begin now, and serves them with a certificate that
    /// is written to `account`.
    pub(crate) fn start(size: Size, account: &Path) -> io::Result<Self> {
        let pages: Vec<Page> = (0..size.nodes).map(|node| Page::new(node as u64, size.samples)).collect();
        let begin = Instant::now();
        packed(&pages[0], 0, 0)?;
        let work = begin.elapsed() * u32::try_from(size.nodes * size.scrapes).expect("a few");
        // Two threads, with some room. What cAdvisor read should not be much older than the scrape.
        let begin = Instant::now() + work * 3 / 5;
        let begin_ms = now_ms() + ms(begin.saturating_duration_since(Instant::now()));
        let answers = |page: &Page| -> io::Result<Vec<Answer>> {
            (0..size.scrapes)
                .map(|scrape| packed(page, scrape, begin_ms + ms(size.interval) * scrape as i64))
                .collect()
        };
        let (first, second) = pages.split_at(size.nodes / 2);
        let answers = std::thread::scope(|scope| {
            let all = |pages: &[Page]| pages.iter().map(answers).collect::<io::Result<Vec<_>>>();
            let other = scope.spawn(move || all(second));
            let mut answers = all(first)?;
            answers.extend(other.join().expect("packing does not panic")?);
            io::Result::Ok(answers)
        })?;
        std::thread::sleep(begin.saturating_duration_since(Instant::now()));

        let served = Served { scrapes: vec![0; size.nodes], held: false };
        let shared = Arc::new(Shared { answers, served: Mutex::new(served), changed: Condvar::new() });
        let tls = certified(account)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let answering = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, tls) = (Arc::clone(&answering), Arc::clone(&tls));
                std::thread::spawn(move || shared.serve(stream, tls));
            }
        });
        Ok(Self { address, size, pages, shared })
    }

    /// The text of a node's scrape, with whatever times.
    pub(crate) fn text(&self, node: usize, scrape: usize, at_ms: i64, out: &mut Vec<u8>) {
        self.pages[node].write(scrape as u64, at_ms, out);
    }

    /// Scrapes so far, by node.
    pub(crate) fn served(&self) -> Vec<usize> {
        self.shared.lock().scrapes.clone()
    }

    /// Samples served so far.
    pub(crate) fn samples(&self) -> u64 {
        let scrapes: usize = self.served().iter().sum();
        (scrapes * self.size.samples) as u64
    }

    /// Waits until every node was scraped so often.
    pub(crate) fn wait(&self, scrapes: usize, patience: Duration) -> io::Result<()> {
        let all = |served: &mut Served| served.scrapes.iter().any(|count| *count < scrapes);
        let served = self.shared.lock();
        let (served, late) =
            self.shared.changed.wait_timeout_while(served, patience, all).expect("no thread panics");
        if late.timed_out() {
            return Err(io::Error::other(format!(
                "not every node was scraped {scrapes} times: {:?}",
                served.scrapes
            )));
        }
        Ok(())
    }

    /// From now on scrapes are not answered.
    pub(crate) fn hold(&self) {
        self.shared.lock().held = true;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Served> {
        self.served.lock().expect("no thread panics")
    }

    /// Answers one connection. That it ends in the middle is the client's affair.
    fn serve(&self, stream: TcpStream, tls: Arc<ServerConfig>) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let stream = StreamOwned::new(ServerConnection::new(tls).ok()?, stream);
        serve(stream, |request| {
            let node: usize =
                request.path.strip_prefix("/api/v1/nodes/node-")?.split_once('/')?.0.parse().ok()?;
            assert!(request.gzip, "a scraper takes gzip");
            let mut served = self.lock();
            let scrape = *served.scrapes.get(node)?;
            let answer = self.answers[node].get(scrape).filter(|_| !served.held)?;
            served.scrapes[node] += 1;
            self.changed.notify_all();
            Some(answer.clone())
        })
        .ok()
    }
}

/// A page as the kubelet packs it.
fn packed(page: &Page, scrape: usize, at_ms: i64) -> io::Result<Answer> {
    let mut text = Vec::with_capacity(page.samples() * 450);
    page.write(scrape as u64, at_ms, &mut text);
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(&text)?;
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(Answer { kind, gzip: true, content: packer.finish()?.into() })
}

/// TLS with a new certificate for 127.0.0.1, which `account` then holds as its `ca.crt`
/// beside a token.
fn certified(account: &Path) -> io::Result<Arc<ServerConfig>> {
    let (config, certificate) = tls::localhost()?;
    std::fs::write(account.join("ca.crt"), certificate)?;
    std::fs::write(account.join("token"), "an example, no secret")?;
    Ok(config)
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).expect("no long time")
}

fn now_ms() -> i64 {
    ms(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
