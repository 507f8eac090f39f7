//! Exposition: the text body of one scrape, read entry by entry.
//!
//! Two formats: the Prometheus text format (0.0.4 and 1.0.0) and OpenMetrics
//! text (0.0.1 and 1.0.0). What is accepted, what is refused and with which
//! words is what Prometheus 3 `model/textparse` does; the protobuf format is
//! not read here. [`Format::choose`] picks the format from a `Content-Type`.
//!
//! Entries borrow from the body. A line without escapes costs no allocation.
//!
//! # Two ways to read
//!
//! - As an iterator, [`Entries`] checks every line in full, so a [`Sample`] it
//!   yields has labels that cannot fail.
//! - [`Entries::next_with`] asks the caller whether it knows the text of the
//!   series, and does not look at the labels if so. This is the steady state of
//!   a scraper, which sees the same series every time.
//!
//! # Errors
//!
//! The first [`ParseError`] ends the iteration. It means that the whole scrape
//! failed: what came before it is to be thrown away.

mod content_type;
mod entries;
mod error;
mod escape;
mod labels;
mod metric_type;
mod number;
mod openmetrics;
mod sample;
mod scan;
mod start_time;
mod strict;
mod text_format;

pub use content_type::{
    ContentTypeError, EscapingScheme, MediaTypeFault, ScrapeProtocol, ScrapeProtocolError, accept_header,
};
pub use entries::{Entries, Entry, Known, ParseOptions};
pub use error::{Keyword, ParseError, ParseErrorKind, StrictRule};
pub use escape::{unescape_help, unescape_label_value};
pub use labels::Labels;
pub use metric_type::MetricType;
pub use sample::{Exemplar, KnownSample, Sample};

/// Which text a body is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Format {
    /// The Prometheus text format, 0.0.4 and 1.0.0.
    #[default]
    Text,
    /// OpenMetrics text, 0.0.1 and 1.0.0.
    OpenMetrics,
}

/// Reads a body in the Prometheus text format.
///
/// [`Entries::new`] takes bytes, another format and options.
///
/// ```
/// use otelpipe_prom::text::{self, Entry};
///
/// let body = "# TYPE up gauge\nup{job=\"node\"} 1 1700000000000\n";
/// for entry in text::parse(body) {
///     if let Entry::Sample(sample) = entry? {
///         assert_eq!(sample.name(), "up");
///         assert_eq!(sample.labels().collect::<Vec<_>>(), [("job".into(), "node".into())]);
///         assert_eq!(sample.value(), 1.0);
///         assert_eq!(sample.timestamp_ms(), Some(1_700_000_000_000));
///     }
/// }
/// # Ok::<(), otelpipe_prom::text::ParseError>(())
/// ```
pub fn parse(body: &str) -> Entries<'_> {
    Entries::new(body.as_bytes(), ParseOptions::default())
}
