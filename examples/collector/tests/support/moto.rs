//! moto, an independent implementation of AWS services, as a child process.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use otelpipe_collector::http_client::{HttpClient, HttpOptions};

/// A running server; it ends with this.
#[derive(Debug)]
pub(crate) struct Moto {
    process: Child,
    pub(crate) url: String,
    pub(crate) http: HttpClient,
}

impl Moto {
    /// Starts the server on a free port. Without such a program it says that `test` is
    /// left out; where tests must be complete, that is a failure.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let moto = Self::spawn();
        if moto.is_none() {
            assert!(std::env::var_os("OTELPIPE_NEED_MOTO").is_none(), "moto_server is missing");
            eprintln!("LEFT OUT: {test}: moto_server is missing; pip install 'moto[server,logs,ecs,ec2]'");
        }
        moto
    }

    fn spawn() -> Option<Self> {
        let program = std::env::var("MOTO_SERVER").unwrap_or_else(|_| "moto_server".into());
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", "0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().ok()?;
        let mut lines = BufReader::new(process.stderr.take()?).lines();
        let url = loop {
            let Some(line) = lines.next() else {
                let _ = process.wait();
                return None; // a wrapper of that name without the program behind it
            };
            let line = line.expect("the server's messages are text");
            if let Some((_, url)) = line.split_once("Running on ") {
                break url.trim().to_owned();
            }
        };
        // Goes on reading, so that the server never waits for room in the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self {
            process,
            url,
            http: HttpClient::new(&HttpOptions::default()).expect("the defaults are valid"),
        })
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
