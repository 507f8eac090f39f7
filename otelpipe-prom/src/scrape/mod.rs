//! What a scrape means: the answer of a target in, a batch of OTel metrics out.
//!
//! No I/O and no clock: the caller sends the request, and hands over the body and the
//! time. One [`TargetScraper`] for each target keeps what must be known from scrape to
//! scrape: its series with their labels, metadata, and what ends.
//!
//! ```
//! use std::sync::Arc;
//! use otelpipe_core::batch::MetricBatch;
//! use otelpipe_core::label::LabelSet;
//! use otelpipe_prom::scrape::{
//!     Answer, GlobalConfig, ScrapeConfig, ScrapeOptions, ScrapeRules, Target, TargetScraper,
//! };
//!
//! let mut job = ScrapeConfig::default();
//! job.job_name = "shop".into();
//! let rules = ScrapeRules::compile(&job, &GlobalConfig::default(), &ScrapeOptions::default())?;
//! let rules = Arc::new(rules);
//!
//! let discovered: LabelSet<'_> = [("__address__", "10.0.0.5:8080")].into_iter().collect();
//! let target = Target::from_discovered(&discovered, &LabelSet::new(), &rules)?.expect("no rule drops it");
//! assert_eq!(target.url(), "http://10.0.0.5:8080/metrics");
//!
//! let mut scraper = TargetScraper::new(rules, target);
//! let answer = Answer::Body { body: b"a 1\n", content_type: Some("text/plain"), duration_s: 0.01 };
//! let mut batch = MetricBatch::default();
//! let report = scraper.scrape(answer, 1_700_000_000_000, &mut batch);
//! assert!(report.up);
//! assert_eq!(batch.metric_count(), 1 + 5); // with the report series
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assemble;
mod cache;
mod clock;
mod config;
mod duration;
mod exemplar;
mod fingerprint;
mod labels;
mod layout;
mod limits;
mod metadata;
mod report;
mod resource;
mod scraper;
mod staleness;
mod target;

pub(crate) use assemble::ns_from_s;
pub use clock::ScrapeClock;
pub use config::{GlobalConfig, ScrapeConfig, ScrapeConfigError, ScrapeOptions, ScrapeRules};
pub use duration::{ByteSize, DurationError, PromDuration};
pub use limits::{LimitError, Limits};
pub use metadata::Metadata;
pub use report::{DroppedSamples, ScrapeError, ScrapeReport, ScrapeWarning};
pub use resource::SCOPE_NAME;
pub use scraper::{Answer, TargetScraper};
pub use target::{Target, TargetError};
