//! Prometheus on the wire: exposition in, scrape semantics, remote write out.
//!
//! Opens no socket, reads no clock: the body of a scrape goes in and borrowed
//! samples come out; the answer of a target goes in and a batch of metrics comes out.
//!
//! # Example
//!
//! ```
//! use otelpipe_prom::text::{self, Entry};
//!
//! let body = "# TYPE up gauge\nup{job=\"node\"} 1\n";
//! for entry in text::parse(body) {
//!     if let Entry::Sample(sample) = entry? {
//!         assert_eq!(sample.value(), 1.0);
//!     }
//! }
//! # Ok::<(), otelpipe_prom::text::ParseError>(())
//! ```
#![no_std]
extern crate alloc;

pub mod family;
pub mod normalize;
pub mod remote_write;
pub mod scrape;
pub mod start_time;
pub mod text;
