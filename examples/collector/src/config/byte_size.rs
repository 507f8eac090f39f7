//! Sizes in bytes: `1MiB`.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A size in bytes: an integer, or text with a unit (KB … PB are powers of 1000, KiB … PiB of 1024).
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// Reads the text form. The number is read as a 32-bit float, as in the stanza library.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let split = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, unit) = text.split_at_checked(split)?;
        let unit: f64 = match unit.trim_start().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            "tb" => 1e12,
            "pb" => 1e15,
            "kib" => 1024.0,
            "mib" => 1024.0 * 1024.0,
            "gib" => 1024.0 * 1024.0 * 1024.0,
            "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            "pib" => 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0,
            _ => return None,
        };
        let number: f32 = number.parse().ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "digits only; the cast saturates"
        )]
        let bytes = (f64::from(number) * unit) as u64;
        Some(Self(bytes))
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;

        impl Visitor<'_> for SizeVisitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as `1MiB`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                ByteSize::parse(text)
                    .ok_or_else(|| E::custom(format_args!("`{text}` is not a size such as `1MiB`")))
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }
        }
        deserializer.deserialize_any(SizeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::ByteSize;

    #[test]
    fn sizes_in_both_families_of_units() {
        let check = |text, bytes| assert_eq!(ByteSize::parse(text), Some(ByteSize(bytes)), "{text}");
        check("1024", 1024);
        check("1kb", 1000);
        check("1 KiB", 1024);
        check("1.5MiB", 1_572_864);
        check("2GB", 2_000_000_000);
        check("1TiB", 1 << 40);
        for text in ["", "MiB", "1 XB", "-1", "1.2.3"] {
            assert_eq!(ByteSize::parse(text), None, "{text}");
        }
    }
}
