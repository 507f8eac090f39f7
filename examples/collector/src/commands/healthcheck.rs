//! `healthcheck`: asks a running collector's `health_check` page, for container health checks.
//!
//! Source: ADOT's `cmd/healthcheck/main.go`. The image has no shell and no `curl`, and task
//! definitions name `/healthcheck`, so the program answers to that name as well.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::HealthcheckArgs;

const TIMEOUT: Duration = Duration::from_secs(5);

/// The arguments as `otelpipe` takes them, from those of a program called `healthcheck`,
/// which has the flag `-port`.
pub fn arguments(mut own: Vec<OsString>) -> Vec<OsString> {
    let name = own.first().map(std::path::Path::new).and_then(std::path::Path::file_stem);
    if name.is_some_and(|name| name == "healthcheck") {
        for argument in &mut own {
            if let Some(flag) = argument.to_str().filter(|text| text.starts_with("-port")) {
                *argument = format!("-{flag}").into();
            }
        }
        own.insert(1, "healthcheck".into());
    }
    own
}

/// Ends with 0 if the page answers with status 200, and with 1 otherwise.
///
/// # Errors
/// When nothing can be written.
pub fn run(args: &HealthcheckArgs, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<ExitCode> {
    let (healthy, text) = match ask(args.port) {
        Ok(status) => (status.contains(" 200"), status),
        Err(error) => (false, format!("no answer at 127.0.0.1:{}: {error}", args.port)),
    };
    if args.json {
        let line = serde_json::json!({ "healthy": healthy, "answer": text });
        writeln!(out, "{line}")?;
    } else if !healthy {
        writeln!(err, "unhealthy: {text}")?;
    }
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The status line of the page.
fn ask(port: u16) -> io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    // One write: the page may answer and close before a second one.
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream.take(1024)).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn status(answer: &'static str) -> (String, String) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let (mut out, mut err) = (Vec::new(), Vec::new());
        run(&HealthcheckArgs { port, json: true }, &mut out, &mut err).unwrap();
        server.join().unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn only_status_200_is_healthy() {
        let (ready, _) = status("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(ready, "{\"answer\":\"HTTP/1.1 200 OK\",\"healthy\":true}\n");
        let (starting, _) = status("HTTP/1.1 503 Service Unavailable\r\n\r\n");
        assert_eq!(starting, "{\"answer\":\"HTTP/1.1 503 Service Unavailable\",\"healthy\":false}\n");
    }

    #[test]
    fn nobody_listening_is_unhealthy_and_says_where() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        run(&HealthcheckArgs { port, json: false }, &mut out, &mut err).unwrap();
        let text = String::from_utf8(err).unwrap();
        assert!(text.starts_with(&format!("unhealthy: no answer at 127.0.0.1:{port}: ")), "{text}");
    }

    #[test]
    fn the_program_answers_to_the_name_of_adots() {
        let own = |line: &str| {
            let told = arguments(line.split(' ').map(OsString::from).collect());
            told.join(std::ffi::OsStr::new(" ")).into_string().unwrap()
        };
        assert_eq!(own("/healthcheck -port 9"), "/healthcheck healthcheck --port 9");
        assert_eq!(own("/healthcheck -port=9"), "/healthcheck healthcheck --port=9");
        assert_eq!(own("/awscollector --config=a"), "/awscollector --config=a");
    }
}
