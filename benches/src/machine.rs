//! Where and when figures were measured.

use std::process::Command;

use serde::Serialize;

/// When, of what and on which machine figures were taken.
#[derive(Debug, Serialize)]
pub struct Circumstances {
    /// The day, in UTC.
    pub date: String,
    /// That of the sources.
    pub commit: String,
    /// The processor, and how many of its cores there are.
    pub machine: String,
    /// The load average of the last minute at the start.
    pub load_before: String,
    /// And at the end.
    pub load_after: String,
}

impl Circumstances {
    /// Those of now.
    pub fn now() -> Self {
        Self {
            date: said("date", &["-u", "+%Y-%m-%d"]),
            commit: said("git", &["describe", "--always", "--dirty", "--exclude=*"]),
            machine: name(),
            load_before: load(),
            load_after: String::new(),
        }
    }

    /// All was measured.
    pub fn end(&mut self) {
        self.load_after = load();
    }

    /// The line of a results page.
    pub fn machine_line(&self) -> String {
        let Self { machine, load_before, load_after, .. } = self;
        format!("**Machine.** {machine}; load average {load_before} before and {load_after} after.")
    }
}

fn name() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores of {}", model.map_or("an unknown processor", |(_, name)| name))
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

/// The first line that a command writes.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}
