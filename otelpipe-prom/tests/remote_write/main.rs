//! Remote write: what the encoder writes, read by another decoder.

mod cases;
mod config;
mod golden;
mod proto;
mod random;
mod read;
