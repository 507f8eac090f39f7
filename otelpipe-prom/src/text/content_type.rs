//! Which format a response is in, and which ones to ask for.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::Format;

impl Format {
    /// The format of a response with this `Content-Type`.
    ///
    /// Only the media type counts, in any letter case; its parameters must be
    /// well-formed and are then ignored. `fallback` is the job's
    /// `fallback_scrape_protocol`, for a header that is missing (an empty
    /// `content_type`), malformed or names another type; the collector's
    /// receiver sets it to `PrometheusText0.0.4`, Prometheus itself to nothing.
    ///
    /// ```
    /// use otelpipe_prom::text::{Format, ScrapeProtocol};
    ///
    /// assert_eq!(Format::choose("text/plain; version=0.0.4", None)?, Format::Text);
    /// let fallback = Some(ScrapeProtocol::PrometheusText0_0_4);
    /// assert_eq!(Format::choose("text/html", fallback)?, Format::Text);
    /// # Ok::<(), otelpipe_prom::text::ContentTypeError>(())
    /// ```
    ///
    /// Source: `extractMediaType` in Prometheus 3 `model/textparse/interface.go`
    /// and Go's `mime.ParseMediaType`.
    ///
    /// # Errors
    ///
    /// What Prometheus reports when no fallback helps, and
    /// [`ContentTypeError::Protobuf`] for the format that is not read here.
    pub fn choose(content_type: &str, fallback: Option<ScrapeProtocol>) -> Result<Self, ContentTypeError> {
        let error = match MediaType::parse(content_type) {
            Ok(media_type) => match media_type.as_str() {
                "text/plain" => return Ok(Self::Text),
                "application/openmetrics-text" => return Ok(Self::OpenMetrics),
                "application/vnd.google.protobuf" => return Err(ContentTypeError::Protobuf),
                _ => ContentTypeError::Unsupported(content_type.into()),
            },
            Err(_) if content_type.is_empty() => ContentTypeError::Blank,
            Err(fault) => ContentTypeError::Malformed { content_type: content_type.into(), fault },
        };
        fallback.map_or(Err(error), ScrapeProtocol::format)
    }
}

/// Why no parser fits a response.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentTypeError {
    /// No `Content-Type`.
    #[error(
        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target"
    )]
    Blank,
    /// A `Content-Type` that is no MIME type.
    #[error("cannot parse Content-Type {content_type:?} and no fallback_scrape_protocol for target\n{fault}")]
    Malformed {
        /// The header.
        content_type: String,
        /// What is wrong with it.
        fault: MediaTypeFault,
    },
    /// A `Content-Type` of something else.
    #[error("received unsupported Content-Type {0:?} and no fallback_scrape_protocol specified for target")]
    Unsupported(String),
    /// Protobuf, as Content-Type or as the fallback. A scraper that asks with
    /// [`accept_header`] does not get it.
    #[error(
        "received a protobuf exposition, which is not supported here: leave PrometheusProto out of scrape_protocols"
    )]
    Protobuf,
}

/// What makes a header no MIME type, in the words of Go's `mime` package.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MediaTypeFault {
    /// Nothing before the parameters.
    #[error("mime: no media type")]
    Missing,
    /// A first word that is followed by neither `/` nor `;`.
    #[error("mime: expected slash after first token")]
    ExpectedSlash,
    /// No second word.
    #[error("mime: expected token after slash")]
    ExpectedSubtype,
    /// More than two words.
    #[error("mime: unexpected content after media subtype")]
    UnexpectedContent,
    /// A parameter without `=` or value.
    #[error("mime: invalid media parameter")]
    InvalidParameter,
    /// A parameter given twice.
    #[error("mime: duplicate parameter name")]
    DuplicateParameter,
}

/// A `scrape_protocols` entry.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ScrapeProtocol {
    /// `PrometheusProto`; known, but not read here.
    PrometheusProto,
    /// `PrometheusText0.0.4`
    PrometheusText0_0_4,
    /// `PrometheusText1.0.0`
    PrometheusText1_0_0,
    /// `OpenMetricsText0.0.1`
    OpenMetricsText0_0_1,
    /// `OpenMetricsText1.0.0`
    OpenMetricsText1_0_0,
}

impl ScrapeProtocol {
    /// What a job asks for that sets no `scrape_protocols`.
    pub const DEFAULT: [Self; 4] = [
        Self::OpenMetricsText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
    ];

    /// All, as upstream lists them in messages: sorted by name.
    const ALL: [Self; 5] = [
        Self::OpenMetricsText0_0_1,
        Self::OpenMetricsText1_0_0,
        Self::PrometheusProto,
        Self::PrometheusText0_0_4,
        Self::PrometheusText1_0_0,
    ];

    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::PrometheusProto => "PrometheusProto",
            Self::PrometheusText0_0_4 => "PrometheusText0.0.4",
            Self::PrometheusText1_0_0 => "PrometheusText1.0.0",
            Self::OpenMetricsText0_0_1 => "OpenMetricsText0.0.1",
            Self::OpenMetricsText1_0_0 => "OpenMetricsText1.0.0",
        }
    }

    /// The format that this protocol's bodies are in.
    ///
    /// # Errors
    ///
    /// [`ContentTypeError::Protobuf`], the only one that is not a text.
    pub fn format(self) -> Result<Format, ContentTypeError> {
        match self {
            Self::PrometheusProto => Err(ContentTypeError::Protobuf),
            Self::PrometheusText0_0_4 | Self::PrometheusText1_0_0 => Ok(Format::Text),
            Self::OpenMetricsText0_0_1 | Self::OpenMetricsText1_0_0 => Ok(Format::OpenMetrics),
        }
    }

    /// Reads a `scrape_protocols` list.
    ///
    /// # Errors
    ///
    /// An empty list, an unknown name (letter case counts) or one given twice
    /// (it does not count there), in upstream's words.
    pub fn parse_list(names: &[impl AsRef<str>]) -> Result<Vec<Self>, ScrapeProtocolError> {
        if names.is_empty() {
            return Err(ScrapeProtocolError::Empty);
        }
        let mut protocols = Vec::with_capacity(names.len());
        for (place, name) in names.iter().enumerate() {
            let earlier = names.iter().take(place);
            if earlier.into_iter().any(|other| other.as_ref().eq_ignore_ascii_case(name.as_ref())) {
                let all: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
                return Err(ScrapeProtocolError::Duplicated(format!("[{}]", all.join(" "))));
            }
            protocols.push(name.as_ref().parse()?);
        }
        Ok(protocols)
    }

    fn accept_element(self, escaping: EscapingScheme) -> String {
        match self {
            Self::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
                    .into()
            }
            Self::PrometheusText0_0_4 => "text/plain;version=0.0.4".into(),
            Self::PrometheusText1_0_0 => format!("text/plain;version=1.0.0;escaping={escaping}"),
            Self::OpenMetricsText0_0_1 => "application/openmetrics-text;version=0.0.1".into(),
            Self::OpenMetricsText1_0_0 => {
                format!("application/openmetrics-text;version=1.0.0;escaping={escaping}")
            }
        }
    }
}

impl FromStr for ScrapeProtocol {
    type Err = ScrapeProtocolError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|protocol| protocol.name() == name);
        found.ok_or_else(|| ScrapeProtocolError::Unknown(name.into()))
    }
}

/// A `scrape_protocols` list that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ScrapeProtocolError {
    /// No entry.
    #[error("scrape_protocols cannot be empty")]
    Empty,
    /// An entry twice; the whole list is kept.
    #[error("duplicated protocol in scrape_protocols, got {0}")]
    Duplicated(String),
    /// A name that no protocol has.
    #[error("scrape_protocols: unknown scrape protocol {0}, supported: {list}", list = supported())]
    Unknown(String),
}

fn supported() -> String {
    let names: Vec<&str> = ScrapeProtocol::ALL.into_iter().map(ScrapeProtocol::name).collect();
    format!("[{}]", names.join(" "))
}

/// How a target shall write names that are not legal in older formats
/// (`metric_name_escaping_scheme`).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum EscapingScheme {
    /// `allow-utf-8`: leave them.
    #[default]
    AllowUtf8,
    /// `underscores`
    Underscores,
    /// `dots`
    Dots,
    /// `values`
    Values,
}

impl EscapingScheme {
    /// The name in configurations and headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }
}

impl fmt::Display for EscapingScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The `Accept` header that asks for these protocols in this order.
///
/// The first weighs 0.6, each further one 0.1 less, however long the list is,
/// and `*/*` comes last.
///
/// ```
/// use otelpipe_prom::text::{EscapingScheme, ScrapeProtocol, accept_header};
///
/// assert_eq!(
///     accept_header(&[ScrapeProtocol::PrometheusText0_0_4], EscapingScheme::default()),
///     "text/plain;version=0.0.4;q=0.6,*/*;q=0.5",
/// );
/// ```
///
/// Source: `acceptHeader` in Prometheus 3 `scrape/scrape.go`.
pub fn accept_header(protocols: &[ScrapeProtocol], escaping: EscapingScheme) -> String {
    let mut header = String::new();
    let mut tenths = ScrapeProtocol::ALL.len() + 1;
    for protocol in protocols {
        header.push_str(&protocol.accept_element(escaping));
        header.push_str(&format!(";q=0.{tenths},"));
        tenths = tenths.saturating_sub(1);
    }
    header.push_str(&format!("*/*;q=0.{tenths}"));
    header
}

/// Go's `mime.ParseMediaType`, as far as it can fail.
struct MediaType;

impl MediaType {
    /// The type in lower case.
    fn parse(text: &str) -> Result<String, MediaTypeFault> {
        let (media_type, mut rest) = text.split_at(text.find(';').unwrap_or(text.len()));
        let media_type = media_type.trim().to_ascii_lowercase();
        check_media_type(&media_type)?;
        let mut names: Vec<String> = Vec::new();
        while !rest.is_empty() {
            rest = rest.trim_start();
            if rest.is_empty() || rest.trim() == ";" {
                break; // a semicolon at the end is nothing
            }
            let (name, behind) = parameter(rest).ok_or(MediaTypeFault::InvalidParameter)?;
            if names.contains(&name) {
                return Err(MediaTypeFault::DuplicateParameter);
            }
            names.push(name);
            rest = behind;
        }
        Ok(media_type)
    }
}

fn check_media_type(text: &str) -> Result<(), MediaTypeFault> {
    let (first, rest) = token(text);
    if first.is_empty() {
        return Err(MediaTypeFault::Missing);
    }
    if rest.is_empty() {
        return Ok(());
    }
    let rest = rest.strip_prefix('/').ok_or(MediaTypeFault::ExpectedSlash)?;
    match token(rest) {
        ("", _) => Err(MediaTypeFault::ExpectedSubtype),
        (_, "") => Ok(()),
        _ => Err(MediaTypeFault::UnexpectedContent),
    }
}

/// The name of the parameter `; name = value` and what follows it.
fn parameter(text: &str) -> Option<(String, &str)> {
    let (name, rest) = token(text.trim_start().strip_prefix(';')?.trim_start());
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    if name.is_empty() {
        return None;
    }
    let Some(quoted) = rest.strip_prefix('"') else {
        let (value, behind) = token(rest);
        return (!value.is_empty()).then(|| (name.to_ascii_lowercase(), behind));
    };
    let mut escaped = false;
    for (place, char) in quoted.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '"' => return Some((name.to_ascii_lowercase(), quoted.split_at(place + 1).1)),
            '\\' => escaped = true,
            '\r' | '\n' => return None,
            _ => {}
        }
    }
    None
}

/// The leading token of RFC 2045, and the rest.
fn token(text: &str) -> (&str, &str) {
    let is_token = |char: char| char.is_ascii_graphic() && !r#"()<>@,;:\"/[]?="#.contains(char);
    text.split_at(text.find(|char| !is_token(char)).unwrap_or(text.len()))
}

impl fmt::Display for ScrapeProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use ScrapeProtocol::*;

    #[track_caller]
    fn check(content_type: &str, fallback: Option<ScrapeProtocol>, expected: Result<Format, &str>) {
        let found = Format::choose(content_type, fallback).map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(String::from), "{content_type:?}");
    }

    #[test]
    fn the_media_type_alone_decides() {
        check("text/plain", None, Ok(Format::Text));
        check("TEXT/PLAIN", None, Ok(Format::Text));
        check("text/plain; version=0.0.4; charset=utf-8", None, Ok(Format::Text));
        check("text/plain; version=9.9.9;", None, Ok(Format::Text));
        check("text/plain; charset=\"a;\\\"b\"", None, Ok(Format::Text));
        check("application/openmetrics-text", None, Ok(Format::OpenMetrics));
        check("application/openmetrics-text; version=0.0.1; escaping=dots", None, Ok(Format::OpenMetrics));
        check("application/openmetrics-text", Some(PrometheusText0_0_4), Ok(Format::OpenMetrics));
    }

    #[test]
    fn the_fallback_helps_where_the_header_does_not() {
        for content_type in ["", "text/html", "text/plain; charset", "foo", "text/plain; a=b; A=c"] {
            check(content_type, Some(PrometheusText0_0_4), Ok(Format::Text));
            check(content_type, Some(PrometheusText1_0_0), Ok(Format::Text));
            check(content_type, Some(OpenMetricsText1_0_0), Ok(Format::OpenMetrics));
        }
    }

    #[test]
    fn without_a_fallback_the_scrape_fails_in_the_words_of_prometheus() {
        check(
            "",
            None,
            Err(
                "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target",
            ),
        );
        for content_type in ["text/html", "foo", "application/json"] {
            let message = format!(
                "received unsupported Content-Type \"{content_type}\" and no fallback_scrape_protocol specified for target"
            );
            check(content_type, None, Err(&message));
        }
        for (content_type, fault) in [
            ("text/plain; charset", "mime: invalid media parameter"),
            ("text/plain; charset=UTF-8; charset=utf-8", "mime: duplicate parameter name"),
            ("text/plain/x", "mime: unexpected content after media subtype"),
            ("text/", "mime: expected token after slash"),
            ("text plain", "mime: expected slash after first token"),
            ("; charset=utf-8", "mime: no media type"),
        ] {
            let message = format!(
                "cannot parse Content-Type \"{content_type}\" and no fallback_scrape_protocol for target\n{fault}"
            );
            check(content_type, None, Err(&message));
        }
    }

    #[test]
    fn protobuf_is_refused_politely() {
        let message = "received a protobuf exposition, which is not supported here: leave PrometheusProto out of scrape_protocols";
        check("application/vnd.google.protobuf; encoding=delimited", Some(PrometheusText0_0_4), Err(message));
        check("", Some(PrometheusProto), Err(message));
    }

    #[test]
    fn the_accept_header_of_the_default_protocols() {
        assert_eq!(
            accept_header(&ScrapeProtocol::DEFAULT, EscapingScheme::default()),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        );
        assert_eq!(
            accept_header(&[PrometheusProto, OpenMetricsText1_0_0], EscapingScheme::Underscores),
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
             application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.5,*/*;q=0.4"
        );
    }

    #[test]
    fn a_protocol_list_is_checked_in_the_words_of_prometheus() {
        let check = |names: &[&str], expected: Result<Vec<ScrapeProtocol>, &str>| {
            let found = ScrapeProtocol::parse_list(names).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(String::from), "{names:?}");
        };
        check(
            &["PrometheusText0.0.4", "OpenMetricsText1.0.0"],
            Ok([PrometheusText0_0_4, OpenMetricsText1_0_0].into()),
        );
        check(&[], Err("scrape_protocols cannot be empty"));
        check(
            &["PrometheusProto", "prometheusproto"],
            Err("duplicated protocol in scrape_protocols, got [PrometheusProto prometheusproto]"),
        );
        check(
            &["prometheusproto"],
            Err(
                "scrape_protocols: unknown scrape protocol prometheusproto, supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]",
            ),
        );
    }
}
