//! An allocator that counts what its thread asks for.
#![expect(unsafe_code, reason = "a counting allocator is one by nature; it forwards to the system's")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

/// What the calling thread has asked for so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Calls that wanted memory, or more of it.
    pub(crate) calls: u64,
    /// Bytes that it holds; less than none if another thread allocated them.
    pub(crate) held: i64,
}

impl Counts {
    pub(crate) fn now() -> Self {
        COUNTS.get()
    }

    /// What came after `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { calls: self.calls - earlier.calls, held: self.held - earlier.held }
    }
}

pub(crate) struct Counting;

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { calls: 0, held: 0 }) };
}

fn count(calls: u64, more: usize, less: usize) {
    let Counts { calls: before, held } = COUNTS.get();
    let change = i64::try_from(more).unwrap_or(i64::MAX) - i64::try_from(less).unwrap_or(i64::MAX);
    COUNTS.set(Counts { calls: before + calls, held: held + change });
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 0);
        // SAFETY: the caller's promise is the one that the system's wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size, layout.size());
        // SAFETY: as above; `place` came from the system's allocator.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(0, 0, layout.size());
        // SAFETY: as above; `place` came from the system's allocator.
        unsafe { System.dealloc(place, layout) }
    }
}
