//! The scan with AVX2, 32 bytes a time.
#![expect(unsafe_code, reason = "vector instructions that the processor must be asked for first")]

use core::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_loadu_si256,
    _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_setr_epi8, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_srli_epi16,
};

use super::index::{BLOCK, Masks};

// The masks are taken apart with what every such processor has besides.
cpufeatures::new!(has_all, "avx2", "bmi1", "bmi2", "popcnt");

/// Proof that this processor has AVX2, BMI and POPCNT: made by [`Supported::detect`] only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::text) struct Supported(());

impl Supported {
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        // What is compiled for them has them. Miri has them only so: it answers no questions.
        let compiled = cfg!(all(
            target_feature = "avx2",
            target_feature = "bmi1",
            target_feature = "bmi2",
            target_feature = "popcnt"
        ));
        (compiled || has_all::get()).then_some(Self(()))
    }
}

/// Gives away the masks of one whole block of `text` after the other, as long as `take`
/// wants more.
pub(super) fn classify(_: Supported, text: &[u8], take: impl FnMut(Masks) -> bool) {
    // SAFETY: `Supported` is proof that the processor has what is needed.
    unsafe { classify_avx2(text, take) }
}

/// The text as a string, if it is ASCII.
#[inline]
pub(super) fn ascii(_: Supported, text: &[u8]) -> Option<&str> {
    // SAFETY: `Supported` is proof that the processor has AVX2.
    let is_ascii = unsafe { is_ascii_avx2(text) };
    // SAFETY: text without a byte of 128 or more is UTF-8.
    is_ascii.then(|| unsafe { core::str::from_utf8_unchecked(text) })
}

/// # Safety
///
/// The processor must have AVX2, BMI and POPCNT.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
unsafe fn classify_avx2(text: &[u8], mut take: impl FnMut(Masks) -> bool) {
    for block in text.chunks_exact(BLOCK) {
        let (low, high) = block.split_at(BLOCK / 2);
        // SAFETY: both halves of a block have 32 bytes, and AVX2 is there.
        let (low, high) = unsafe { (classify_half(low), classify_half(high)) };
        let special = u64::from(high.0) << 32 | u64::from(low.0);
        let other = u64::from(high.1) << 32 | u64::from(low.1);
        if !take(Masks { special, other: other | special }) {
            return;
        }
    }
}

/// Special bytes, and those that are neither special nor in a name.
///
/// Each nibble of a byte selects a set of classes, and a byte is in the classes that both
/// its nibbles select: bits 0 to 3 are names, bits 4 to 6 `"`, `\` and newline. A byte of
/// 128 or more selects none.
///
/// # Safety
///
/// The processor must have AVX2, and `half` 32 bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn classify_half(half: &[u8]) -> (u32, u32) {
    debug_assert_eq!(half.len(), 32);
    #[rustfmt::skip]
    let by_low = _mm256_setr_epi8(
        5, 7, 23, 7, 7, 7, 7, 7, 7, 7, 70, 2, 34, 2, 2, 10,
        5, 7, 23, 7, 7, 7, 7, 7, 7, 7, 70, 2, 34, 2, 2, 10,
    );
    #[rustfmt::skip]
    let by_high = _mm256_setr_epi8(
        64, 0, 16, 1, 2, 44, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0,
        64, 0, 16, 1, 2, 44, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0,
    );
    // SAFETY: `half` has 32 bytes, and the load needs no alignment.
    let bytes = unsafe { _mm256_loadu_si256(half.as_ptr().cast::<__m256i>()) };
    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), _mm256_set1_epi8(0x0f));
    let classes = _mm256_and_si256(_mm256_shuffle_epi8(by_low, bytes), _mm256_shuffle_epi8(by_high, high));
    let special = _mm256_cmpgt_epi8(classes, _mm256_set1_epi8(0x0f));
    let none = _mm256_cmpeq_epi8(classes, _mm256_setzero_si256());
    (_mm256_movemask_epi8(special) as u32, _mm256_movemask_epi8(none) as u32)
}

/// # Safety
///
/// The processor must have AVX2.
#[target_feature(enable = "avx2")]
unsafe fn is_ascii_avx2(text: &[u8]) -> bool {
    let (whole, rest) = text.split_at(text.len() / 32 * 32);
    let mut all = _mm256_setzero_si256();
    for bytes in whole.chunks_exact(32) {
        // SAFETY: there are 32 bytes, and the load needs no alignment.
        all = _mm256_or_si256(all, unsafe { _mm256_loadu_si256(bytes.as_ptr().cast::<__m256i>()) });
    }
    if let (false, Some(last)) = (rest.is_empty(), text.last_chunk::<32>()) {
        // SAFETY: there are 32 bytes, and the load needs no alignment.
        all = _mm256_or_si256(all, unsafe { _mm256_loadu_si256(last.as_ptr().cast::<__m256i>()) });
    } else if !rest.is_ascii() {
        return false;
    }
    _mm256_movemask_epi8(all) == 0
}
