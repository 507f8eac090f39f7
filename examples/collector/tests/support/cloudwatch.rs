//! A stand-in for CloudWatch Logs: groups and streams must exist before events come.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::server::{Reply, Seen, Server};

/// A log event that was taken.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) group: String,
    pub(crate) stream: String,
    pub(crate) timestamp: i64,
    /// The document.
    pub(crate) message: Value,
}

/// The service; answers at [`Server::url`].
#[derive(Debug)]
pub(crate) struct CloudWatch {
    pub(crate) server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    groups: BTreeSet<String>,
    streams: BTreeSet<(String, String)>,
    events: Vec<Event>,
    refusals: VecDeque<(String, Reply)>,
}

impl CloudWatch {
    pub(crate) fn start() -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        Self { server: Server::http(move |seen| shared.lock().unwrap().answer(seen)), state }
    }

    /// The next call of `operation` that no other refusal is for is answered with this one.
    #[must_use]
    pub(crate) fn refusing(self, operation: &str, reply: Reply) -> Self {
        self.state.lock().unwrap().refusals.push_back((operation.to_owned(), reply));
        self
    }

    /// What was taken so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.state.lock().unwrap().events.clone()
    }

    /// Waits until as many events were taken, and returns all there are.
    #[track_caller]
    pub(crate) fn wait_for_events(&self, count: usize) -> Vec<Event> {
        self.server
            .wait_for("log events", |_| (self.state.lock().unwrap().events.len() >= count).then_some(()));
        self.events()
    }

    /// The operations that were called, in order.
    pub(crate) fn operations(&self) -> Vec<String> {
        self.server.seen().iter().map(operation).collect()
    }
}

impl State {
    fn answer(&mut self, seen: &Seen) -> Reply {
        let operation = operation(seen);
        if !seen.header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=") {
            return Reply::refusal(400, "MissingAuthenticationTokenException", "no signature");
        }
        if let Some(at) = self.refusals.iter().position(|(of, _)| *of == operation) {
            return self.refusals.remove(at).expect("it is there").1;
        }
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        let name = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let (group, stream) = (name("logGroupName"), name("logStreamName"));
        match operation.as_str() {
            "CreateLogGroup" if self.groups.insert(group.clone()) => {}
            "CreateLogStream" if !self.groups.contains(&group) => {
                return missing("The specified log group does not exist.");
            }
            "CreateLogStream" if self.streams.insert((group.clone(), stream.clone())) => {}
            "CreateLogGroup" | "CreateLogStream" => {
                return Reply::refusal(400, "ResourceAlreadyExistsException", "it exists already");
            }
            "PutLogEvents" if !self.streams.contains(&(group.clone(), stream.clone())) => {
                return missing("The specified log stream does not exist.");
            }
            "PutLogEvents" => {
                self.events.extend(body["logEvents"].as_array().unwrap().iter().map(|event| Event {
                    group: group.clone(),
                    stream: stream.clone(),
                    timestamp: event["timestamp"].as_i64().unwrap(),
                    message: serde_json::from_str(event["message"].as_str().unwrap()).unwrap(),
                }));
            }
            _ => return Reply::refusal(400, "UnknownOperationException", &operation),
        }
        Reply::json(200, &json!({}))
    }
}

fn missing(message: &str) -> Reply {
    Reply::refusal(400, "ResourceNotFoundException", message)
}

fn operation(seen: &Seen) -> String {
    seen.header("x-amz-target").trim_start_matches("Logs_20140328.").to_owned()
}
