//! The program as a child process, with all it writes.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use super::DEADLINE;

/// A running `otelpipe`. Killed when it is dropped before its end; what it wrote is shown
/// when the test fails.
#[derive(Debug)]
pub(crate) struct Collector {
    child: Child,
    out: Output,
    err: Output,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What a pipe has given so far.
#[derive(Clone, Debug, Default)]
struct Output(Arc<(Mutex<Written>, Condvar)>);

#[derive(Debug, Default)]
struct Written {
    lines: Vec<String>,
    /// More may come.
    open: bool,
}

impl Collector {
    /// Starts the program with these variables and no others.
    pub(crate) fn start(arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_otelpipe"))
            .args(arguments)
            .env_clear()
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built for this test");
        let out = Output::read(child.stdout.take().unwrap());
        let err = Output::read(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// Waits until the log has a line with all of `parts`.
    #[track_caller]
    pub(crate) fn wait_for_line(&self, parts: &[&str]) -> String {
        let found = self.err.wait(|lines, open| {
            let line = lines.iter().find(|line| parts.iter().all(|part| line.contains(part)));
            line.cloned().map(Some).or((!open).then_some(None))
        });
        match found {
            Some(Some(line)) => line,
            Some(None) => panic!("the program ended without a line with {parts:?}"),
            None => panic!("no line with {parts:?} within {DEADLINE:?}"),
        }
    }

    /// What it has written to standard error so far.
    pub(crate) fn log(&self) -> String {
        self.err.text()
    }

    /// Sends SIGHUP: the configuration is to be read again.
    #[track_caller]
    pub(crate) fn hang_up(&self) {
        let kill = format!("kill -HUP {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "it has ended already");
    }

    /// Sends SIGTERM and waits for the end.
    #[track_caller]
    pub(crate) fn terminate(self) -> Ended {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "it has ended already");
        self.wait()
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Ended {
        let closed = |lines: &Output| lines.wait(|_, open| (!open).then_some(())).is_some();
        assert!(closed(&self.err) && closed(&self.out), "the program runs on after {DEADLINE:?}");
        let status = self.child.wait().unwrap();
        Ended { status, stdout: self.out.text(), stderr: self.err.text() }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the program's standard error:\n{}---", self.err.text());
        }
    }
}

impl Output {
    fn read(pipe: impl Read + Send + 'static) -> Self {
        let output = Self::default();
        output.0.0.lock().unwrap().open = true;
        let shared = output.clone();
        std::thread::spawn(move || {
            let (state, changed) = &*shared.0;
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                state.lock().unwrap().lines.push(String::from_utf8_lossy(&line).into_owned());
                changed.notify_all();
            }
            state.lock().unwrap().open = false;
            changed.notify_all();
        });
        output
    }

    /// Waits until `look` finds something; `None` after the deadline.
    fn wait<T>(&self, look: impl Fn(&[String], bool) -> Option<T>) -> Option<T> {
        let (state, changed) = &*self.0;
        let end = Instant::now() + DEADLINE;
        let mut state = state.lock().unwrap();
        loop {
            if let Some(found) = look(&state.lines, state.open) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            state = changed.wait_timeout(state, left).unwrap().0;
        }
    }

    fn text(&self) -> String {
        self.0.0.lock().unwrap().lines.iter().flat_map(|line| [line, "\n"]).collect()
    }
}
