//! Plain requests to programs that listen on this machine.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::Value;

/// An address that was free a moment ago.
pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Sends a request of HTTP 1.0 and returns the whole answer; `None` if nobody listens.
pub(crate) fn exchange(address: &str, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// The body of what is answered to a GET.
#[track_caller]
pub(crate) fn get(address: &str, path: &str) -> String {
    let answer = exchange(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"));
    answer.expect("somebody listens").split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Posts JSON, which is taken.
#[track_caller]
pub(crate) fn post_json(address: &str, path: &str, body: &Value) {
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(address, &request).expect("somebody listens");
    assert!(answer.contains(" 200 OK\r\n"), "{answer}");
}
