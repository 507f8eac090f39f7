//! Remote write: what the encoder writes, read by another decoder.
#![allow(
    clippy::cast_precision_loss,
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    reason = "a test: counts are small, std is here"
)]

mod cases;
mod config;
mod frame;
mod golden;
mod proto;
mod random;
mod read;
