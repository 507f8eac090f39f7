//! Where the programs send to: CloudWatch Logs, or a store with remote write. All is read
//! and counted, nothing is kept.

use core::time::Duration;
use std::borrow::Cow;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use otelpipe_benches::http::{Answer, Request, serve};
use serde::Deserialize;

/// What was taken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) requests: u64,
    /// Of bodies, as they came.
    pub(crate) bytes: u64,
    /// Log events.
    pub(crate) events: u64,
    /// Metric values in the events, or samples of the nodes' series.
    pub(crate) points: u64,
}

/// The service; it answers until the end of this program.
pub(crate) struct Sink {
    /// `http://host:port`.
    pub(crate) url: String,
    taken: Arc<(Mutex<Result<Taken, String>>, Condvar)>,
}

/// What a request brought, or why it cannot be read.
pub(crate) type Read = fn(&Request) -> Result<Taken, String>;

impl Sink {
    pub(crate) fn start(read: Read) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let taken: Arc<(Mutex<Result<Taken, String>>, Condvar)> =
            Arc::new((Mutex::new(Ok(Taken::default())), Condvar::new()));
        let shared = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || take(stream, read, &shared.0, &shared.1));
            }
        });
        Ok(Self { url, taken })
    }

    /// What came so far.
    pub(crate) fn taken(&self) -> io::Result<Taken> {
        self.taken.0.lock().expect("no thread panics").clone().map_err(io::Error::other)
    }

    /// Waits until so many points came, or for as long.
    pub(crate) fn wait(&self, points: u64, patience: Duration) -> io::Result<Taken> {
        let end = Instant::now() + patience;
        let mut taken = self.taken.0.lock().expect("no thread panics");
        while taken.as_ref().is_ok_and(|taken| taken.points < points) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            taken = self.taken.1.wait_timeout(taken, left).expect("no thread panics").0;
        }
        taken.clone().map_err(io::Error::other)
    }
}

fn take(stream: TcpStream, read: Read, taken: &Mutex<Result<Taken, String>>, changed: &Condvar) {
    let answer = Answer { kind: "application/x-amz-json-1.1", gzip: false, content: Arc::from(*b"{}") };
    let _ = stream.set_nodelay(true);
    let outcome = serve(stream, |request| {
        let new = read(&request);
        let mut taken = taken.lock().expect("no thread panics");
        match (&mut *taken, new) {
            (Ok(all), Ok(new)) => {
                all.requests += 1;
                all.bytes += request.body.len() as u64;
                all.events += new.events;
                all.points += new.points;
            }
            (Ok(_), Err(failure)) => *taken = Err(failure),
            (Err(_), _) => {}
        }
        changed.notify_all();
        Some(answer.clone())
    });
    // A program that is killed leaves requests behind; one that cannot be read is a fault.
    if let Err(failure) = outcome
        && failure.kind() == io::ErrorKind::InvalidData
    {
        *taken.lock().expect("no thread panics") = Err(failure.to_string());
    }
}

#[derive(Deserialize)]
struct PutLogEvents<'a> {
    #[serde(rename = "logEvents", borrow)]
    events: Vec<LogEvent<'a>>,
}

#[derive(Deserialize)]
struct LogEvent<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
}

/// CloudWatch Logs, where groups and streams are there already.
pub(crate) fn cloudwatch(request: &Request) -> Result<Taken, String> {
    let mut taken = Taken::default();
    if request.operation.ends_with(".PutLogEvents") {
        let put: PutLogEvents<'_> =
            serde_json::from_slice(&request.body).map_err(|error| format!("PutLogEvents: {error}"))?;
        for event in &put.events {
            taken.events += 1;
            taken.points += values(event.message.as_bytes())?;
        }
    }
    Ok(taken)
}

/// The metric values of an EMF document: its numbers.
pub(crate) fn values(document: &[u8]) -> Result<u64, String> {
    let document: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(document).map_err(|error| format!("EMF document: {error}"))?;
    Ok(document.values().filter(|value| value.is_number()).count() as u64)
}

/// A store with remote write 1.0.
pub(crate) fn store(request: &Request) -> Result<Taken, String> {
    let raw = snap::raw::Decoder::new()
        .decompress_vec(&request.body)
        .map_err(|error| format!("write request: {error}"))?;
    let points = samples(&raw).ok_or("write request: no protobuf")?;
    Ok(Taken { points, ..Taken::default() })
}

/// Samples of series whose name begins with `container_`, without stale markers: those
/// that the nodes have served.
fn samples(request: &[u8]) -> Option<u64> {
    let (mut request, mut count) = (request, 0);
    while let Some((number, field)) = field(&mut request)? {
        let Field::Bytes(mut series) = field else { continue };
        if number != 1 {
            continue; // metadata
        }
        let (mut ours, mut samples) = (false, 0);
        while let Some(next) = self::field(&mut series)? {
            match next {
                (1, Field::Bytes(mut label)) => {
                    let name = self::field(&mut label)?;
                    if let Some((1, Field::Bytes(b"__name__"))) = name
                        && let Some((2, Field::Bytes(value))) = self::field(&mut label)?
                    {
                        ours = value.starts_with(b"container_");
                    }
                }
                (2, Field::Bytes(mut sample)) => {
                    let mut stale = false;
                    while let Some(next) = self::field(&mut sample)? {
                        stale |= matches!(next, (1, Field::Fixed(STALE_NAN)));
                    }
                    samples += u64::from(!stale);
                }
                _ => {}
            }
        }
        count += if ours { samples } else { 0 };
    }
    Some(count)
}

/// The value of a stale marker, as bits.
const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

#[derive(Debug, PartialEq)]
enum Field<'a> {
    Number,
    Fixed(u64),
    Bytes(&'a [u8]),
}

/// The next field of a message with its number; `Some(None)` at the end, `None` if it is none.
fn field<'a>(data: &mut &'a [u8]) -> Option<Option<(u64, Field<'a>)>> {
    if data.is_empty() {
        return Some(None);
    }
    let key = varint(data)?;
    let value = match key & 7 {
        0 => {
            varint(data)?;
            Field::Number
        }
        1 => {
            let (bytes, rest) = data.split_first_chunk::<8>()?;
            *data = rest;
            Field::Fixed(u64::from_le_bytes(*bytes))
        }
        2 => {
            let length = usize::try_from(varint(data)?).ok()?;
            let (bytes, rest) = data.split_at_checked(length)?;
            *data = rest;
            Field::Bytes(bytes)
        }
        _ => return None,
    };
    Some(Some((key >> 3, value)))
}

fn varint(data: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = data.split_first()?;
        *data = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
