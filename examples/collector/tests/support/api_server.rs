//! A stand-in for a cluster's API server: its nodes, and the cAdvisor expositions behind
//! its proxy. Whoever does not show the token of the service account is refused.

use serde_json::{Value, json};

use super::folder::Folder;
use super::server::{Reply, Seen, Server};

/// The token of the service account. Nothing of it may ever be seen in a log.
pub(crate) const TOKEN: &str = "eyJhbGciOiJub25lIn0.c2VydmljZS1hY2NvdW50LXNlY3JldA.c2lnbmF0dXJl";

/// The API server and the service account that a pod would find mounted.
#[derive(Debug)]
pub(crate) struct ApiServer {
    pub(crate) server: Server,
    /// Has `token`, `ca.crt` and `namespace`.
    pub(crate) account: Folder,
}

impl ApiServer {
    /// Lists `nodes` (a `NodeList`), watches them for ever, and has `cadvisor` answer the
    /// scrapes of a node.
    pub(crate) fn start(
        name: &str,
        mut nodes: Value,
        mut cadvisor: impl FnMut(&str) -> Reply + Send + 'static,
    ) -> Self {
        nodes["metadata"] = json!({ "resourceVersion": "1" });
        Self::answering(name, move |seen| {
            if let Some(node) = scraped_node(&seen.path) {
                return cadvisor(node);
            }
            let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
            match path {
                "/api/v1/nodes" if query.contains("watch=true") => {
                    Reply::unfinished("").with("content-type", "application/json")
                }
                "/api/v1/nodes" => Reply::json(200, &nodes),
                "/version" => Reply::json(200, &json!({ "gitVersion": "v1.32.1-eks-1234567" })),
                _ => refusal(404, "NotFound", "the server could not find the requested resource"),
            }
        })
    }

    /// Answers, with the right token, as the closure says.
    pub(crate) fn answering(name: &str, mut answer: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        let server = Server::https(move |seen| {
            if seen.header("authorization") == format!("Bearer {TOKEN}") {
                answer(seen)
            } else {
                refusal(401, "Unauthorized", "Unauthorized")
            }
        });
        let account = Folder::new(&format!("account-{name}"));
        account.write("token", TOKEN);
        account.write("ca.crt", &server.certificate);
        account.write("namespace", "monitoring");
        Self { server, account }
    }

    /// The variables of a pod of this cluster.
    pub(crate) fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            ("KUBERNETES_SERVICE_HOST", "127.0.0.1".to_owned()),
            ("KUBERNETES_SERVICE_PORT", self.server.port()),
            ("OTELPIPE_SERVICE_ACCOUNT_DIR", self.account.path().to_str().unwrap().to_owned()),
        ]
    }
}

/// The node whose cAdvisor a path is for.
pub(crate) fn scraped_node(path: &str) -> Option<&str> {
    path.strip_prefix("/api/v1/nodes/")?.strip_suffix("/proxy/metrics/cadvisor")
}

/// A `Status` as the API server answers.
pub(crate) fn refusal(status: u16, reason: &str, message: &str) -> Reply {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": message, "code": status,
    });
    Reply::json(status, &body)
}
