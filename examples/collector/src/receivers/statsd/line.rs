//! A line of StatsD: `name:value|type|@rate|#tag:value|c:container|Tseconds`.
//!
//! Source: contrib `receiver/statsdreceiver/internal/parser/statsd_parser.go`.

/// What a line measures.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    /// `c`
    Counter,
    /// `g`
    Gauge,
    /// `ms`
    Timing,
    /// `h`
    Histogram,
    /// `d`
    Distribution,
}

impl Kind {
    /// The value of the attribute `metric_type`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Timing => "timing",
            Self::Histogram => "histogram",
            Self::Distribution => "distribution",
        }
    }
}

/// A line, read. It borrows from the packet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line<'a> {
    /// Never empty.
    pub(super) name: &'a str,
    /// Finite.
    pub(super) value: f64,
    /// Whether the value of a gauge has a sign, so that it adds to the last one.
    pub(super) is_relative: bool,
    /// What it measures.
    pub(super) kind: Kind,
    /// The share of measurements that were sent; above 0.
    pub(super) rate: Option<f64>,
    /// Tags in the order of the line, the container at the end.
    pub(super) tags: Vec<(&'a str, &'a str)>,
    /// Seconds since the Unix epoch.
    pub(super) timestamp_s: Option<u64>,
}

/// Why a line is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(super) enum LineError {
    /// No `|`.
    #[error("no type after a `|`")]
    NoType,
    /// No `:`.
    #[error("no `:` between name and value")]
    NoValue,
    /// Nothing before the `:`.
    #[error("empty metric name")]
    EmptyName,
    /// Nothing after the `:`.
    #[error("empty metric value")]
    EmptyValue,
    /// Not `c`, `g`, `ms`, `h`, `d`.
    #[error("unsupported metric type")]
    Kind,
    /// Not a number.
    #[error("the value is not a number")]
    Value,
    /// Not a number, infinite, or NaN.
    #[error("the value is not finite")]
    NotFinite,
    /// After `@`, not a number above 0.
    #[error("the sample rate is not a number above 0")]
    Rate,
    /// A tag that is not `key:value`.
    #[error("a tag is not key:value (enable_simple_tags allows keys alone)")]
    Tag,
    /// After `T`, not a number of seconds, or with a type that has no time.
    #[error("the timestamp is not a number of seconds, or the type is neither counter nor gauge")]
    Timestamp,
    /// A part that begins with anything else.
    #[error("unrecognized message part")]
    Part,
}

/// The attribute that holds the container.
pub(super) const CONTAINER: &str = "container.id";

impl<'a> Line<'a> {
    /// Reads a line without its end. `simple_tags` allows tags without a value.
    ///
    /// # Errors
    ///
    /// The line is not of that form.
    pub(super) fn parse(text: &'a str, simple_tags: bool) -> Result<Self, LineError> {
        let mut parts = text.split('|');
        let first = parts.next().unwrap_or_default();
        let kind = parts.next().ok_or(LineError::NoType)?;
        let (name, value) = first.split_once(':').ok_or(LineError::NoValue)?;
        if name.is_empty() {
            return Err(LineError::EmptyName);
        }
        if value.is_empty() {
            return Err(LineError::EmptyValue);
        }
        let kind = match kind {
            "c" => Kind::Counter,
            "g" => Kind::Gauge,
            "ms" => Kind::Timing,
            "h" => Kind::Histogram,
            "d" => Kind::Distribution,
            _ => return Err(LineError::Kind),
        };
        let number: f64 = value.parse().map_err(|_| LineError::Value)?;
        if !number.is_finite() {
            return Err(LineError::NotFinite);
        }
        let is_relative = kind == Kind::Gauge && value.starts_with(['+', '-']);
        let mut line =
            Self { name, value: number, is_relative, kind, rate: None, tags: Vec::new(), timestamp_s: None };
        let mut container = None;
        for part in parts {
            if let Some(rate) = part.strip_prefix('@') {
                let rate: f64 = rate.parse().map_err(|_| LineError::Rate)?;
                line.rate =
                    Some(Some(rate).filter(|rate| rate.is_finite() && *rate > 0.0).ok_or(LineError::Rate)?);
            } else if let Some(tags) = part.strip_prefix('#') {
                line.add_tags(tags, simple_tags)?;
            } else if let Some(id) = part.strip_prefix("c:") {
                container = Some(id).filter(|id| !id.is_empty());
            } else if let Some(seconds) = part.strip_prefix('T') {
                if !matches!(kind, Kind::Counter | Kind::Gauge) {
                    return Err(LineError::Timestamp);
                }
                line.timestamp_s = Some(seconds.parse().map_err(|_| LineError::Timestamp)?);
            } else {
                return Err(LineError::Part);
            }
        }
        line.tags.extend(container.map(|id| (CONTAINER, id)));
        Ok(line)
    }

    fn add_tags(&mut self, tags: &'a str, simple: bool) -> Result<(), LineError> {
        for tag in tags.split(',').filter(|_| !tags.is_empty()) {
            match tag.split_once(':') {
                Some((key, value)) if !key.is_empty() && (simple || !value.is_empty()) => {
                    self.tags.push((key, value));
                }
                None if simple && !tag.is_empty() => self.tags.push((tag, "")),
                _ => return Err(LineError::Tag),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, error: LineError) {
        assert_eq!(Line::parse(text, false), Err(error), "{text:?}");
    }

    #[test]
    fn malformed_lines_are_refused_with_their_reason() {
        refused("no_value", LineError::NoType);
        refused("name:1", LineError::NoType);
        refused("name|c", LineError::NoValue);
        refused(":1|c", LineError::EmptyName);
        refused("name:|c", LineError::EmptyValue);
        refused("name:abc|c", LineError::Value);
        refused("name:1:2|c", LineError::Value);
        refused("name:1|x", LineError::Kind);
        refused("name:1|", LineError::Kind);
        refused("name:1|c|@notanumber", LineError::Rate);
        refused("name:1|c|@0", LineError::Rate);
        refused("name:1|c|?unknown", LineError::Part);
        refused("name:1|c|", LineError::Part);
        refused("name:NaN|g", LineError::NotFinite);
        refused("name:Inf|g", LineError::NotFinite);
        refused("name:1|c|#:v", LineError::Tag);
        refused("name:1|c|#k", LineError::Tag);
        refused("name:1|c|#k:", LineError::Tag);
        refused("name:1|c|#k:v,", LineError::Tag);
        refused("name:1|ms|T1", LineError::Timestamp);
        refused("name:1|c|Tsoon", LineError::Timestamp);
    }

    #[test]
    fn every_part_of_a_line_is_read() {
        let line = Line::parse("a.b:-2.5|g|@0.5|#env:prod,url:http://x|c:abc|T1716171336", false).unwrap();
        let tags = vec![("env", "prod"), ("url", "http://x"), (CONTAINER, "abc")];
        let expected = Line {
            name: "a.b",
            value: -2.5,
            is_relative: true,
            kind: Kind::Gauge,
            rate: Some(0.5),
            tags,
            timestamp_s: Some(1_716_171_336),
        };
        assert_eq!(line, expected);
        assert_eq!(Line::parse("a:1|c|#", false).unwrap().tags, []);
        assert_eq!(Line::parse("a:1|c|#flag,env:", true).unwrap().tags, [("flag", ""), ("env", "")]);
    }
}
