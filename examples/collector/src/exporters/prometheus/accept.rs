//! Which format a scraper wants.

/// The format of a page.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Format {
    pub(super) kind: Kind,
    /// Whether names may hold any character.
    pub(super) utf8: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Kind {
    /// The text format 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 0.0.1.
    OpenMetrics0,
    /// OpenMetrics 1.0.0.
    OpenMetrics1,
}

impl Format {
    /// The format that the header `Accept` gives the greatest weight; the text format when
    /// it names none that we have.
    pub(super) fn negotiate(accept: &str, with_openmetrics: bool) -> Self {
        let mut best: Option<(f64, Self)> = None;
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let (mut weight, mut version, mut utf8) = (1.0, "", false);
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                let value = value.trim_matches('"');
                match name {
                    "q" => weight = value.parse().unwrap_or(0.0),
                    "version" => version = value,
                    "escaping" => utf8 = value == "allow-utf-8",
                    _ => {}
                }
            }
            let kind = match (media, version) {
                ("application/openmetrics-text", "1.0.0") if with_openmetrics => Kind::OpenMetrics1,
                ("application/openmetrics-text", "" | "0.0.1") if with_openmetrics => Kind::OpenMetrics0,
                ("text/plain", "" | "0.0.4" | "1.0.0") => Kind::Text,
                _ => continue,
            };
            if weight > 0.0 && best.is_none_or(|(other, _)| weight > other) {
                best = Some((weight, Self { kind, utf8 }));
            }
        }
        best.map(|(_, format)| format).unwrap_or_default()
    }

    pub(super) fn is_openmetrics(self) -> bool {
        self.kind != Kind::Text
    }

    pub(super) fn content_type(self) -> &'static str {
        match (self.kind, self.utf8) {
            (Kind::Text, false) => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            (Kind::Text, true) => "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8",
            (Kind::OpenMetrics0, false) => {
                "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping=underscores"
            }
            (Kind::OpenMetrics0, true) => {
                "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping=allow-utf-8"
            }
            (Kind::OpenMetrics1, false) => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            }
            (Kind::OpenMetrics1, true) => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_weight_that_we_have_wins() {
        #[track_caller]
        fn check(accept: &str, with_openmetrics: bool, kind: Kind, utf8: bool) {
            assert_eq!(Format::negotiate(accept, with_openmetrics), Format { kind, utf8 }, "{accept}");
        }
        let prometheus3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;\
                           version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;\
                           q=0.2,*/*;q=0.1";
        check(prometheus3, true, Kind::OpenMetrics1, true);
        check(prometheus3, false, Kind::Text, true);
        check("application/openmetrics-text; version=0.0.1", true, Kind::OpenMetrics0, false);
        check("text/plain, application/openmetrics-text;version=1.0.0;q=0.9", true, Kind::Text, false);
        check("application/openmetrics-text;version=1.0.0;q=0", true, Kind::Text, false);
        check("application/openmetrics-text;version=2.0.0", true, Kind::Text, false);
        check("", true, Kind::Text, false);
        check("*/*", true, Kind::Text, false);
    }
}
