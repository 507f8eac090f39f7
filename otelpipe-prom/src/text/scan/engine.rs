//! Which instructions the scan may use.

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::index::{BLOCK, Masks};
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use super::neon;
use super::portable;

/// A way to look at many bytes at a time. All of them see the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::text) enum Engine {
    /// Words of eight bytes.
    #[cfg_attr(
        all(target_arch = "aarch64", target_endian = "little", not(test)),
        expect(dead_code, reason = "every such processor has something better")
    )]
    Portable,
    /// 32 bytes.
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Supported),
    /// 16 bytes, which every such processor has.
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    Neon,
}

impl Engine {
    /// The best one on this processor.
    #[inline]
    pub(in crate::text) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(supported) = avx2::Supported::detect() {
            return Self::Avx2(supported);
        }
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        return Self::Neon;
        #[cfg(not(all(target_arch = "aarch64", target_endian = "little")))]
        Self::Portable
    }

    /// Gives away the masks of one whole block of `text` after the other, as long as `take`
    /// wants more.
    #[inline(always)]
    pub(super) fn classify(self, text: &[u8], take: impl FnMut(Masks) -> bool) {
        match self {
            Self::Portable => {
                let _ = text.chunks_exact(BLOCK).map(portable::classify).all(take);
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(supported) => avx2::classify(supported, text, take),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Self::Neon => neon::classify(text, take),
        }
    }

    /// The text as a string, if it is UTF-8.
    #[inline]
    pub(in crate::text) fn utf8(self, text: &[u8]) -> Option<&str> {
        let ascii = match self {
            Self::Portable => None,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(supported) => avx2::ascii(supported, text),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Self::Neon => neon::ascii(text),
        };
        ascii.or_else(|| core::str::from_utf8(text).ok())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// One byte after the other, by the letter of the definition.
    fn slow(text: &[u8]) -> Vec<Masks> {
        let of = |block: &[u8], is: fn(u8) -> bool| {
            block.iter().enumerate().fold(0, |mask, (at, &byte)| mask | u64::from(is(byte)) << at)
        };
        let masks = |block| Masks {
            special: of(block, |byte| matches!(byte, b'"' | b'\\' | b'\n')),
            other: of(block, |byte| !(byte.is_ascii_alphanumeric() || byte == b'_')),
        };
        text.chunks_exact(BLOCK).map(masks).collect()
    }

    /// The masks of at most so many blocks.
    fn taken(engine: Engine, text: &[u8], most: usize) -> Vec<Masks> {
        let mut masks = Vec::new();
        engine.classify(text, |mask| {
            masks.push(mask);
            masks.len() < most
        });
        masks
    }

    fn check(text: &[u8]) {
        let wanted = slow(text);
        for engine in [Engine::Portable, Engine::detect()] {
            assert_eq!(taken(engine, text, usize::MAX), wanted, "{engine:?}");
            for start in 0..text.len().min(3) {
                let text = &text[start..];
                assert_eq!(engine.utf8(text), core::str::from_utf8(text).ok(), "{engine:?}");
            }
        }
    }

    #[test]
    #[cfg(any(
        all(target_feature = "avx2", target_feature = "bmi2"),
        all(target_arch = "aarch64", target_endian = "little")
    ))]
    fn vectors_are_used_where_they_are_known_to_be() {
        assert_ne!(Engine::detect(), Engine::Portable);
    }

    /// Miri takes minutes for what is a moment otherwise.
    const STEP: usize = if cfg!(miri) { 31 } else { 1 };

    #[test]
    fn every_byte_has_its_classes_at_every_place() {
        for start in (0..BLOCK).step_by(STEP) {
            let text: Vec<u8> = (0..=u8::MAX).cycle().skip(start).take(4 * BLOCK).collect();
            check(&text);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "the same as above, to the processor")]
    fn every_byte_has_its_classes_alone_among_letters() {
        for byte in 0..=u8::MAX {
            for place in 0..BLOCK {
                let mut text = [b'x'; 2 * BLOCK];
                text[place] = byte;
                check(&text);
            }
        }
    }

    #[test]
    fn a_byte_beyond_ascii_is_seen_in_texts_of_any_length() {
        for len in (0..200).step_by(STEP) {
            for place in (0..len).step_by(STEP) {
                let mut text = vec![b'x'; len];
                text[place] = 0xff;
                assert_eq!(Engine::detect().utf8(&text), None, "{place} of {len}");
            }
            assert!(Engine::detect().utf8(&vec![b'x'; len]).is_some());
        }
    }

    #[test]
    fn no_block_is_looked_at_that_is_not_whole_or_not_wanted() {
        // Boxes of their own, so that a read beyond the end is one beyond the allocation.
        for len in [0, 1, 63, 64, 65, 127, 128, 191] {
            let text = vec![b'"'; len].into_boxed_slice();
            for most in 1..4 {
                for engine in [Engine::Portable, Engine::detect()] {
                    let masks = taken(engine, &text, most);
                    assert_eq!(masks.len(), most.min(len / BLOCK), "{engine:?}, {len} bytes");
                    assert!(masks.iter().all(|mask| mask.special == u64::MAX));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn all_engines_see_what_a_loop_sees(text in prop::collection::vec(any::<u8>(), 0..400)) {
            check(&text);
        }

        #[test]
        fn all_engines_read_the_same_strings(
            text in prop::collection::vec(prop::sample::select(&['a', 'z', '"', '\\', '\n', '_', ':', 'é'][..]), 0..200)
        ) {
            check(text.into_iter().collect::<String>().as_bytes());
        }
    }
}
