//! Which part of a configuration's line no message may show: logs travel further than
//! the configuration does.

use std::borrow::Cow;

/// Stands for what is hidden in a line.
pub(super) const VEIL: &str = "…";

/// Stands for a hidden value in a message.
const REDACTED: &str = "[redacted]";

/// From where on a line is hidden, in bytes: after the first key whose value is a secret,
/// or at the user of a URL.
///
/// Values that only name a variable are shown, and so are the paths of files.
pub(super) fn hidden_from(line: &str) -> Option<usize> {
    let colons = line.match_indices(':').map(|(at, _)| at);
    colons.into_iter().find_map(|at| {
        let (before, after) = (line.get(..at)?, line.get(at + 1..)?);
        if let Some(rest) = after.strip_prefix("//") {
            let authority = rest.split(['/', ' ', '\'', '"', ',']).next()?;
            return authority.contains('@').then_some(at + 3);
        }
        let is_value =
            after.is_empty() || after.starts_with(|next: char| next.is_whitespace() || next == '"');
        let key = before.trim_end().trim_end_matches(['\'', '"']);
        let key = key.rsplit(|c: char| !(c.is_alphanumeric() || "_-./".contains(c))).next()?;
        let value = after.trim_start();
        let is_map = value.starts_with('{') && MAPS.iter().any(|map| key.eq_ignore_ascii_case(map));
        let hides = is_value && is_secret_key(key) && !value.is_empty() && !is_reference(value) && !is_map;
        hides.then_some(line.len() - value.len())
    })
}

/// Whether the values of this setting are secrets: `receivers::x::authorization::credentials`.
pub(super) fn is_secret_path(path: &str) -> bool {
    let last = path.rsplit(['.', ':']).next().unwrap_or_default();
    is_secret_key(last.split('[').next().unwrap_or_default())
}

/// The message without the texts that it quotes from `hidden`.
pub(super) fn redact<'m>(message: &'m str, hidden: &str) -> Cow<'m, str> {
    let quoted = message.split('`').skip(1).step_by(2);
    let mut redacted = Cow::Borrowed(message);
    for text in quoted.filter(|text| !text.is_empty() && hidden.contains(text.trim_end_matches('…'))) {
        redacted = redacted.replace(&format!("`{text}`"), REDACTED).into();
    }
    redacted
}

fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    if ["_file", "_files", "_path"].iter().any(|ending| key.ends_with(ending)) {
        return false;
    }
    let is_near = |word: &&str| key.len() > 5 && strsim::damerau_levenshtein(&key, word) <= 2;
    key == "key" || PARTS.iter().any(|part| key.contains(part)) || WORDS.iter().any(is_near)
}

/// `${env:NAME}`, with quotes or without: what the variable holds is not shown anyway.
fn is_reference(value: &str) -> bool {
    let value = value.trim_end().trim_matches(['\'', '"']);
    let inner = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|inner| !inner.contains(":-") && !inner.contains(['$', '}']))
}

/// Parts of the names of secret settings.
const PARTS: [&str; 10] = [
    "pass",
    "secret",
    "token",
    "credential",
    "authorization",
    "basic_auth",
    "api_key",
    "apikey",
    "access_key",
    "headers",
];

/// Settings that are maps, with keys of their own in them.
const MAPS: [&str; 2] = ["authorization", "basic_auth"];

/// Names that are secret even when they are misspelt.
const WORDS: [&str; 5] = ["password", "bearer_token", "credentials", "authorization", "secrets"];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, shown: &str) {
        assert_eq!(hidden_from(line).map_or(line, |at| line.split_at(at).0), shown);
    }

    #[test]
    fn secrets_are_hidden_by_the_names_of_their_keys() {
        check("  password: hunter2", "  password: ");
        check("  passwrod: hunter2", "  passwrod: ");
        check("  bearer_tokne: hunter2 # mine", "  bearer_tokne: ");
        check("a: { user: u, \"client_secret\": x }", "a: { user: u, \"client_secret\": ");
        check("http_headers: { X-Key: { values: [x] } }", "http_headers: ");
        check("basic_auth: { username: u, password: x }", "basic_auth: { username: u, password: ");
        check("basic_auth: u:x", "basic_auth: ");
        check("tls_config: { key: x }", "tls_config: { key: ");
        check("proxy_url: http://user:x@host:1/", "proxy_url: http://");
        check("#  password: hunter2", "#  password: ");
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        for line in [
            "bearer_token_file: /var/run/token",
            "key_file: /k.pem",
            "password: ${env:PASSWORD}",
            "password: '${PASSWORD}'",
            "endpoint: http://host:4317/a@b",
            "metrics_path: /token:x",
            "credentials:",
            "targets: ['host:80']",
        ] {
            check(line, line);
        }
        check("password: ${env:PASSWORD:-hunter2}", "password: ");
        check("password: ${A}x${B}", "password: ");
    }

    #[test]
    fn messages_do_not_quote_what_is_hidden() {
        assert_eq!(redact("found the text `x y`", "[x y]"), "found the text [redacted]");
        assert_eq!(redact("unknown key `nix`", "hunter2 }"), "unknown key `nix`");
        assert_eq!(redact("found the text `a long te…`", "a long text"), "found the text [redacted]");
    }

    #[test]
    fn paths_of_secret_settings() {
        assert!(is_secret_path(
            "receivers::prometheus::config::scrape_configs[4]::authorization::credentials"
        ));
        assert!(is_secret_path("http_headers::X-Key::secrets[0]"));
        assert!(is_secret_path("basic_auth.password"));
        assert!(!is_secret_path("receivers::x::bearer_token_file"));
    }
}
