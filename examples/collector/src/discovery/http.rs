//! `http_sd_configs`: targets that a server lists.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tokio_util::sync::CancellationToken;

use crate::config::{Problems, yaml};
use crate::receivers::prometheus::client::{Ask, DEFAULT_BODY_LIMIT, ScrapeClient};

use super::{TargetGroup, Updates, read_groups};

/// One entry of `http_sd_configs`, checked.
#[derive(Debug)]
pub struct HttpDiscovery {
    /// Where the list is.
    pub url: String,
    /// How often it is asked for; also the timeout of a request.
    pub refresh_interval: Duration,
    /// The entry's own credentials and certificates.
    pub client: ScrapeClient,
}

/// Asks until `stop`. An answer that cannot be used keeps the previous targets.
pub async fn run(mut discovery: HttpDiscovery, updates: Updates, stop: CancellationToken) {
    let mut known = BTreeSet::new();
    loop {
        match ask(&mut discovery).await {
            Ok(mut groups) => {
                let now: BTreeSet<String> = groups.iter().map(|group| group.source.clone()).collect();
                for source in known.difference(&now) {
                    groups.push(TargetGroup { source: source.clone(), ..TargetGroup::default() });
                }
                known = now;
                if !updates.send(groups).await {
                    return;
                }
            }
            Err(reason) => {
                tracing::error!("HTTP discovery keeps the previous targets of {}: {reason}", discovery.url);
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(discovery.refresh_interval) => {}
        }
    }
}

async fn ask(discovery: &mut HttpDiscovery) -> Result<Vec<TargetGroup>, String> {
    let interval = HeaderValue::from_str(&discovery.refresh_interval.as_secs_f64().to_string())
        .expect("digits and a dot");
    let ask = Ask {
        url: &discovery.url,
        accept: "application/json",
        compression: true,
        timeout: discovery.refresh_interval,
        body_limit: DEFAULT_BODY_LIMIT,
        headers: &[(HeaderName::from_static("x-prometheus-refresh-interval-seconds"), interval)],
    };
    let fetched = discovery.client.fetch(ask).await.map_err(|error| error.to_string())?;
    let kind = fetched.content_type.unwrap_or_default().to_ascii_lowercase();
    let is_json = kind.split_once(';').map_or(kind.as_str(), |(media, _)| media).trim() == "application/json";
    if !is_json {
        return Err(format!("unsupported content type {kind:?}, application/json is needed"));
    }
    let text = core::str::from_utf8(&fetched.body).map_err(|_| "the answer is not UTF-8".to_owned())?;
    read(&discovery.url, text)
}

fn read(url: &str, text: &str) -> Result<Vec<TargetGroup>, String> {
    let name: Arc<str> = Arc::from(url);
    let mut problems = Problems::new();
    problems.add_source(&name, text);
    let mut groups = match yaml::parse(text, &name, &mut problems) {
        Some(node) => read_groups(&node, "", url, &mut problems),
        None => Vec::new(),
    };
    if problems.has_errors() {
        return Err(problems.render(false));
    }
    for group in &mut groups {
        group.labels.set("__meta_url", url.to_owned());
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use otelpipe_core::label::LabelSet;

    use super::*;

    #[test]
    fn groups_carry_the_url_they_come_from() {
        let groups =
            read("http://sd/t", r#"[{"targets": ["a:1", "b:2"], "labels": {"env": "prod"}}]"#).unwrap();
        assert_eq!(groups.len(), 1);
        assert_eq!(
            groups[0].targets,
            [LabelSet::from_iter([("__address__", "a:1")]), LabelSet::from_iter([("__address__", "b:2")])]
        );
        assert_eq!(groups[0].labels.to_string(), r#"{__meta_url="http://sd/t", env="prod"}"#);
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = read("http://sd/t", r#"[{"target": ["a:1"]}]"#).unwrap_err();
        assert!(error.contains("target"), "{error}");
    }
}
