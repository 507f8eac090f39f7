//! Compressed bodies, unpacked up to a limit.

use std::io::{Read, Write as _};

use flate2::Compression;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::gzip::inflate_at_once;

/// How bytes are packed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Encoding {
    Gzip,
    /// What HTTP calls `deflate`, and the collector also `zlib`.
    Zlib,
    /// One block.
    Snappy,
    /// The framing format.
    SnappyFramed,
    Zstd,
    /// The frame format.
    Lz4,
}

/// Why packed bytes cannot be used.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum UnpackError {
    #[error("more than the limit of {0} bytes when unpacked")]
    TooLarge(usize),
    #[error("broken {0} data: {1}")]
    Broken(&'static str, String),
}

impl Encoding {
    /// The name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zlib => "zlib",
            Self::Snappy => "snappy",
            Self::SnappyFramed => "x-snappy-framed",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        }
    }

    /// The bytes unpacked, at most `limit` of them: a small body that unpacks without end
    /// stops there.
    pub(crate) fn unpack(self, packed: &[u8], limit: usize) -> Result<Vec<u8>, UnpackError> {
        self.unpack_into(Vec::new(), packed, limit)
    }

    /// The same in the room of `out`.
    pub(crate) fn unpack_into(
        self,
        mut out: Vec<u8>,
        packed: &[u8],
        limit: usize,
    ) -> Result<Vec<u8>, UnpackError> {
        if self == Self::Gzip && inflate_at_once(packed, limit, &mut out) {
            return Ok(out);
        }
        out.clear();
        match self {
            Self::Gzip => self.read(MultiGzDecoder::new(packed), limit, &mut out)?,
            Self::Zlib => self.read(ZlibDecoder::new(packed), limit, &mut out)?,
            Self::SnappyFramed => self.read(snap::read::FrameDecoder::new(packed), limit, &mut out)?,
            // Both kinds of frames may follow one another.
            Self::Lz4 => {
                let mut frames = lz4_flex::frame::FrameDecoder::new(packed);
                while !frames.get_ref().is_empty() {
                    self.read(&mut frames, limit, &mut out)?;
                }
            }
            Self::Zstd => {
                let max_window = u64::try_from(limit).unwrap_or(u64::MAX).max(ZSTD_WINDOW);
                let mut rest = packed;
                while !rest.is_empty() {
                    let frame = StreamingDecoder::new_with_max_window_size(&mut rest, max_window);
                    self.read(frame.map_err(|failure| self.broken(&failure))?, limit, &mut out)?;
                }
            }
            Self::Snappy => {
                let len = snap::raw::decompress_len(packed).map_err(|failure| self.broken(&failure))?;
                if len > limit {
                    return Err(UnpackError::TooLarge(limit));
                }
                out = snap::raw::Decoder::new()
                    .decompress_vec(packed)
                    .map_err(|failure| self.broken(&failure))?;
            }
        }
        Ok(out)
    }

    /// Appends what the reader gives, up to the limit of all.
    fn read(self, reader: impl Read, limit: usize, out: &mut Vec<u8>) -> Result<(), UnpackError> {
        let room = limit.saturating_sub(out.len());
        let most = u64::try_from(room).unwrap_or(u64::MAX).saturating_add(1);
        reader.take(most).read_to_end(out).map_err(|failure| match failure.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                UnpackError::Broken(self.name(), "it ends within the compressed data".into())
            }
            _ => self.broken(&failure),
        })?;
        if out.len() > limit { Err(UnpackError::TooLarge(limit)) } else { Ok(()) }
    }

    fn broken(self, failure: &dyn std::error::Error) -> UnpackError {
        UnpackError::Broken(self.name(), failure.to_string())
    }

    /// The bytes packed.
    pub(crate) fn pack(self, bytes: &[u8]) -> Vec<u8> {
        let out = Vec::with_capacity(bytes.len() / 4);
        let packed = match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(out, Compression::fast());
                encoder.write_all(bytes).and_then(|()| encoder.finish())
            }
            Self::Zlib => {
                let mut encoder = ZlibEncoder::new(out, Compression::fast());
                encoder.write_all(bytes).and_then(|()| encoder.finish())
            }
            Self::Snappy => snap::raw::Encoder::new().compress_vec(bytes).map_err(std::io::Error::other),
            Self::SnappyFramed => {
                let mut encoder = snap::write::FrameEncoder::new(out);
                encoder.write_all(bytes).and_then(|()| {
                    encoder.into_inner().map_err(|failure| std::io::Error::other(failure.to_string()))
                })
            }
            Self::Zstd => Ok(compress_to_vec(bytes, CompressionLevel::Fastest)),
            Self::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(out);
                encoder.write_all(bytes).and_then(|()| encoder.finish().map_err(std::io::Error::other))
            }
        };
        packed.expect("writing to memory does not fail")
    }
}

/// The window that every decoder of zstd must take; encoders that do not know how much will
/// come ask for as much.
const ZSTD_WINDOW: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Encoding; 6] = [
        Encoding::Gzip,
        Encoding::Zlib,
        Encoding::Snappy,
        Encoding::SnappyFramed,
        Encoding::Zstd,
        Encoding::Lz4,
    ];

    #[test]
    fn what_was_packed_unpacks_up_to_the_limit() {
        let text = b"metric ".repeat(10_000);
        for encoding in ALL {
            let packed = encoding.pack(&text);
            assert!(packed.len() < text.len() / 10, "{encoding:?}");
            assert_eq!(encoding.unpack(&packed, text.len()), Ok(text.clone()), "{encoding:?}");
            let limit = text.len() - 1;
            assert_eq!(encoding.unpack(&packed, limit), Err(UnpackError::TooLarge(limit)), "{encoding:?}");
        }
    }

    /// Made by the reference programs: `zstd -3` and `lz4 -9` of "metric " ten times.
    const BY_OTHERS: [(Encoding, &str); 2] = [
        (Encoding::Zstd, "28b52ffd04586d0000386d657472696320010094548c69704752"),
        (Encoding::Lz4, "04224d186440a7110000007f6d657472696320070027507472696320000000000ae85daa"),
    ];

    #[test]
    fn frames_of_other_programs_unpack_also_one_after_the_other() {
        for (encoding, hex) in BY_OTHERS {
            let digits: Vec<u8> = hex.bytes().collect();
            let byte = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
            let frame: Vec<u8> = digits.chunks(2).map(byte).collect();
            let text = b"metric ".repeat(10);
            assert_eq!(encoding.unpack(&frame, 1_000), Ok(text.clone()), "{encoding:?}");
            let two = [&frame[..], &frame[..]].concat();
            assert_eq!(encoding.unpack(&two, 1_000), Ok(text.repeat(2)), "{encoding:?}");
            assert_eq!(encoding.unpack(&two, 100), Err(UnpackError::TooLarge(100)), "{encoding:?}");
        }
    }

    #[test]
    fn a_window_without_end_is_refused_before_it_is_made() {
        // A frame that asks for a window of 1 TiB.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf0, 0x01, 0x00, 0x00];
        let error = Encoding::Zstd.unpack(&frame, 1 << 20).unwrap_err();
        assert!(matches!(&error, UnpackError::Broken("zstd", text) if text.contains("window")), "{error}");
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = Encoding::Gzip.pack(&vec![b'x'; 10_000_000]);
        assert!(bomb.len() < 100_000);
        assert_eq!(Encoding::Gzip.unpack(&bomb, 1_000_000), Err(UnpackError::TooLarge(1_000_000)));
    }

    #[test]
    fn members_of_gzip_are_joined_and_a_broken_end_is_an_error() {
        for second in [b"a 1\n", b"b 2\n"] {
            let mut two = Encoding::Gzip.pack(b"a 1\n");
            two.extend(Encoding::Gzip.pack(second));
            assert_eq!(Encoding::Gzip.unpack(&two, 100), Ok([&b"a 1\n"[..], second].concat()));
        }
        let cut = &Encoding::Gzip.pack(b"some longer text")[..20];
        for broken in [cut, b"plain text"] {
            assert!(matches!(Encoding::Gzip.unpack(broken, 100), Err(UnpackError::Broken("gzip", _))));
        }
    }

    #[test]
    fn broken_data_is_an_error() {
        for encoding in ALL {
            let mut packed = encoding.pack(&b"metric ".repeat(100));
            packed.truncate(packed.len() / 2);
            let error = encoding.unpack(&packed, 1 << 20).unwrap_err();
            assert!(matches!(error, UnpackError::Broken(name, _) if name == encoding.name()), "{error}");
        }
    }
}
