//! What the tests of the running program share: stand-ins for the servers around it, the
//! program itself as a child process, and the recordings of the golden runs.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test ends where it finds what it must not")]

pub(crate) mod api_server;
pub(crate) mod cloudwatch;
pub(crate) mod folder;
pub(crate) mod golden;
pub(crate) mod moto;
pub(crate) mod net;
pub(crate) mod process;
pub(crate) mod server;

use std::time::Duration;

/// How long a test waits for something that must come. Far longer than it takes, so that
/// only a program that hangs fails here.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);
