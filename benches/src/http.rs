//! As much of an HTTP/1.1 server as stand-ins for kubelets and services need.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Whether an answer may be packed with gzip.
    pub gzip: bool,
    /// The header `x-amz-target`, which names an operation of AWS.
    pub operation: String,
    /// All of it.
    pub body: Vec<u8>,
}

/// What is answered, with status 200.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The content type.
    pub kind: &'static str,
    /// Whether `content` is packed with gzip.
    pub gzip: bool,
    /// The body.
    pub content: Arc<[u8]>,
}

/// Answers one request after the other until the peer closes the connection. A request
/// for which there is `None` is never answered.
///
/// # Errors
///
/// The connection broke, or what came is no HTTP with a content length.
pub fn serve(stream: impl Read + Write, mut answer: impl FnMut(Request) -> Option<Answer>) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(64 * 1024, stream);
    while let Some(request) = Request::read(&mut reader)? {
        let Some(Answer { kind, gzip, content }) = answer(request) else {
            return io::copy(&mut reader, &mut io::sink()).map(drop);
        };
        let packed = if gzip { "Content-Encoding: gzip\r\n" } else { "" };
        let length = content.len();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{packed}Content-Length: {length}\r\n\r\n");
        let stream = reader.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(&content)?;
        stream.flush()?;
    }
    Ok(())
}

impl Request {
    /// The next one, `None` at the end of the connection.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split(' ').map(str::to_owned);
        let mut request = Self {
            method: words.next().unwrap_or_default(),
            path: words.next().ok_or_else(|| bad("no request line"))?,
            ..Self::default()
        };
        let mut length = 0;
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    length = value.trim().parse().map_err(|_| bad("no length"))?;
                }
                "transfer-encoding" => return Err(bad("a chunked request")),
                "accept-encoding" => request.gzip = value.contains("gzip"),
                "x-amz-target" => value.trim().clone_into(&mut request.operation),
                _ => {}
            }
        }
        request.body = vec![0; length];
        reader.read_exact(&mut request.body)?;
        Ok(Some(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read, and what was written.
    struct Both<'a>(&'a [u8], &'a mut Vec<u8>);

    impl Read for Both<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.0.read(into)
        }
    }

    impl Write for Both<'_> {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.1.write(data)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn two_requests_of_one_connection_are_answered() {
        let asked = "POST /a HTTP/1.1\r\nX-Amz-Target: Logs.Put\r\nContent-Length: 3\r\n\r\nabc\
                     GET /b HTTP/1.1\r\naccept-encoding: gzip\r\n\r\n";
        let (mut seen, mut written) = (Vec::new(), Vec::new());
        let answer = Answer { kind: "text/plain", gzip: false, content: Arc::from(*b"ok") };
        serve(Both(asked.as_bytes(), &mut written), |request| {
            seen.push((request.method, request.path, request.gzip, request.operation, request.body));
            Some(answer.clone())
        })
        .expect("both are good");
        let expected = [
            ("POST".to_owned(), "/a".to_owned(), false, "Logs.Put".to_owned(), b"abc".to_vec()),
            ("GET".to_owned(), "/b".to_owned(), true, String::new(), Vec::new()),
        ];
        assert_eq!(seen, expected);
        let one = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(String::from_utf8(written).expect("text"), [one, one].concat());
    }
}
