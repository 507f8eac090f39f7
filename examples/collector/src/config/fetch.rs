//! Configuration over HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};

use super::source::Fetch;
use crate::env::Env;
use crate::http_client::{HttpClient, HttpOptions, Limits, Proxy};

/// Reads documents with the collector's own HTTP client.
#[derive(Clone, Debug)]
pub struct HttpFetch {
    env: Env,
}

impl HttpFetch {
    /// A client that takes proxies from these variables.
    pub fn new(env: &Env) -> Self {
        Self { env: env.clone() }
    }
}

impl Fetch for HttpFetch {
    fn get(&self, url: &str) -> Result<String, String> {
        // a thread of its own, as the caller may stand in a runtime already, where one may not block
        let answer = std::thread::scope(|scope| scope.spawn(|| fetch(url, &self.env)).join());
        answer.unwrap_or_else(|_| Err(format!("cannot read {url}: the request failed")))
    }
}

fn fetch(url: &str, env: &Env) -> Result<String, String> {
    let failed = |reason: &dyn std::fmt::Display| format!("cannot read {url}: {reason}");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| failed(&e))?;
    runtime.block_on(async {
        let options = HttpOptions { proxy: Proxy::from_env(env), ..HttpOptions::default() };
        let client = HttpClient::new(&options).map_err(|e| failed(&e))?;
        let request = Request::get(url).body(Bytes::new()).map_err(|e| failed(&e))?;
        let limits = Limits { timeout: Duration::from_secs(30), max_body: 16 << 20 };
        let answer = client.fetch(request, limits).await.map_err(|e| failed(&e))?;
        if answer.status() != StatusCode::OK {
            return Err(failed(&format_args!("the answer is {}", answer.status())));
        }
        String::from_utf8(answer.into_body().to_vec()).map_err(|_| failed(&"the answer is not UTF-8"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server::{Reply, TestServer};

    #[tokio::test]
    async fn a_document_is_the_body_of_an_answer_of_status_200() {
        let server = TestServer::start(|seen| match seen.path.as_str() {
            "/good" => Reply::Status(200, "a: 1".to_owned()),
            _ => Reply::Status(404, "b: 2".to_owned()),
        })
        .await;
        // the server needs this thread meanwhile
        let get = async |url: &str| {
            let url = url.to_owned();
            tokio::task::spawn_blocking(move || HttpFetch::new(&Env::default()).get(&url))
                .await
                .expect("no panic")
        };
        let good = format!("{}/good", server.url());
        assert_eq!(get(&good).await, Ok("a: 1".to_owned()));
        let bad = format!("{}/bad", server.url());
        assert_eq!(get(&bad).await, Err(format!("cannot read {bad}: the answer is 404 Not Found")));
    }
}
