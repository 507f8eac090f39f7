//! What a server says about a request that it took: perhaps not all of it.

use otelpipe_core::protobuf::{Fields, ProtobufError, put_message, put_text, put_u64};
use serde::Deserialize;

use super::Status;

/// `ExportMetricsPartialSuccess`: points that were not taken, and why.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct PartialSuccess {
    pub(crate) rejected_points: u64,
    pub(crate) message: String,
}

impl PartialSuccess {
    /// Reads an `ExportMetricsServiceResponse`; none when all was taken and nothing is said.
    pub(crate) fn from_protobuf(response: &[u8]) -> Result<Option<Self>, ProtobufError> {
        let mut partial = Self::default();
        for field in Fields::new(response) {
            let (1, value) = field? else { continue };
            for field in Fields::new(value.bytes()?) {
                match field? {
                    (1, value) => partial.rejected_points = u64::try_from(value.int64()?).unwrap_or(0),
                    (2, value) => partial.message = String::from_utf8_lossy(value.bytes()?).into_owned(),
                    _ => {}
                }
            }
        }
        Ok(partial.something())
    }

    /// The same from JSON.
    pub(crate) fn from_json(response: &[u8]) -> Result<Option<Self>, serde_json::Error> {
        let Response { partial_success } = serde_json::from_slice(response)?;
        let rejected_points = match partial_success.rejected_data_points {
            Number::Text(text) => text.parse().unwrap_or(0),
            Number::Number(number) => u64::try_from(number).unwrap_or(0),
        };
        Ok(Self { rejected_points, message: partial_success.error_message }.something())
    }

    /// The response as protobuf, for tests of the exporters.
    #[cfg_attr(not(test), expect(dead_code, reason = "the receiver takes all or nothing"))]
    pub(crate) fn to_protobuf(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_message(1, &mut out, |out| {
            put_u64(1, self.rejected_points, out);
            put_text(2, &self.message, out);
        });
        out
    }

    fn something(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Response {
    partial_success: Partial,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Partial {
    rejected_data_points: Number,
    error_message: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(i64),
    Text(String),
}

impl Default for Number {
    fn default() -> Self {
        Self::Number(0)
    }
}

/// The message of a refusal in an HTTP body: a `Status` as protobuf or JSON.
pub(crate) fn refusal(body: &[u8], is_json: bool) -> Option<String> {
    #[derive(Deserialize)]
    struct Text {
        message: String,
    }
    let message = if is_json {
        serde_json::from_slice::<Text>(body).ok()?.message
    } else {
        Status::from_protobuf(body).ok()?.message
    };
    Some(message).filter(|message| !message.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_success_in_both_forms() {
        let some = PartialSuccess { rejected_points: 7, message: "too old".into() };
        assert_eq!(PartialSuccess::from_protobuf(&some.to_protobuf()), Ok(Some(some.clone())));
        assert_eq!(PartialSuccess::from_protobuf(&[]), Ok(None));
        assert_eq!(PartialSuccess::from_protobuf(&PartialSuccess::default().to_protobuf()), Ok(None));
        for number in ["7", r#""7""#] {
            let json =
                format!(r#"{{"partialSuccess":{{"rejectedDataPoints":{number},"errorMessage":"too old"}}}}"#);
            assert_eq!(PartialSuccess::from_json(json.as_bytes()).unwrap(), Some(some.clone()));
        }
        for nothing in ["{}", r#"{"partialSuccess":{}}"#] {
            assert_eq!(PartialSuccess::from_json(nothing.as_bytes()).unwrap(), None);
        }
        assert!(PartialSuccess::from_protobuf(&[8]).is_err());
    }
}
