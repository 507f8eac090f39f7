//! Where and when figures were measured.

use std::process::Command;

/// The day, in UTC.
pub fn date() -> String {
    said("date", &["-u", "+%Y-%m-%d"])
}

/// The commit of the sources.
pub fn commit() -> String {
    said("git", &["describe", "--always", "--dirty", "--exclude=*"])
}

/// The processor and how many of its cores there are.
pub fn name() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores of {}", model.map_or("an unknown processor", |(_, name)| name))
}

/// The load average of the last minute.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

/// The first line that a command writes.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}
