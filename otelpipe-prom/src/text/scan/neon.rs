//! The scan with NEON, 16 bytes a time.
#![expect(unsafe_code, reason = "vector loads take pointers")]

use core::arch::aarch64::{
    uint8x16_t, vandq_u8, vceqzq_u8, vcgtq_u8, vdupq_n_u8, vgetq_lane_u64, vld1q_u8, vmaxvq_u8, vorrq_u8,
    vpaddq_u8, vqtbl1q_u8, vreinterpretq_u64_u8, vshrq_n_u8,
};

use super::index::{BLOCK, Masks};

/// The classes that the lower nibble of a byte selects, and those of the upper one; a byte
/// is in the classes that both select. Bits 0 to 3 are names, bits 4 to 6 `"`, `\` and
/// newline.
const BY_LOW: [u8; 16] = [5, 7, 23, 7, 7, 7, 7, 7, 7, 7, 70, 2, 34, 2, 2, 10];
const BY_HIGH: [u8; 16] = [64, 0, 16, 1, 2, 44, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0];

/// The bit of each byte in the mask of its eight.
const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];

/// Gives away the masks of one whole block of `text` after the other, as long as `take`
/// wants more.
pub(super) fn classify(text: &[u8], mut take: impl FnMut(Masks) -> bool) {
    for block in text.chunks_exact(BLOCK) {
        let Some(block) = block.first_chunk::<BLOCK>() else { return };
        // SAFETY: NEON is part of the architecture this file is compiled for.
        if !take(unsafe { classify_block(block) }) {
            return;
        }
    }
}

/// The text as a string, if it is ASCII.
#[inline]
pub(super) fn ascii(text: &[u8]) -> Option<&str> {
    // SAFETY: NEON is part of the architecture this file is compiled for.
    let is_ascii = unsafe { is_ascii(text) };
    // SAFETY: text without a byte of 128 or more is UTF-8.
    is_ascii.then(|| unsafe { core::str::from_utf8_unchecked(text) })
}

/// # Safety
///
/// The processor must have NEON.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn classify_block(block: &[u8; BLOCK]) -> Masks {
    // SAFETY: each load reads one of the four 16-byte quarters of the block, or a table of
    // 16 bytes; loads need no alignment.
    unsafe {
        let (by_low, by_high) = (vld1q_u8(BY_LOW.as_ptr()), vld1q_u8(BY_HIGH.as_ptr()));
        let quarter = |at: usize| {
            let bytes = vld1q_u8(block.as_ptr().add(16 * at));
            let low = vqtbl1q_u8(by_low, vandq_u8(bytes, vdupq_n_u8(0x0f)));
            vandq_u8(low, vqtbl1q_u8(by_high, vshrq_n_u8::<4>(bytes)))
        };
        let classes = [quarter(0), quarter(1), quarter(2), quarter(3)];
        let special = gather(classes.map(|class| vcgtq_u8(class, vdupq_n_u8(0x0f))));
        let none = gather(classes.map(|class| vceqzq_u8(class)));
        Masks { special, other: none | special }
    }
}

/// One bit for each byte that is 255 and not 0.
///
/// # Safety
///
/// The processor must have NEON.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn gather(quarters: [uint8x16_t; 4]) -> u64 {
    // SAFETY: the load reads a table of 16 bytes; the rest only computes.
    unsafe {
        let bits = vld1q_u8(BITS.as_ptr());
        let [a, b, c, d] = quarters.map(|quarter| vandq_u8(quarter, bits));
        let sums = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
        vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)))
    }
}

/// # Safety
///
/// The processor must have NEON.
#[target_feature(enable = "neon")]
unsafe fn is_ascii(text: &[u8]) -> bool {
    // SAFETY: each load reads 16 bytes that are there; loads need no alignment.
    unsafe {
        let chunks = text.chunks_exact(16);
        let rest = chunks.remainder();
        let mut all = vdupq_n_u8(0);
        for bytes in chunks {
            all = vorrq_u8(all, vld1q_u8(bytes.as_ptr()));
        }
        rest.is_ascii() && vmaxvq_u8(all) < 128
    }
}
