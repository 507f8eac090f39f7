//! Compressed bodies, unpacked up to a limit.

use std::io::{Read, Write as _};

use flate2::Compression;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

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
        }
    }

    /// The bytes unpacked, at most `limit` of them: a small body that unpacks without end
    /// stops there.
    pub(crate) fn unpack(self, packed: &[u8], limit: usize) -> Result<Vec<u8>, UnpackError> {
        match self {
            Self::Gzip => self.read(MultiGzDecoder::new(packed), packed.len(), limit),
            Self::Zlib => self.read(ZlibDecoder::new(packed), packed.len(), limit),
            Self::SnappyFramed => self.read(snap::read::FrameDecoder::new(packed), packed.len(), limit),
            Self::Snappy => {
                let len = snap::raw::decompress_len(packed).map_err(|failure| self.broken(&failure))?;
                if len > limit {
                    return Err(UnpackError::TooLarge(limit));
                }
                snap::raw::Decoder::new().decompress_vec(packed).map_err(|failure| self.broken(&failure))
            }
        }
    }

    fn read(self, reader: impl Read, packed: usize, limit: usize) -> Result<Vec<u8>, UnpackError> {
        let mut out = Vec::with_capacity(packed.saturating_mul(4).min(limit).min(1 << 20));
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        reader.take(most).read_to_end(&mut out).map_err(|failure| self.broken(&failure))?;
        if out.len() > limit { Err(UnpackError::TooLarge(limit)) } else { Ok(out) }
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
        };
        packed.expect("writing to memory does not fail")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Encoding; 4] = [Encoding::Gzip, Encoding::Zlib, Encoding::Snappy, Encoding::SnappyFramed];

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
