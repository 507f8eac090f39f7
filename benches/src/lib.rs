//! What the benches share: where the input data is and how it is read.

use core::time::Duration;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

/// The content of `data/NAME.gz`.
///
/// # Panics
///
/// If the file is missing or no gzip.
pub fn body(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(format!("{name}.gz"));
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut body = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut body).expect("data files are gzip");
    body
}

/// Runs `routine` `rounds` times and says how long this thread worked on it, for
/// `Bencher::iter_custom`: on a shared machine wall time says more about the neighbours.
///
/// Where the system does not tell (no `/proc/thread-self/schedstat`) it is wall time.
/// The system counts in steps of a few milliseconds, so samples should last longer.
pub fn thread_time(rounds: u64, mut routine: impl FnMut()) -> Duration {
    let wall = Instant::now();
    let before = on_cpu();
    for _ in 0..rounds {
        routine();
    }
    match (before, on_cpu()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => wall.elapsed(),
    }
}

fn on_cpu() -> Option<Duration> {
    // Leaving the processor for a moment makes the system settle the account.
    std::thread::sleep(Duration::from_micros(50));
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}
