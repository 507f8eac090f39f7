//! What the benches share: their clock, their input, stand-ins, and plots.

pub mod cadvisor;
pub mod eks;
pub mod http;
pub mod machine;
pub mod plot;
pub mod process;
pub mod tls;

use core::time::Duration;
use std::io::Read;
use std::path::{Path, PathBuf};

use criterion::Criterion;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use rustix::time::{ClockId, clock_gettime};

/// A file of this repository, by its path from the root.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

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

/// Moves the timestamps of an exposition on, so that it can be fed once more.
///
/// # Panics
///
/// If one ends with so many digits that it is no time in milliseconds.
pub fn advance(body: &mut [u8], by_ms: i64) {
    for line in body.split_mut(|byte| *byte == b'\n') {
        let digits = line.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == TIMESTAMP_DIGITS && !line.starts_with(b"#") {
            let at = line.len() - digits;
            let text = core::str::from_utf8(&line[at..]).expect("digits are text");
            let later = text.parse::<i64>().expect("a timestamp") + by_ms;
            line[at..].copy_from_slice(later.to_string().as_bytes());
        }
    }
}

/// Digits of a timestamp in milliseconds.
const TIMESTAMP_DIGITS: usize = 13;

/// The processor time of the calling thread: on a shared machine wall time says more
/// about the neighbours than about the code.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadTime;

/// Criterion on the clock of [`ThreadTime`], with few and long samples.
pub fn criterion() -> Criterion<ThreadTime> {
    Criterion::default()
        .with_measurement(ThreadTime)
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
}

/// How long the calling thread has worked so far.
pub fn on_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a thread's time is not negative")
}

impl Measurement for ThreadTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        on_cpu()
    }

    fn end(&self, started: Duration) -> Duration {
        on_cpu().saturating_sub(started)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}
