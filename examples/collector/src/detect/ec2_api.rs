//! The two questions to the API of EC2: an instance, and its tags.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;

use super::{DetectError, Surroundings};
use crate::aws::credentials::CredentialSource;
use crate::aws::session::{SessionConfig, default_client};
use crate::aws::sign::{Scope, sign};
use crate::http_client::Limits;

/// What the API says about an instance. Missing members are empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Instance {
    pub(super) account_id: String,
    pub(super) image_id: String,
    pub(super) instance_type: String,
    pub(super) host_name: String,
    pub(super) tags: Vec<(String, String)>,
}

/// The tags of an instance: key and value. Needs the permission `ec2:DescribeTags`.
pub(super) async fn tags(
    around: &Surroundings,
    region: &str,
    instance_id: &str,
) -> Result<Vec<(String, String)>, DetectError> {
    let body = format!(
        "Action=DescribeTags&Filter.1.Name=resource-id&Filter.1.Value.1={instance_id}&Version=2016-11-15"
    );
    Ok(tags_in(&call(around, region, "DescribeTags", body).await?))
}

/// The instance itself. Needs the permission `ec2:DescribeInstances`.
pub(super) async fn instance(
    around: &Surroundings,
    region: &str,
    instance_id: &str,
) -> Result<Instance, DetectError> {
    let body = format!("Action=DescribeInstances&InstanceId.1={instance_id}&Version=2016-11-15");
    let xml = call(around, region, "DescribeInstances", body).await?;
    let text = |tag: &str| element(&xml, tag).map(unescape).unwrap_or_default();
    Ok(Instance {
        account_id: text("ownerId"),
        image_id: text("imageId"),
        instance_type: text("instanceType"),
        host_name: text("privateDnsName"),
        tags: tags_in(&xml),
    })
}

async fn call(
    around: &Surroundings,
    region: &str,
    action: &str,
    body: String,
) -> Result<String, DetectError> {
    let failed = |reason: String| DetectError(format!("ec2:{action}: {reason}"));
    let url = SessionConfig::default()
        .service_url("ec2", "EC2", region, &around.env)
        .map_err(|failure| failed(failure.to_string()))?;
    let source = CredentialSource::new(&around.env, region, "", "").await;
    let source = source.map_err(|failure| failed(failure.to_string()))?;
    let now = SystemTime::now();
    let credentials = source.get(now).await.map_err(|failure| failed(failure.to_string()))?;
    let request = Request::post(url)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
        .body(Bytes::from(body));
    let mut request = request.map_err(|failure| failed(failure.to_string()))?;
    sign(&mut request, &credentials, Scope { region, service: "ec2" }, now)
        .map_err(|failure| failed(failure.to_string()))?;
    let http = default_client(&around.env).map_err(|failure| failed(failure.to_string()))?;
    let answer = http.fetch(request, LIMITS).await.map_err(|failure| failed(failure.to_string()))?;
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    match answer.status().as_u16() {
        200 => Ok(text),
        status => {
            let code = element(&text, "Code").unwrap_or_default();
            let message = element(&text, "Message").unwrap_or_default();
            let remedy = if code == "UnauthorizedOperation" {
                format!("; allow ec2:{action} in the policy of the collector's role")
            } else {
                String::new()
            };
            Err(failed(format!("status {status} {code}: {message}{remedy}")))
        }
    }
}

/// The text of the first element of that name.
fn element<'x>(xml: &'x str, tag: &str) -> Option<&'x str> {
    let (_, after) = xml.split_once(&format!("<{tag}>"))?;
    Some(after.split_once(&format!("</{tag}>"))?.0)
}

/// All pairs of a `<key>` and the `<value>` after it.
fn tags_in(xml: &str) -> Vec<(String, String)> {
    let items = xml.split("<key>").skip(1).filter_map(|item| {
        let (key, rest) = item.split_once("</key>")?;
        Some((unescape(key), element(rest, "value").map(unescape).unwrap_or_default()))
    });
    items.collect()
}

fn unescape(text: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    named.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}

const LIMITS: Limits = Limits { timeout: Duration::from_secs(4), max_body: 4 << 20 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_from_xml() {
        let xml = "<tagSet><item><resourceId>i-1</resourceId><key>a&amp;b</key><value>1 &lt; 2</value></item>\
                   <item><key>empty</key><value/></item></tagSet>";
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(tags_in(xml), [pair("a&b", "1 < 2"), pair("empty", "")]);
        assert_eq!(tags_in("<tagSet/>"), []);
    }
}
