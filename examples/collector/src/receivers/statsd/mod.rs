//! The `statsd` receiver: counters, gauges and timings as lines of text.

mod aggregate;
mod config;
mod exponential;
mod line;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::component::{BuildContext, ComponentError, MetricSink, Receiver};
use crate::config::{ComponentId, Node, Problems};
use crate::own_metrics::OwnMetrics;
use crate::pages;

use aggregate::Aggregator;
use config::{Settings, Transport};
use line::Line;

/// Bytes of a packet, or of a line over TCP.
const MAX_PACKET: usize = 65_536;

/// Packets that may wait.
const PACKET_QUEUE: usize = 1024;

/// Reads the receiver's settings and makes it. Problems go to `problems`.
pub fn build(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Receiver>> {
    let settings = Settings::read(id, node, problems)?;
    let metrics = Arc::clone(&cx.metrics);
    Some(Box::new(Statsd { id: id.to_string(), settings, metrics, version: cx.version.to_owned() }))
}

struct Statsd {
    id: String,
    settings: Settings,
    metrics: Arc<OwnMetrics>,
    version: String,
}

/// Lines with who sent them.
type Packet = (Vec<u8>, Option<SocketAddr>);

#[async_trait]
impl Receiver for Statsd {
    async fn run(self: Box<Self>, sink: MetricSink, stop: CancellationToken) -> Result<(), ComponentError> {
        let (sender, mut packets) = mpsc::channel(PACKET_QUEUE);
        let Settings { endpoint, transport, interval, .. } = self.settings.clone();
        let failed = |failure: std::io::Error| pages::cannot_listen(&endpoint, &failure);
        let socket = Socket::bind(transport, &endpoint).await.map_err(failed)?;
        let reader = tokio::spawn(socket.read(sender));
        let rules = self.settings.rules.clone();
        let now_ns = clock::now_ns();
        let mut lines = Lines {
            aggregator: Aggregator::new(rules, self.version.clone(), now_ns, now_ns),
            simple_tags: self.settings.simple_tags,
            refused: 0,
            example: None,
        };
        let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let ends = tokio::select! {
                () = stop.cancelled() => true,
                Some((packet, from)) = packets.recv() => {
                    lines.take(&packet, from);
                    continue;
                }
                _ = ticks.tick() => false,
            };
            self.report(&mut lines);
            for batch in lines.aggregator.flush(clock::now_ns()) {
                if !sink.send(batch).await {
                    break;
                }
            }
            if ends {
                break;
            }
        }
        reader.abort();
        Ok(())
    }
}

impl Statsd {
    /// One line in the log for all that were refused in an interval.
    fn report(&self, lines: &mut Lines) {
        let refused = std::mem::take(&mut lines.refused);
        if let Some(example) = lines.example.take() {
            self.metrics.dropped(&self.id, "malformed line", refused);
            tracing::error!(receiver = %self.id, lines = refused, "lines refused, the first of them: {example}");
        }
    }
}

/// The lines of an interval: what they add up to, and those that are none.
struct Lines {
    aggregator: Aggregator,
    simple_tags: bool,
    refused: usize,
    example: Option<String>,
}

impl Lines {
    fn take(&mut self, packet: &[u8], from: Option<SocketAddr>) {
        let now_ns = clock::now_ns();
        let text = String::from_utf8_lossy(packet);
        for line in text.split('\n').map(str::trim).filter(|line| !line.is_empty()) {
            match Line::parse(line, self.simple_tags) {
                Ok(line) => self.aggregator.add(&line, from, now_ns),
                Err(error) => {
                    self.refused += 1;
                    let text: String = line.chars().take(200).collect();
                    self.example.get_or_insert_with(|| format!("{error}: {text:?}"));
                }
            }
        }
    }
}

/// An open socket.
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpListener),
    Unixgram(UnixDatagram),
}

impl Socket {
    async fn bind(transport: Transport, endpoint: &str) -> std::io::Result<Self> {
        // Without a host: every interface.
        let address =
            if endpoint.starts_with(':') { format!("0.0.0.0{endpoint}") } else { endpoint.to_owned() };
        Ok(match transport {
            Transport::Udp => Self::Udp(UdpSocket::bind(address).await?),
            Transport::Tcp => Self::Tcp(TcpListener::bind(address).await?),
            Transport::Unixgram => {
                // What a collector left behind that did not end by itself.
                let _ = std::fs::remove_file(endpoint);
                Self::Unixgram(UnixDatagram::bind(endpoint)?)
            }
        })
    }

    /// Hands over what arrives until nobody listens.
    async fn read(self, packets: mpsc::Sender<Packet>) {
        let mut buffer = vec![0; MAX_PACKET];
        loop {
            let packet = match &self {
                Self::Udp(socket) => match socket.recv_from(&mut buffer).await {
                    Ok((len, from)) => (buffer.get(..len).unwrap_or_default().to_vec(), Some(from)),
                    Err(error) => {
                        pause(&error).await;
                        continue;
                    }
                },
                Self::Unixgram(socket) => match socket.recv(&mut buffer).await {
                    Ok(len) => (buffer.get(..len).unwrap_or_default().to_vec(), None),
                    Err(error) => {
                        pause(&error).await;
                        continue;
                    }
                },
                Self::Tcp(listener) => match listener.accept().await {
                    Ok((stream, from)) => {
                        tokio::spawn(read_stream(stream, from, packets.clone()));
                        continue;
                    }
                    Err(error) => {
                        pause(&error).await;
                        continue;
                    }
                },
            };
            if packets.send(packet).await.is_err() {
                return;
            }
        }
    }
}

/// A socket that fails at once must not spin.
async fn pause(error: &std::io::Error) {
    tracing::warn!("statsd: {error}");
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
}

async fn read_stream(stream: TcpStream, from: SocketAddr, packets: mpsc::Sender<Packet>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let limit = u64::try_from(MAX_PACKET).unwrap_or(u64::MAX);
        match (&mut reader).take(limit).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if packets.send((line, Some(from))).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
