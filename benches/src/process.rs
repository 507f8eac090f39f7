//! What a running program costs, read from `/proc` (Linux).

use core::time::Duration;
use std::io;
use std::path::PathBuf;
use std::process::Child;

/// The collector that was built in the same profile as this bench.
pub fn collector() -> Option<PathBuf> {
    let bench = std::env::current_exe().ok()?;
    Some(bench.parent()?.parent()?.join("otelpipe")).filter(|path| path.is_file())
}

/// A program that was started; it ends with this value.
#[derive(Debug)]
pub struct Running(Child);

/// Memory of a program, KiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident now.
    pub rss_kib: u64,
    /// The most that ever was.
    pub peak_kib: u64,
    /// Resident now and of no file.
    pub anonymous_kib: u64,
}

/// Processor time of all threads, ended ones too, in steps of 10 ms.
#[derive(Clone, Copy, Debug, Default)]
pub struct Worked {
    /// In the program itself.
    pub user: Duration,
    /// In the kernel for it.
    pub system: Duration,
}

impl Running {
    /// Watches `child`.
    pub fn new(child: Child) -> Self {
        Self(child)
    }

    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0.id()))
    }

    /// How long the threads that still run have worked, to the nanosecond.
    ///
    /// # Errors
    ///
    /// There is no `/proc`, or the program has ended.
    pub fn on_cpu(&self) -> io::Result<Duration> {
        let mut nanos = 0;
        for thread in std::fs::read_dir(self.proc("task"))? {
            let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            nanos += text.split(' ').next().and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// How long it has worked.
    ///
    /// # Errors
    ///
    /// There is no `/proc`, or the program has ended.
    pub fn worked(&mut self) -> io::Result<Worked> {
        self.alive()?;
        let stat = std::fs::read_to_string(self.proc("stat"))?;
        // The name of the program is in parentheses, and may hold anything.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let mut times =
            fields.split_whitespace().skip(11).map(|field| field.parse::<u64>().unwrap_or_default());
        let mut next = || Duration::from_millis(times.next().unwrap_or_default() * MS_A_TICK);
        Ok(Worked { user: next(), system: next() })
    }

    /// Its memory.
    ///
    /// # Errors
    ///
    /// There is no `/proc`, or the program has ended.
    pub fn memory(&mut self) -> io::Result<Memory> {
        self.alive()?;
        let status = std::fs::read_to_string(self.proc("status"))?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            number.ok_or_else(|| io::Error::other(format!("no {name} in /proc")))
        };
        Ok(Memory { rss_kib: kib("VmRSS")?, peak_kib: kib("VmHWM")?, anonymous_kib: kib("RssAnon")? })
    }

    fn alive(&mut self) -> io::Result<()> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => Err(io::Error::other(format!("the program ended: {status}"))),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Worked {
    /// Both together.
    pub fn total(self) -> Duration {
        self.user + self.system
    }

    /// What was done after `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }
}

/// `USER_HZ` is 100 on every Linux that we run on.
const MS_A_TICK: u64 = 10;
