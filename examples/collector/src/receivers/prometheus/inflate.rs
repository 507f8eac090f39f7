//! Reading a body, gzip or not, up to a limit: the limit holds for what comes out, so a
//! small body that inflates without end stops there.

use std::io::Write;

use flate2::write::MultiGzDecoder;

use super::HttpError;

/// Collects a body piece by piece.
pub(super) enum Inflate {
    Plain(Capped),
    Gzip(Box<MultiGzDecoder<Capped>>),
}

/// Bytes with an upper bound.
pub(super) struct Capped {
    bytes: Vec<u8>,
    limit: usize,
}

impl Inflate {
    /// A collector for at most `limit` bytes; `announced` is how many bytes will be
    /// read, if the server said so.
    pub(super) fn new(gzip: bool, limit: usize, announced: usize) -> Self {
        // Room only for what a server can send at little cost to us.
        let room = announced.min(limit).min(4 << 20);
        let capped = Capped { bytes: Vec::with_capacity(if gzip { room * 4 } else { room }), limit };
        if gzip { Self::Gzip(Box::new(MultiGzDecoder::new(capped))) } else { Self::Plain(capped) }
    }

    pub(super) fn write(&mut self, data: &[u8]) -> Result<(), HttpError> {
        match self {
            Self::Plain(capped) => {
                let limit = capped.limit;
                capped.write_all(data).map_err(|_| HttpError::TooLarge(limit))
            }
            Self::Gzip(gzip) => {
                let written = gzip.write_all(data);
                written.map_err(|error| gzip_error(&error, gzip.get_ref()))
            }
        }
    }

    pub(super) fn finish(self) -> Result<Vec<u8>, HttpError> {
        match self {
            Self::Plain(capped) => Ok(capped.bytes),
            Self::Gzip(mut gzip) => match gzip.try_finish() {
                Ok(()) => Ok(std::mem::take(&mut gzip.get_mut().bytes)),
                Err(error) => Err(gzip_error(&error, gzip.get_ref())),
            },
        }
    }
}

fn gzip_error(error: &std::io::Error, out: &Capped) -> HttpError {
    match error.kind() {
        std::io::ErrorKind::FileTooLarge => HttpError::TooLarge(out.limit),
        std::io::ErrorKind::UnexpectedEof => HttpError::Gzip("body ends within the compressed data".into()),
        _ => HttpError::Gzip(error.to_string()),
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

    fn read(body: &[u8], compressed: bool, limit: usize) -> Result<Vec<u8>, String> {
        let mut inflate = Inflate::new(compressed, limit, 0);
        for piece in body.chunks(7) {
            inflate.write(piece).map_err(|error| error.to_string())?;
        }
        inflate.finish().map_err(|error| error.to_string())
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = gzip(&vec![b'x'; 10_000_000]);
        assert!(bomb.len() < 100_000);
        assert_eq!(
            read(&bomb, true, 1_000_000),
            Err("body size limit exceeded: more than 1000000 bytes".into())
        );
        assert_eq!(read(&[b'x'; 11], false, 10), Err("body size limit exceeded: more than 10 bytes".into()));
    }

    #[test]
    fn members_are_joined_and_a_broken_end_is_an_error() {
        let mut two = gzip(b"a 1\n");
        two.extend(gzip(b"b 2\n"));
        assert_eq!(read(&two, true, 100), Ok(b"a 1\nb 2\n".to_vec()));
        let cut = &gzip(b"some longer text")[..20];
        assert!(read(cut, true, 100).unwrap_err().starts_with("gzip: "));
        assert!(read(b"plain text", true, 100).unwrap_err().starts_with("gzip: "));
    }
}
