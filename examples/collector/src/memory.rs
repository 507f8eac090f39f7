//! Gives back to the system what the program needed for a while: freed memory, and pages of
//! its own file that only its start or its first scrapes went through.
#![cfg_attr(
    all(target_os = "linux", target_env = "gnu"),
    expect(unsafe_code, reason = "the allocator and the kernel are told by calls of C")
)]

use std::time::{Duration, Instant};

/// Gives back now and then while there is work; nobody wakes an idle program for it. What
/// runs once runs early, so that the pauses grow.
#[derive(Debug)]
pub struct Keeper {
    due: Option<Instant>,
    pause: Duration,
}

/// Two scrapes of most targets: the first two make tables and plans.
const FIRST_PAUSE: Duration = Duration::from_secs(8);
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

impl Default for Keeper {
    fn default() -> Self {
        Self { due: None, pause: FIRST_PAUSE }
    }
}

impl Keeper {
    /// Some work was done. Gives back if it is time to.
    pub fn worked(&mut self, now: Instant) {
        if self.is_due(now) {
            give_back();
        }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let due = *self.due.get_or_insert(now + self.pause);
        if now < due {
            return false;
        }
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        self.due = Some(now + self.pause);
        true
    }
}

/// Tells the allocator what is usual here. To be called before there are threads.
///
/// The first large buffers that are freed would make glibc take all later ones, up to 32 MiB,
/// from the heap, where what is smaller settles between them: a heap grows then as if none
/// were ever freed. And almost all work is done by one thread: what others free is to be of
/// use to it.
pub fn set_up() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (parameter, value) in [
        (libc::M_MMAP_THRESHOLD, LARGE_BYTES),
        (libc::M_TRIM_THRESHOLD, 2 * LARGE_BYTES),
        (libc::M_ARENA_MAX, 1),
    ] {
        // SAFETY: `mallopt` takes any values, and refuses what it does not know.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Buffers as large are allocated one by one, and given back when they are freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BYTES: libc::c_int = 1 << 20;

/// Gives back free memory of the heap, and the pages of code and constants, which come again
/// from the page cache as they are needed. Costs about a millisecond.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `malloc_trim` gives back pages that hold no allocation.
        unsafe { libc::malloc_trim(0) };
        let text = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        for (start, end) in unchanged(&text) {
            // SAFETY: the pages are those of a file, private, not writable and not changed by
            // anyone since they were mapped: whoever touches one of them later gets the same
            // bytes from the file. A mapping that went meanwhile could only have been one of a
            // library that is unloaded, and we unload none.
            unsafe {
                let address = core::ptr::with_exposed_provenance_mut(start);
                libc::madvise(address, end - start, libc::MADV_DONTNEED);
            }
        }
    }
}

/// The mappings of files that nobody can write to and nobody has written to, as in
/// `/proc/PID/smaps`.
#[cfg_attr(not(all(target_os = "linux", target_env = "gnu")), expect(dead_code, reason = "not used there"))]
fn unchanged(smaps: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut candidate = None;
    smaps.lines().filter_map(move |line| {
        let mut words = line.split_ascii_whitespace();
        let (first, second) = (words.next()?, words.next()?);
        if let Some(field) = first.strip_suffix(':') {
            // Pages that were changed are no longer of the file.
            let range = if field == "Anonymous" { candidate.take() } else { None };
            return range.filter(|_| second == "0");
        }
        let is_file = words.nth(2).is_some_and(|inode| inode != "0");
        let range = first.split_once('-').and_then(|(start, end)| {
            Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
        });
        candidate = range.filter(|_| is_file && matches!(second, "r-xp" | "r--p"));
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_files_that_nobody_wrote_to_are_given_back() {
        let smaps = "\
1000-3000 r--p 00000000 fd:00 77 /bin/otelpipe
Size:               8 kB
Anonymous:          0 kB
VmFlags: rd mr mw me
3000-5000 r-xp 00002000 fd:00 77 /bin/o t
Anonymous:          0 kB
5000-6000 r--p 00004000 fd:00 77 /bin/otelpipe
Anonymous:          4 kB
6000-7000 rw-p 00005000 fd:00 77 /bin/otelpipe
Anonymous:          0 kB
7000-8000 r--p 00000000 00:00 0 [vvar]
Anonymous:          0 kB
8000-9000 r--s 00000000 fd:00 78 /shared
Anonymous:          0 kB
9000-a000 r-xp 00000000 fd:00 79 /lib/libc.so.6
KernelPageSize:     4 kB
Anonymous:          0 kB
";
        let found: Vec<(usize, usize)> = unchanged(smaps).collect();
        assert_eq!(found, [(0x1000, 0x3000), (0x3000, 0x5000), (0x9000, 0xa000)]);
    }

    #[test]
    fn what_is_given_back_is_there_again_when_it_is_needed() {
        set_up();
        let text = vec![7_u8; 3 << 20];
        give_back();
        give_back();
        assert_eq!(text.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 7 * (3 << 20));
        assert_eq!(crate::VERSION.len(), 1 + env!("CARGO_PKG_VERSION").len());
    }

    #[test]
    fn pauses_grow_up_to_an_hour() {
        let (start, mut keeper) = (Instant::now(), Keeper::default());
        let mut times = Vec::new();
        for second in 0..20_000 {
            if keeper.is_due(start + Duration::from_secs(second)) {
                times.push(second);
            }
        }
        assert_eq!(times, [8, 24, 56, 120, 248, 504, 1016, 2040, 4088, 7688, 11_288, 14_888, 18_488]);
    }
}
