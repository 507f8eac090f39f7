//! The page in its formats.
//!
//! Source: prometheus/common `expfmt/{text_create,openmetrics_create}.go`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use otelpipe_core::number::{write_g, write_i64};

use super::accept::Format;
use super::store::{Family, FamilyKind, Part, number};

pub(super) fn write(families: &BTreeMap<String, Family>, format: Format, timestamps: bool) -> String {
    let mut out = String::new();
    for (name, family) in families {
        let mut page = Page { out: &mut out, format, timestamps };
        page.family(name, family);
    }
    if format.is_openmetrics() {
        out.push_str("# EOF\n");
    }
    out
}

struct Page<'o> {
    out: &'o mut String,
    format: Format,
    timestamps: bool,
}

impl Page<'_> {
    fn family(&mut self, name: &str, family: &Family) {
        let is_openmetrics = self.format.is_openmetrics();
        let is_counter = family.kind == FamilyKind::Counter;
        // OpenMetrics calls the family without the suffix that its samples must have.
        let base =
            if is_openmetrics && is_counter { name.strip_suffix("_total").unwrap_or(name) } else { name };
        self.out.push_str("# HELP ");
        self.name(base);
        self.out.push(' ');
        for c in family.help.chars() {
            match c {
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '"' if is_openmetrics => self.out.push_str("\\\""),
                _ => self.out.push(c),
            }
        }
        self.out.push_str("\n# TYPE ");
        self.name(base);
        self.out.push_str(match family.kind {
            FamilyKind::Counter => " counter\n",
            FamilyKind::Gauge => " gauge\n",
            FamilyKind::Histogram => " histogram\n",
            FamilyKind::Summary => " summary\n",
        });
        for (key, series) in &family.series {
            let (suffix, extra) = match (key.part, family.kind) {
                (Part::Value, FamilyKind::Counter) if is_openmetrics => ("_total", None),
                (Part::Value, _) => ("", None),
                (Part::Bound(bound), FamilyKind::Histogram) => ("_bucket", Some(("le", number(bound)))),
                (Part::Bound(bound), _) => ("", Some(("quantile", number(bound)))),
                (Part::Sum, _) => ("_sum", None),
                (Part::Count, _) => ("_count", None),
            };
            self.head(base, suffix, &key.labels, extra);
            let is_count = suffix == "_bucket" || suffix == "_count";
            if is_openmetrics && is_count {
                // A whole number without the point that other values get.
                let _ = write!(self.out, "{}", series.value);
            } else {
                self.float(series.value);
            }
            if self.timestamps {
                self.out.push(' ');
                if is_openmetrics {
                    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age fit")]
                    self.float(series.at_ms as f64 / 1_000.0);
                } else {
                    write_i64(series.at_ms, self.out);
                }
            }
            self.out.push('\n');
        }
    }

    /// Name and labels of a sample, and the space after them.
    fn head(&mut self, base: &str, suffix: &str, labels: &[(String, String)], extra: Option<(&str, f64)>) {
        let full = format!("{base}{suffix}");
        let is_quoted = self.is_quoted(&full);
        if !is_quoted {
            self.name(&full);
        }
        if is_quoted || !labels.is_empty() || extra.is_some() {
            let mut separator = '{';
            if is_quoted {
                self.out.push(separator);
                self.name(&full);
                separator = ',';
            }
            for (name, value) in labels {
                self.out.push(separator);
                self.name(name);
                self.out.push_str("=\"");
                self.escaped(value);
                self.out.push('"');
                separator = ',';
            }
            if let Some((name, value)) = extra {
                self.out.push(separator);
                self.out.push_str(name);
                self.out.push_str("=\"");
                self.float(value);
                self.out.push('"');
            }
            self.out.push('}');
        }
        self.out.push(' ');
    }

    fn is_quoted(&self, name: &str) -> bool {
        self.format.utf8 && !is_plain(name)
    }

    /// A name as it is, in quotes, or with underscores for what the scraper does not take.
    fn name(&mut self, name: &str) {
        if is_plain(name) {
            self.out.push_str(name);
        } else if self.format.utf8 {
            self.out.push('"');
            self.escaped(name);
            self.out.push('"');
        } else {
            for (at, c) in name.chars().enumerate() {
                let is_fine =
                    c.is_ascii_alphabetic() || c == '_' || c == ':' || (at > 0 && c.is_ascii_digit());
                self.out.push(if is_fine { c } else { '_' });
            }
        }
    }

    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '"' => self.out.push_str("\\\""),
                _ => self.out.push(c),
            }
        }
    }

    /// A number as Go writes it; OpenMetrics wants to see that it is a float.
    fn float(&mut self, value: f64) {
        let start = self.out.len();
        write_g(value, self.out);
        let written = self.out.get(start..).unwrap_or_default();
        if self.format.is_openmetrics() && value.is_finite() && !written.contains(['.', 'e']) {
            self.out.push_str(".0");
        }
    }
}

fn is_plain(name: &str) -> bool {
    let is_fine = |(at, byte): (usize, u8)| {
        byte.is_ascii_alphabetic() || byte == b'_' || byte == b':' || (at > 0 && byte.is_ascii_digit())
    };
    !name.is_empty() && name.bytes().enumerate().all(is_fine)
}
