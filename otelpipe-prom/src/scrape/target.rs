//! What is scraped: labels of a discovered target, its URL and identity.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use otelpipe_core::label::LabelSet;

use super::config::ScrapeRules;
use super::duration::{DurationError, PromDuration};

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM_PREFIX: &str = "__param_";

/// A target after relabeling: where to scrape, how often, and what its samples carry.
#[derive(Clone, Debug)]
pub struct Target {
    discovered: LabelSet<'static>,
    labels: LabelSet<'static>,
    url: String,
    interval: PromDuration,
    timeout: PromDuration,
    id: u64,
}

/// A target that cannot be scraped. Others of its job go on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// `__address__` is missing or empty.
    #[error("no address")]
    NoAddress,
    /// `__address__` contains a slash.
    #[error("{0:?} is not a valid hostname")]
    Address(String),
    /// `__scrape_interval__` is no duration.
    #[error("error parsing scrape interval: {0}")]
    Interval(DurationError),
    /// `__scrape_interval__` is 0.
    #[error("scrape interval cannot be 0")]
    ZeroInterval,
    /// `__scrape_timeout__` is no duration.
    #[error("error parsing scrape timeout: {0}")]
    Timeout(DurationError),
    /// `__scrape_timeout__` is 0.
    #[error("scrape timeout cannot be 0")]
    ZeroTimeout,
    /// The timeout is longer than the interval.
    #[error("scrape timeout cannot be greater than scrape interval ({timeout:?} > {interval:?})")]
    TimeoutAboveInterval {
        /// The timeout, as the label has it.
        timeout: String,
        /// The interval, as the label has it.
        interval: String,
    },
}

impl Target {
    /// Makes a target of what discovery found: `own` are the target's labels
    /// (`__address__`, `__meta_…`), `group` those of its group, which do not replace the
    /// target's own. `None` when `relabel_configs` drop it.
    ///
    /// Source: Prometheus 3 `scrape/target.go` (PopulateLabels). No default port is
    /// added.
    ///
    /// # Errors
    ///
    /// No or a bad address, or an interval or timeout label that makes no sense.
    pub fn from_discovered(
        own: &LabelSet<'_>,
        group: &LabelSet<'_>,
        rules: &ScrapeRules,
    ) -> Result<Option<Self>, TargetError> {
        let discovered = discovered_labels(own, group, rules);
        let mut labels = discovered.clone();
        if !rules.relabel.apply(&mut labels) {
            return Ok(None);
        }
        let address = labels.get(ADDRESS).ok_or(TargetError::NoAddress)?.to_string();
        if address.contains('/') {
            return Err(TargetError::Address(address));
        }
        let (interval, timeout) = times(&labels)?;
        labels.retain(|label| !label.name.starts_with("__meta_"));
        if labels.get("instance").is_none() {
            labels.set("instance", address.clone());
        }
        let labels = labels.into_owned();
        let url = url(&address, &labels, rules);
        let id = identity(&labels, &url);
        Ok(Some(Self { discovered, labels, url, interval, timeout, id }))
    }

    /// Where to send the request.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The labels that its samples and report series carry: those without `__`.
    pub fn labels(&self) -> LabelSet<'_> {
        let public = self.labels.iter().filter(|label| !label.name.starts_with("__"));
        public.map(|label| (Cow::Borrowed(&*label.name), Cow::Borrowed(&*label.value))).collect()
    }

    /// One of its labels after relabeling, `__…` included and `__meta_…` not.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name)
    }

    /// All labels before relabeling.
    pub fn discovered(&self) -> &LabelSet<'static> {
        &self.discovered
    }

    /// How often it is scraped.
    pub fn interval(&self) -> PromDuration {
        self.interval
    }

    /// How long a scrape may take.
    pub fn timeout(&self) -> PromDuration {
        self.timeout
    }

    /// A hash of labels and URL: two discovered targets with the same identity are
    /// scraped once. Stable across restarts.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How long to wait for the first scrape, in nanoseconds: until the next point of
    /// the wall clock at this target's own phase within the interval. `seed` differs
    /// from host to host, so that replicas do not scrape at once.
    ///
    /// Source: Prometheus `scrape/target.go` (offset).
    pub fn first_scrape_in_ns(&self, now_ns: u64, seed: u64) -> u64 {
        let interval = self.interval.as_ms().saturating_mul(1_000_000).max(1);
        let base = interval - now_ns % interval;
        let next = base + (self.id ^ seed) % interval;
        if next > interval { next - interval } else { next }
    }
}

fn discovered_labels(own: &LabelSet<'_>, group: &LabelSet<'_>, rules: &ScrapeRules) -> LabelSet<'static> {
    let mut labels = own.clone().into_owned();
    let mut default = |name: Cow<'_, str>, value: &str| {
        if labels.get(&name).is_none() {
            labels.set(name.into_owned(), value.to_string());
        }
    };
    for label in group {
        default(Cow::Borrowed(&*label.name), &label.value);
    }
    default("job".into(), &rules.job_name);
    default(INTERVAL.into(), &rules.interval.to_string());
    default(TIMEOUT.into(), &rules.timeout.to_string());
    default(METRICS_PATH.into(), &rules.metrics_path);
    default(SCHEME.into(), &rules.scheme);
    for (name, values) in &rules.params {
        if let Some(value) = values.first() {
            default(format!("{PARAM_PREFIX}{name}").into(), value);
        }
    }
    labels
}

fn times(labels: &LabelSet<'_>) -> Result<(PromDuration, PromDuration), TargetError> {
    let (interval_text, timeout_text) =
        (labels.get(INTERVAL).unwrap_or_default(), labels.get(TIMEOUT).unwrap_or_default());
    let interval: PromDuration = interval_text.parse().map_err(TargetError::Interval)?;
    if interval.as_ms() == 0 {
        return Err(TargetError::ZeroInterval);
    }
    let timeout: PromDuration = timeout_text.parse().map_err(TargetError::Timeout)?;
    if timeout.as_ms() == 0 {
        return Err(TargetError::ZeroTimeout);
    }
    if timeout > interval {
        return Err(TargetError::TimeoutAboveInterval {
            timeout: timeout_text.to_string(),
            interval: interval_text.to_string(),
        });
    }
    Ok((interval, timeout))
}

fn url(address: &str, labels: &LabelSet<'_>, rules: &ScrapeRules) -> String {
    let mut url = String::from(labels.get(SCHEME).unwrap_or_default());
    url.push_str("://");
    url.push_str(address);
    let path = labels.get(METRICS_PATH).unwrap_or_default();
    if !path.is_empty() && !path.starts_with('/') {
        url.push('/');
    }
    escape(path, &mut url, |byte| b"-_.~$&+,/:;=@".contains(&byte), false);

    // All values of the job's params; the label stands for the first one.
    let mut params: Vec<(&str, Vec<&str>)> =
        rules.params.iter().map(|(name, values)| (&**name, values.iter().map(|v| &**v).collect())).collect();
    for label in labels {
        let Some(name) = label.name.strip_prefix(PARAM_PREFIX) else { continue };
        match params.iter_mut().find(|(key, _)| *key == name) {
            Some((_, values)) if !values.is_empty() => values[0] = &label.value,
            Some((_, values)) => values.push(&label.value),
            None => params.push((name, alloc::vec![&*label.value])),
        }
    }
    params.sort_by_key(|(name, _)| *name);
    let mut separator = '?';
    for (name, values) in &params {
        for value in values {
            url.push(separator);
            separator = '&';
            escape(name, &mut url, |byte| b"-_.~".contains(&byte), true);
            url.push('=');
            escape(value, &mut url, |byte| b"-_.~".contains(&byte), true);
        }
    }
    url
}

/// Percent-encodes all but letters, digits and what `is_plain` lets through.
fn escape(text: &str, out: &mut String, is_plain: impl Fn(u8) -> bool, plus_for_space: bool) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || is_plain(byte) {
            out.push(char::from(byte));
        } else if byte == b' ' && plus_for_space {
            out.push('+');
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// FNV-1a over all labels and the URL.
fn identity(labels: &LabelSet<'_>, url: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut feed = |text: &str| {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for label in labels {
        feed(&label.name);
        feed(&label.value);
    }
    feed(url);
    hash
}
