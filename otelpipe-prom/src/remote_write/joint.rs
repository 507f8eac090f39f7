//! Requests of protocol 1.0 that share one body.
//!
//! Messages behind each other are one message, since all their fields are lists. A snappy
//! block is a length and pieces; a copy says how far back it reaches, so that pieces go on
//! meaning the same behind others. Joining is therefore copying what is compressed already.

use alloc::vec::Vec;

use otelpipe_core::protobuf::{put_varint, varint_len};

use super::Message;
use super::encoder::WriteRequest;

/// The request under way. Its room is used again.
#[derive(Debug)]
pub(super) struct Joint {
    /// Room for the length, then the pieces.
    body: Vec<u8>,
    raw_len: usize,
    points: u64,
    series: u64,
    samples: u64,
    histograms: u64,
    exemplars: u64,
    metadata: u64,
    /// Requests handed over.
    pub(super) requests: u64,
}

/// A 64-bit varint has at most so many bytes.
const HEAD: usize = 10;

impl Joint {
    pub(super) const fn new() -> Self {
        Self {
            body: Vec::new(),
            raw_len: 0,
            points: 0,
            series: 0,
            samples: 0,
            histograms: 0,
            exemplars: 0,
            metadata: 0,
            requests: 0,
        }
    }

    /// Adds a request; what is under way is handed over before if both are too much for one
    /// of less than `max_bytes` and at most `max_series`.
    pub(super) fn add(
        &mut self,
        request: WriteRequest<'_>,
        (max_bytes, max_series): (usize, u64),
        each: &mut impl FnMut(WriteRequest<'_>),
    ) {
        let fits = self.raw_len + request.raw_len < max_bytes && self.series + request.series <= max_series;
        if !fits {
            self.finish(each);
        }
        if self.body.is_empty() {
            self.body.resize(HEAD, 0);
        }
        let pieces = request.body.get(varint_len(request.raw_len as u64)..).unwrap_or_default();
        self.body.extend_from_slice(pieces);
        self.raw_len += request.raw_len;
        self.points += request.points;
        self.series += request.series;
        self.samples += request.samples;
        self.histograms += request.histograms;
        self.exemplars += request.exemplars;
        self.metadata += request.metadata;
    }

    /// Hands over what there is, if there is anything.
    pub(super) fn finish(&mut self, each: &mut impl FnMut(WriteRequest<'_>)) {
        if self.raw_len == 0 {
            return;
        }
        let mut body = core::mem::take(&mut self.body);
        let start = HEAD - varint_len(self.raw_len as u64);
        let mut length = Vec::with_capacity(HEAD);
        put_varint(self.raw_len as u64, &mut length);
        body[start..HEAD].copy_from_slice(&length);
        each(WriteRequest {
            message: Message::V1,
            body: &body[start..],
            raw_len: self.raw_len,
            points: self.points,
            series: self.series,
            samples: self.samples,
            histograms: self.histograms,
            exemplars: self.exemplars,
            metadata: self.metadata,
        });
        body.clear();
        *self = Self { body, requests: self.requests + 1, ..Self::new() };
    }
}
