//! Log events: an EMF document with its time and destination.

use alloc::borrow::Cow;
use alloc::string::String;

use otelpipe_core::shared_str::SharedStr;

use crate::json::unescape;

/// A message on its way to a log stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogEvent {
    /// Log group.
    pub group: SharedStr,
    /// Log stream of the group.
    pub stream: SharedStr,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The message, for EMF one JSON object in one line.
    pub message: String,
}

/// The same, borrowed from the encoder until its next document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogEventRef<'a> {
    /// Log group.
    pub group: &'a SharedStr,
    /// Log stream of the group.
    pub stream: &'a SharedStr,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The message, for EMF one JSON object in one line.
    pub message: &'a str,
}

/// The same with the message as it stands in a request: between the quotes of a JSON string.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EscapedEventRef<'a> {
    /// Log group.
    pub group: &'a SharedStr,
    /// Log stream of the group.
    pub stream: &'a SharedStr,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The message with its quotes and backslashes escaped.
    pub escaped: &'a str,
    /// Bytes of the message before it was escaped, which are those that the service counts.
    pub message_bytes: usize,
}

impl EscapedEventRef<'_> {
    /// The message. Allocates, save for a message without quotes and backslashes.
    pub fn message(&self) -> Cow<'_, str> {
        unescape(self.escaped)
    }
}

impl LogEventRef<'_> {
    /// Copies the message; the names are shared.
    pub fn to_owned(&self) -> LogEvent {
        LogEvent {
            group: self.group.clone(),
            stream: self.stream.clone(),
            timestamp_ms: self.timestamp_ms,
            message: self.message.into(),
        }
    }
}

impl LogEvent {
    /// The same, borrowed.
    pub fn as_ref(&self) -> LogEventRef<'_> {
        LogEventRef {
            group: &self.group,
            stream: &self.stream,
            timestamp_ms: self.timestamp_ms,
            message: &self.message,
        }
    }
}
