//! Reading a body, gzip or not, up to a limit: the limit holds for what comes out, so a
//! small body that inflates without end stops there.

use std::io::Write;

use flate2::write::MultiGzDecoder;

use crate::gzip::inflate_at_once;

/// Why a body cannot be used.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum InflateError {
    /// More bytes come out than allowed.
    TooLarge,
    /// It is no gzip, or a broken one.
    Gzip(String),
}

/// Collects a body piece by piece.
pub(super) struct Inflate {
    is_gzip: bool,
    /// As the server sent them.
    bytes: Vec<u8>,
    limit: usize,
}

/// Bytes with an upper bound.
struct Capped {
    bytes: Vec<u8>,
    limit: usize,
}

impl Inflate {
    /// A collector for at most `limit` bytes; `announced` is how many bytes will be
    /// read, if the server said so.
    pub(super) fn new(is_gzip: bool, limit: usize, announced: usize) -> Self {
        // Room only for what a server can send at little cost to us.
        let room = announced.min(limit).min(4 << 20);
        Self { is_gzip, bytes: Vec::with_capacity(room), limit }
    }

    pub(super) fn write(&mut self, data: &[u8]) -> Result<(), InflateError> {
        // The wire carries at most the inflated size.
        if self.bytes.len() + data.len() > self.limit {
            return Err(InflateError::TooLarge);
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Vec<u8>, InflateError> {
        if !self.is_gzip {
            return Ok(self.bytes);
        }
        if let Some(bytes) = inflate_at_once(&self.bytes, self.limit) {
            return Ok(bytes);
        }
        let mut reader = MultiGzDecoder::new(Capped { bytes: Vec::new(), limit: self.limit });
        let read = reader.write_all(&self.bytes).and_then(|()| reader.try_finish());
        read.map_err(|error| gzip_error(&error))?;
        Ok(std::mem::take(&mut reader.get_mut().bytes))
    }
}

fn gzip_error(error: &std::io::Error) -> InflateError {
    match error.kind() {
        std::io::ErrorKind::FileTooLarge => InflateError::TooLarge,
        std::io::ErrorKind::UnexpectedEof => {
            InflateError::Gzip("body ends within the compressed data".into())
        }
        _ => InflateError::Gzip(error.to_string()),
    }
}

impl Write for Capped {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + data.len() > self.limit {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn read(body: &[u8], compressed: bool, limit: usize) -> Result<Vec<u8>, InflateError> {
        let mut inflate = Inflate::new(compressed, limit, 0);
        for piece in body.chunks(7) {
            inflate.write(piece)?;
        }
        inflate.finish()
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = gzip(&vec![b'x'; 10_000_000]);
        assert!(bomb.len() < 100_000);
        assert_eq!(read(&bomb, true, 1_000_000), Err(InflateError::TooLarge));
        assert_eq!(read(&[b'x'; 11], false, 10), Err(InflateError::TooLarge));
    }

    #[test]
    fn members_are_joined_and_a_broken_end_is_an_error() {
        let mut two = gzip(b"a 1\n");
        two.extend(gzip(b"b 2\n"));
        assert_eq!(read(&two, true, 100), Ok(b"a 1\nb 2\n".to_vec()));
        let cut = &gzip(b"some longer text")[..20];
        assert!(matches!(read(cut, true, 100), Err(InflateError::Gzip(_))));
        assert!(matches!(read(b"plain text", true, 100), Err(InflateError::Gzip(_))));
    }
}
