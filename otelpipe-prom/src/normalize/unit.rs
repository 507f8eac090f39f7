//! Units, from the short forms of UCUM to the words in metric names.

use alloc::borrow::Cow;
use alloc::string::String;

/// The two sides of a unit as suffixes of a name: `By/s` is `bytes` and `per_second`.
/// A side that says nothing is empty.
pub(super) struct UnitSuffixes<'a> {
    pub(super) main: Cow<'a, str>,
    pub(super) per: String,
}

impl<'a> UnitSuffixes<'a> {
    pub(super) fn of(unit: &'a str) -> Self {
        let unit = unit.trim();
        let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
        let (main, per) = (words(main), words(per));
        let main = main.map_or(Cow::Borrowed(""), |main| Cow::Borrowed(main_word(main)));
        let mut text = String::new();
        if let Some(per) = per {
            text.push_str("per_");
            text.push_str(per_word(per));
        }
        Self { main, per: text }
    }

    /// The same with only the characters `[a-zA-Z0-9:_]`.
    pub(super) fn cleaned(self) -> Self {
        let mut per = clean(&self.per).into_owned();
        if per == "per_" {
            per.clear();
        }
        let mut main = match self.main {
            Cow::Borrowed(main) => clean(main),
            Cow::Owned(main) => Cow::Owned(clean(&main).into_owned()),
        };
        if !per.is_empty() && main.ends_with('_') {
            main = Cow::Owned(main.trim_end_matches('_').into());
        }
        Self { main, per }
    }
}

/// The unit of a metric in words, as its metadata names it: `bytes_per_second`.
///
/// ```
/// assert_eq!(otelpipe_prom::normalize::unit_words("By/s"), "bytes_per_second");
/// assert_eq!(otelpipe_prom::normalize::unit_words("1"), "");
/// ```
pub fn unit_words(unit: &str) -> String {
    let UnitSuffixes { main, per } = UnitSuffixes::of(unit).cleaned();
    let mut words = main.into_owned();
    if !words.is_empty() && !per.is_empty() {
        words.push('_');
    }
    words.push_str(&per);
    words
}

/// One side of a unit, unless it says nothing: annotations in braces do not count.
fn words(side: &str) -> Option<&str> {
    let side = side.trim();
    (!side.is_empty() && !side.contains(['{', '}'])).then_some(side)
}

/// Runs of other characters become one underscore, none in front.
fn clean(unit: &str) -> Cow<'_, str> {
    let is_clean = |byte: u8| byte.is_ascii_alphanumeric() || byte == b':';
    if unit.bytes().all(is_clean) {
        return Cow::Borrowed(unit);
    }
    let mut out = String::with_capacity(unit.len());
    for c in unit.chars() {
        if c.is_ascii_alphanumeric() || c == ':' {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    Cow::Owned(out)
}

fn main_word(unit: &str) -> &str {
    match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "1" => "",
        "%" => "percent",
        other => other,
    }
}

fn per_word(unit: &str) -> &str {
    match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        other => other,
    }
}
