//! Requests to CloudWatch Logs and what their answers mean: bodies in, bodies out.
//!
//! The protocol is AWS JSON 1.1: `POST /` with `Content-Type: application/x-amz-json-1.1`
//! and the operation in `X-Amz-Target`. Sending, signing and waiting are the caller's.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use core::fmt;
use core::ops::Range;

use otelpipe_core::number;

use crate::json::{Node, parse, write_plain_string};
use crate::log_batch::LogBatch;

/// Header that tells CloudWatch to look for metrics in the messages, with its value.
pub const EMF_HEADER: (&str, &str) = ("x-amzn-logs-format", "json/emf");

/// An operation of CloudWatch Logs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LogsCall {
    /// Sends a batch.
    PutLogEvents,
    /// Makes the batch's log stream.
    CreateLogStream,
    /// Makes the batch's log group, with the configured tags.
    CreateLogGroup,
    /// Sets how long the group keeps its events.
    PutRetentionPolicy,
}

impl LogsCall {
    /// Value of the header `X-Amz-Target`.
    pub fn target(self) -> &'static str {
        match self {
            Self::PutLogEvents => "Logs_20140328.PutLogEvents",
            Self::CreateLogStream => "Logs_20140328.CreateLogStream",
            Self::CreateLogGroup => "Logs_20140328.CreateLogGroup",
            Self::PutRetentionPolicy => "Logs_20140328.PutRetentionPolicy",
        }
    }
}

/// How a log group is made that does not exist yet.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NewLogGroup {
    /// Days to keep events; 0 is "for ever".
    pub retention_days: i64,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// Appends the body of `call` about `batch`.
pub fn write_body(call: LogsCall, batch: &LogBatch, new_group: &NewLogGroup, out: &mut String) {
    match call {
        LogsCall::PutLogEvents => {
            out.reserve(batch.body_bytes());
            out.push_str("{\"logEvents\":[");
            for (at, (at_ms, message)) in batch.escaped_events().enumerate() {
                out.push_str(if at == 0 { "{\"message\":\"" } else { ",{\"message\":\"" });
                out.push_str(message);
                out.push_str("\",\"timestamp\":");
                number::write_i64(at_ms, out);
                out.push('}');
            }
            out.push_str("],\"logGroupName\":");
            write_plain_string(batch.group(), out);
            out.push_str(",\"logStreamName\":");
            write_plain_string(batch.stream(), out);
        }
        LogsCall::CreateLogStream => {
            out.push_str("{\"logGroupName\":");
            write_plain_string(batch.group(), out);
            out.push_str(",\"logStreamName\":");
            write_plain_string(batch.stream(), out);
        }
        LogsCall::CreateLogGroup => {
            out.push_str("{\"logGroupName\":");
            write_plain_string(batch.group(), out);
            for (at, (key, value)) in new_group.tags.iter().enumerate() {
                out.push_str(if at == 0 { ",\"tags\":{" } else { "," });
                write_plain_string(key, out);
                out.push(':');
                write_plain_string(value, out);
            }
            if !new_group.tags.is_empty() {
                out.push('}');
            }
        }
        LogsCall::PutRetentionPolicy => {
            out.push_str("{\"logGroupName\":");
            write_plain_string(batch.group(), out);
            out.push_str(",\"retentionInDays\":");
            number::write_i64(new_group.retention_days, out);
        }
    }
    out.push('}');
}

/// Events of a batch that the service took note of but did not keep.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RejectedLogEvents {
    /// Events before this position are older than the service takes.
    pub too_old_end: Option<usize>,
    /// Events before this position are older than the group keeps.
    pub expired_end: Option<usize>,
    /// Events from this position on are too far in the future.
    pub too_new_start: Option<usize>,
}

impl RejectedLogEvents {
    /// Positions of the events that were kept, of a batch of `len`.
    pub fn kept(&self, len: usize) -> Range<usize> {
        let start = self.too_old_end.max(self.expired_end).unwrap_or(0).min(len);
        start..self.too_new_start.unwrap_or(len).clamp(start, len)
    }
}

/// What kind of error an answer is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LogsErrorKind {
    /// The log group or stream does not exist.
    ResourceNotFound,
    /// The log group or stream exists already.
    ResourceAlreadyExists,
    /// The request is wrong and stays wrong.
    InvalidParameter,
    /// Two requests about one resource met.
    OperationAborted,
    /// Too many requests.
    Throttling,
    /// The service cannot answer now: any status of 500 or above.
    ServiceUnavailable,
    /// The request's time is not the service's.
    ClockSkew,
    /// The credentials are not valid, no longer valid, or do not allow this.
    Credentials,
    /// Anything else.
    Other,
}

/// An answer that says that the request failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cloudwatch logs answered {status} {code}: {message}")]
pub struct LogsError {
    /// HTTP status.
    pub status: u16,
    /// The error's name, such as `ThrottlingException`; empty if the answer has none.
    pub code: String,
    /// The service's words.
    pub message: String,
}

impl LogsError {
    /// What kind of error it is.
    pub fn kind(&self) -> LogsErrorKind {
        match self.code.as_str() {
            "ResourceNotFoundException" => LogsErrorKind::ResourceNotFound,
            "ResourceAlreadyExistsException" => LogsErrorKind::ResourceAlreadyExists,
            "InvalidParameterException" | "ValidationException" | "SerializationException" => {
                LogsErrorKind::InvalidParameter
            }
            "OperationAbortedException" => LogsErrorKind::OperationAborted,
            "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "ProvisionedThroughputExceededException"
            | "TransactionInProgressException"
            | "RequestLimitExceeded"
            | "BandwidthLimitExceeded"
            | "LimitExceededException"
            | "SlowDown"
            | "PriorRequestNotComplete"
            | "EC2ThrottledException" => LogsErrorKind::Throttling,
            "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => LogsErrorKind::ClockSkew,
            "InvalidSignatureException" | "SignatureDoesNotMatch" if self.message.contains("expired") => {
                LogsErrorKind::ClockSkew
            }
            "AccessDeniedException"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "IncompleteSignatureException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "MissingAuthenticationTokenException"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClientException" => LogsErrorKind::Credentials,
            "ServiceUnavailableException" | "RequestTimeout" | "RequestTimeoutException" => {
                LogsErrorKind::ServiceUnavailable
            }
            _ if self.status == 429 => LogsErrorKind::Throttling,
            _ if self.status >= 500 => LogsErrorKind::ServiceUnavailable,
            _ => LogsErrorKind::Other,
        }
    }

    /// Whether the same request may succeed later without anybody's help.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind(),
            LogsErrorKind::Throttling
                | LogsErrorKind::ServiceUnavailable
                | LogsErrorKind::OperationAborted
                | LogsErrorKind::ClockSkew
        )
    }
}

/// Reads an answer. `error_type` is the header `x-amzn-errortype`.
///
/// Any status from 200 to 299 is success. (Upstream sends a batch again if the answer
/// lacks `nextSequenceToken`, which the service documents as deprecated.)
///
/// # Errors
/// The answer says that the request failed.
pub fn read_answer(
    status: u16,
    error_type: Option<&str>,
    body: &[u8],
) -> Result<RejectedLogEvents, LogsError> {
    let text = core::str::from_utf8(body).unwrap_or_default();
    let root = parse(text);
    let member = |name: &str| root.as_ref().and_then(|root| root.member(name));
    if (200..300).contains(&status) {
        let info = member("rejectedLogEventsInfo");
        let position = |name: &str| {
            let number = info.and_then(|info| info.member(name)).and_then(Node::number)?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
            Some(number as usize)
        };
        return Ok(RejectedLogEvents {
            too_old_end: position("tooOldLogEventEndIndex"),
            expired_end: position("expiredLogEventEndIndex"),
            too_new_start: position("tooNewLogEventStartIndex"),
        });
    }
    let text_of = |name: &str| member(name).and_then(Node::text);
    let code = error_type.or_else(|| text_of("__type")).or_else(|| text_of("code")).unwrap_or_default();
    let message = text_of("message").or_else(|| text_of("Message"));
    Err(LogsError {
        status,
        code: error_name(code).to_string(),
        // An answer that is not the service's own, such as a proxy's page.
        message: message.unwrap_or_else(|| first_chars(text, 200)).to_string(),
    })
}

/// `com.amazonaws#Name:http://…` → `Name`.
fn error_name(code: &str) -> &str {
    let code = code.split_once(':').map_or(code, |(name, _)| name);
    code.rsplit_once('#').map_or(code, |(_, name)| name).trim()
}

fn first_chars(text: &str, most: usize) -> &str {
    let end = text.char_indices().nth(most).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or_default().trim()
}

/// The calls that bring one batch to its stream, making stream and group on the way.
///
/// Ask [`Self::call`] what to send, send it, hand the answer to [`Self::answer`], until
/// that says it is over. Retries after throttling or outages are the caller's.
///
/// Source: `PutLogEvents` and `CreateStream` in `internal/aws/cwlogs/cwlog_client.go`.
///
/// ```
/// use otelpipe_emf::put_log_events::{Delivery, LogsCall, Progress, read_answer};
///
/// let mut delivery = Delivery::new(2, 0);
/// assert_eq!(delivery.call(), LogsCall::PutLogEvents);
/// let answer = read_answer(400, Some("ResourceNotFoundException"), b"{}");
/// assert_eq!(delivery.answer(answer), Progress::Call(LogsCall::CreateLogStream));
/// assert_eq!(delivery.answer(read_answer(200, None, b"{}")), Progress::Call(LogsCall::PutLogEvents));
/// assert!(matches!(delivery.answer(read_answer(200, None, b"{}")), Progress::Sent(_)));
/// ```
#[derive(Clone, Debug)]
pub struct Delivery {
    call: LogsCall,
    /// Whether the group was made on the way, so that a missing stream is an error now.
    group_made: bool,
    puts_left: u32,
    retention_days: i64,
    missing: Option<LogsError>,
}

/// How far a [`Delivery`] is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Progress {
    /// This is to be sent next.
    Call(LogsCall),
    /// The service has the batch, but for these events.
    Sent(RejectedLogEvents),
    /// The batch cannot be sent this way.
    Failed(LogsError),
}

impl Delivery {
    /// A delivery that sends the batch at most `max_retries + 1` times (`max_retries` 0
    /// counts as 1, as upstream).
    pub fn new(max_retries: u32, retention_days: i64) -> Self {
        let puts_left = max_retries.max(1).saturating_add(1);
        Self { call: LogsCall::PutLogEvents, group_made: false, puts_left, retention_days, missing: None }
    }

    /// What is to be sent.
    pub fn call(&self) -> LogsCall {
        self.call
    }

    /// Takes the answer to [`Self::call`] and says how it goes on.
    pub fn answer(&mut self, answer: Result<RejectedLogEvents, LogsError>) -> Progress {
        let next = match (self.call, answer) {
            (LogsCall::PutLogEvents, Ok(rejected)) => return Progress::Sent(rejected),
            (LogsCall::CreateLogGroup, Ok(_)) => {
                self.group_made = true;
                if self.retention_days == 0 {
                    LogsCall::CreateLogStream
                } else {
                    LogsCall::PutRetentionPolicy
                }
            }
            (LogsCall::PutRetentionPolicy, Ok(_)) => LogsCall::CreateLogStream,
            (LogsCall::CreateLogStream, Ok(_)) => return self.put_again(),
            (call, Err(error)) => match (call, error.kind()) {
                (LogsCall::PutLogEvents, LogsErrorKind::ResourceNotFound) => {
                    self.puts_left = self.puts_left.saturating_sub(1);
                    self.group_made = false;
                    self.missing = Some(error);
                    LogsCall::CreateLogStream
                }
                (LogsCall::CreateLogStream, LogsErrorKind::ResourceNotFound) if !self.group_made => {
                    LogsCall::CreateLogGroup
                }
                // Made meanwhile by somebody else. In a group made so the stream is
                // not made here: the next turn decides.
                (
                    LogsCall::CreateLogStream | LogsCall::CreateLogGroup,
                    LogsErrorKind::ResourceAlreadyExists,
                ) => {
                    return self.put_again();
                }
                _ => return Progress::Failed(error),
            },
        };
        self.call = next;
        Progress::Call(next)
    }

    /// The next turn, or the error of the last one.
    fn put_again(&mut self) -> Progress {
        match self.missing.take() {
            Some(error) if self.puts_left == 0 => Progress::Failed(error),
            _ => {
                self.call = LogsCall::PutLogEvents;
                Progress::Call(self.call)
            }
        }
    }
}

impl fmt::Display for LogsCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.target().trim_start_matches("Logs_20140328."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_batch::{LogBatcher, LogLimits};
    use crate::log_event::LogEventRef;
    use alloc::vec::Vec;
    use otelpipe_core::shared_str::SharedStr;

    fn body(call: LogsCall, events: &[(i64, &str)], new_group: &NewLogGroup) -> String {
        let (group, stream) = (SharedStr::from("G"), SharedStr::from("S"));
        let mut batcher = LogBatcher::new(LogLimits::default());
        for (timestamp_ms, message) in events {
            let event = LogEventRef { group: &group, stream: &stream, timestamp_ms: *timestamp_ms, message };
            batcher.push(event, 1000).unwrap();
        }
        let mut out = String::new();
        write_body(call, &batcher.flush()[0], new_group, &mut out);
        out
    }

    #[test]
    fn bodies_are_those_of_the_protocol() {
        let new_group = NewLogGroup {
            retention_days: 7,
            tags: [("k".to_string(), "v".to_string())].into_iter().collect(),
        };
        for (call, expected) in [
            (
                LogsCall::PutLogEvents,
                r#"{"logEvents":[{"message":"b","timestamp":122},{"message":"{\"a\":\"é<\\n\"}","timestamp":123}],"logGroupName":"G","logStreamName":"S"}"#,
            ),
            (LogsCall::CreateLogStream, r#"{"logGroupName":"G","logStreamName":"S"}"#),
            (LogsCall::CreateLogGroup, r#"{"logGroupName":"G","tags":{"k":"v"}}"#),
            (LogsCall::PutRetentionPolicy, r#"{"logGroupName":"G","retentionInDays":7}"#),
        ] {
            assert_eq!(body(call, &[(123, r#"{"a":"é<\n"}"#), (122, "b")], &new_group), expected);
        }
        let plain = body(LogsCall::CreateLogGroup, &[(1, "x")], &NewLogGroup::default());
        assert_eq!(plain, r#"{"logGroupName":"G"}"#);
    }

    #[test]
    fn rejected_events_are_positions_in_the_batch() {
        let body = br#"{"nextSequenceToken":"1","rejectedLogEventsInfo":{"tooOldLogEventEndIndex":2,"tooNewLogEventStartIndex":4,"expiredLogEventEndIndex":1}}"#;
        let rejected = read_answer(200, None, body).unwrap();
        assert_eq!(
            (rejected.too_old_end, rejected.expired_end, rejected.too_new_start),
            (Some(2), Some(1), Some(4))
        );
        assert_eq!((rejected.kept(5), rejected.kept(3), rejected.kept(1)), (2..4, 2..3, 1..1));
        for body in ["{}", "", "not json", r#"{"rejectedLogEventsInfo":null}"#] {
            assert_eq!(read_answer(200, None, body.as_bytes()).unwrap().kept(3), 0..3, "{body}");
        }
        let none =
            read_answer(200, None, br#"{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":0}}"#).unwrap();
        assert_eq!(none.kept(3), 0..3);
    }

    #[test]
    fn errors_are_read_from_header_and_body() {
        use LogsErrorKind as Kind;
        for (status, header, body, code, kind, retryable) in [
            (
                400,
                None,
                r#"{"__type":"ThrottlingException","message":"slow"}"#,
                "ThrottlingException",
                Kind::Throttling,
                true,
            ),
            (
                400,
                Some("ResourceNotFoundException:http://x"),
                "{}",
                "ResourceNotFoundException",
                Kind::ResourceNotFound,
                false,
            ),
            (
                400,
                None,
                r#"{"__type":"com.amazonaws.logs#InvalidParameterException"}"#,
                "InvalidParameterException",
                Kind::InvalidParameter,
                false,
            ),
            (
                400,
                None,
                r#"{"__type":"OperationAbortedException"}"#,
                "OperationAbortedException",
                Kind::OperationAborted,
                true,
            ),
            (
                503,
                None,
                r#"{"__type":"ServiceUnavailableException"}"#,
                "ServiceUnavailableException",
                Kind::ServiceUnavailable,
                true,
            ),
            (500, None, r#"{"__type":"InternalFailure"}"#, "InternalFailure", Kind::ServiceUnavailable, true),
            (
                400,
                None,
                r#"{"__type":"AccessDeniedException"}"#,
                "AccessDeniedException",
                Kind::Credentials,
                false,
            ),
            (
                400,
                None,
                r#"{"__type":"InvalidSignatureException","message":"Signature expired: 1 is now earlier than 2"}"#,
                "InvalidSignatureException",
                Kind::ClockSkew,
                true,
            ),
            (502, None, "<html>bad gateway</html>", "", Kind::ServiceUnavailable, true),
            (418, None, "", "", Kind::Other, false),
        ] {
            let error = read_answer(status, header, body.as_bytes()).unwrap_err();
            assert_eq!(
                (error.code.as_str(), error.kind(), error.is_retryable()),
                (code, kind, retryable),
                "{body}"
            );
        }
        let page = read_answer(502, None, b"<html>bad gateway</html>").unwrap_err();
        assert_eq!(page.to_string(), "cloudwatch logs answered 502 : <html>bad gateway</html>");
    }

    /// Plays answers (`ok` or an error's name) to a delivery: the calls made and the end.
    fn play(retention_days: i64, answers: &[&str]) -> (Vec<String>, String) {
        let mut delivery = Delivery::new(2, retention_days);
        let mut calls = Vec::new();
        for answer in answers {
            calls.push(delivery.call().to_string());
            let answer = match *answer {
                "ok" => read_answer(200, None, b"{}"),
                name => read_answer(400, Some(name), b"{}"),
            };
            match delivery.answer(answer) {
                Progress::Call(_) => {}
                Progress::Sent(_) => return (calls, "ok".into()),
                Progress::Failed(error) => return (calls, error.code),
            }
        }
        (calls, "more answers needed".into())
    }

    #[test]
    fn streams_and_groups_are_made_on_the_way() {
        const MISSING: &str = "ResourceNotFoundException";
        const EXISTS: &str = "ResourceAlreadyExistsException";
        const DENIED: &str = "AccessDeniedException";
        for (retention, answers, calls, end) in [
            (0, &["ok"][..], "PutLogEvents", "ok"),
            (0, &["InvalidParameterException"], "PutLogEvents", "InvalidParameterException"),
            (0, &[MISSING, "ok", "ok"], "PutLogEvents CreateLogStream PutLogEvents", "ok"),
            (0, &[MISSING, EXISTS, "ok"], "PutLogEvents CreateLogStream PutLogEvents", "ok"),
            (
                0,
                &[MISSING, MISSING, "ok", "ok", "ok"],
                "PutLogEvents CreateLogStream CreateLogGroup CreateLogStream PutLogEvents",
                "ok",
            ),
            (
                7,
                &[MISSING, MISSING, "ok", "ok", "ok", "ok"],
                "PutLogEvents CreateLogStream CreateLogGroup PutRetentionPolicy CreateLogStream PutLogEvents",
                "ok",
            ),
            (
                7,
                &[MISSING, MISSING, EXISTS, "ok"],
                "PutLogEvents CreateLogStream CreateLogGroup PutLogEvents",
                "ok",
            ),
            (
                7,
                &[MISSING, MISSING, "ok", DENIED],
                "PutLogEvents CreateLogStream CreateLogGroup PutRetentionPolicy",
                DENIED,
            ),
            (0, &[MISSING, DENIED], "PutLogEvents CreateLogStream", DENIED),
            (
                0,
                &[MISSING, "ok", MISSING, "ok", MISSING, "ok"],
                "PutLogEvents CreateLogStream PutLogEvents CreateLogStream PutLogEvents CreateLogStream",
                MISSING,
            ),
            (
                0,
                &[MISSING, MISSING, "ok", MISSING],
                "PutLogEvents CreateLogStream CreateLogGroup CreateLogStream",
                MISSING,
            ),
        ] {
            let (made, outcome) = play(retention, answers);
            assert_eq!((made.join(" ").as_str(), outcome.as_str()), (calls, end));
        }
    }
}
