//! Temporary credentials of a Redshift, from AWS.
//!
//! Two calls, signed as all of AWS are: `GetClusterCredentialsWithIAM` of a provisioned cluster (`GetClusterCredentials`
//! where a login is set) and `GetCredentials` of a serverless workgroup. Who asks is what [`Login`] finds. What is got is kept
//! until shortly before it ends; sessions that are open stay open.

use std::time::{Duration, SystemTime};

use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use chrono::{DateTime, Utc};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Mutex;

use super::error::Error;
use crate::{
    aws::{Login, MARGIN, deepest},
    settings::Settings,
};

/// How long credentials are asked for, in seconds; the shortest that AWS gives is the default of both calls.
const SECONDS: u32 = 900;

/// How long AWS may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where credentials come from.
pub struct Source {
    target: Target,
    region: String,
    endpoint: Option<String>,
    asks: Login,
    user: Option<String>,
    known: Mutex<Option<Known>>,
}

/// What they are for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Cluster(String),
    Workgroup(String),
}

struct Known {
    user: String,
    password: String,
    ends: SystemTime,
}

impl Source {
    /// The source that the settings describe; what they do not say is read from the host's name.
    ///
    /// # Errors
    /// The field that is missing.
    pub fn new(settings: &Settings) -> Result<Source, Error> {
        let aws = settings.aws.clone();
        let named = endpoint(&settings.host);
        let target = match (&aws.cluster, &aws.workgroup, &named) {
            (Some(_), Some(_), _) => {
                let both = "found both `aws.cluster` and `aws.workgroup`, expected one of them";
                return Err(Error::Setting(both.to_owned()));
            }
            (Some(cluster), None, _) => Target::Cluster(cluster.clone()),
            (None, Some(workgroup), _) => Target::Workgroup(workgroup.clone()),
            (None, None, Some((target, _))) => target.clone(),
            (None, None, None) => {
                return Err(Error::Setting(format!(
                    "`auth = \"iam\"` needs to know the cluster, and the host `{}` does not say it; expected `aws.cluster` or \
                     `aws.workgroup`",
                    settings.host
                )));
            }
        };
        let region = aws
            .region
            .clone()
            .or(named.map(|(_, region)| region))
            .ok_or_else(|| Error::Setting("`auth = \"iam\"` needs `aws.region`, such as `eu-west-1`".to_owned()))?;
        let user = Some(settings.user.trim().to_owned()).filter(|user| !user.is_empty());
        let asks = Login::new(settings, Some(region.clone()))?;
        Ok(Source { target, region, endpoint: aws.endpoint, asks, user, known: Mutex::default() })
    }

    /// A login of the database and its password.
    ///
    /// # Errors
    /// Who asks is not known, may not ask, or AWS does not answer; the sentence says what to allow.
    pub async fn credentials(&self, database: &str) -> Result<(String, String), Error> {
        // Who waits meanwhile takes what the first one got.
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.ends > SystemTime::now() + MARGIN) {
            return Ok((known.user.clone(), known.password.clone()));
        }
        let got = self.ask(database).await?;
        let pair = (got.user.clone(), got.password.clone());
        *known = Some(got);
        Ok(pair)
    }

    async fn ask(&self, database: &str) -> Result<Known, Error> {
        let asking = self.asks.credentials().await?;
        let request = self.request(database);
        let body = request.body.as_bytes();
        let headers = request.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let broken =
            |cause: &dyn std::fmt::Display| Error::Credentials(format!("cannot sign a request to AWS: {cause}"));
        let identity = asking.into();
        let signing = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(request.service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|cause| broken(&cause))?
            .into();
        let signable = SignableRequest::new("POST", request.url.as_str(), headers, SignableBody::Bytes(body))
            .map_err(|cause| broken(&cause))?;
        let (signed, _) = sign(signable, &signing).map_err(|cause| broken(&cause))?.into_parts();
        let unreached = |cause: reqwest::Error| {
            Error::Credentials(format!(
                "AWS does not answer at {}: {}; without a way to the internet, `aws.endpoint` names a VPC endpoint",
                request.url,
                deepest(&cause)
            ))
        };
        let mut post = client()?.post(&request.url).timeout(PATIENCE).body(request.body.clone());
        for (name, value) in &request.headers {
            post = post.header(*name, value);
        }
        for (name, value) in signed.headers() {
            post = post.header(name, value);
        }
        let answer = post.send().await.map_err(unreached)?;
        let status = answer.status();
        let text = answer.text().await.map_err(unreached)?;
        match status.is_success() {
            true => self.read(&text),
            false => Err(self.denied(status.as_u16(), &text)),
        }
    }

    fn request(&self, database: &str) -> Request {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let at = |service: &str| match &self.endpoint {
            Some(endpoint) => format!("{}/", endpoint.trim_end_matches('/')),
            None => format!("https://{service}.{}.{}/", self.region, suffix(&self.region)),
        };
        match &self.target {
            Target::Cluster(cluster) => {
                let (action, user) = match &self.user {
                    Some(user) => ("GetClusterCredentials", format!("&DbUser={}", encoded(user))),
                    None => ("GetClusterCredentialsWithIAM", String::new()),
                };
                Request {
                    service: "redshift",
                    url: at("redshift"),
                    headers: vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned())],
                    body: format!(
                        "Action={action}&Version=2012-12-01&ClusterIdentifier={}&DbName={}&DurationSeconds={SECONDS}{user}",
                        encoded(cluster),
                        encoded(database)
                    ),
                }
            }
            Target::Workgroup(workgroup) => Request {
                service: "redshift-serverless",
                url: at("redshift-serverless"),
                headers: vec![
                    ("content-type", "application/x-amz-json-1.1".to_owned()),
                    ("x-amz-target", "RedshiftServerless.GetCredentials".to_owned()),
                ],
                body: serde_json::json!({"workgroupName": workgroup, "dbName": database, "durationSeconds": SECONDS})
                    .to_string(),
            },
        }
    }

    fn read(&self, text: &str) -> Result<Known, Error> {
        let known = match &self.target {
            Target::Cluster(_) => cluster_answer(text),
            Target::Workgroup(_) => workgroup_answer(text),
        };
        // The answer holds a password, so nothing of it is shown.
        known.ok_or_else(|| Error::Credentials("AWS answered without a login, a password and their end".to_owned()))
    }

    fn denied(&self, status: u16, text: &str) -> Error {
        let (action, on) = match &self.target {
            Target::Cluster(name) if self.user.is_some() => ("redshift:GetClusterCredentials", name),
            Target::Cluster(name) => ("redshift:GetClusterCredentialsWithIAM", name),
            Target::Workgroup(name) => ("redshift-serverless:GetCredentials", name),
        };
        let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
        let field = |name: &str| json.as_ref()?.get(name)?.as_str().map(str::to_owned);
        let said = tag(text, "Message").or_else(|| field("message")).or_else(|| field("Message"));
        let code = tag(text, "Code").or_else(|| field("__type")).or_else(|| field("code")).unwrap_or_default();
        let said = said.unwrap_or_else(|| format!("status {status}"));
        let way = match code.rsplit('#').next().unwrap_or_default() {
            "AccessDenied" | "AccessDeniedException" => format!("; allow {action} on `{on}`"),
            "ClusterNotFound" | "ResourceNotFoundException" => {
                format!("; expected the name of one in {} as `aws.cluster` or `aws.workgroup`", self.region)
            }
            "ExpiredToken" | "ExpiredTokenException" => "; log in to AWS again".to_owned(),
            _ => String::new(),
        };
        Error::Credentials(format!("AWS gives no credentials for `{on}`: {said}{way}"))
    }
}

struct Request {
    service: &'static str,
    url: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

fn client() -> Result<reqwest::Client, Error> {
    let broken = |cause: &dyn std::fmt::Display| Error::Credentials(format!("cannot ask AWS: {cause}"));
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let tls = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|cause| broken(&cause))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).build().map_err(|cause| broken(&cause))
}

// China's regions have another domain.
fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

// `name.id.region.redshift.amazonaws.com`, `workgroup.account.region.redshift-serverless.amazonaws.com`
fn endpoint(host: &str) -> Option<(Target, String)> {
    let mut parts = host.split('.');
    let (name, _, region, service) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let target = match service {
        "redshift" => Target::Cluster(name.to_owned()),
        "redshift-serverless" => Target::Workgroup(name.to_owned()),
        _ => return None,
    };
    Some((target, region.to_owned()))
}

fn tag(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (inner, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&apos;", "'"), ("&amp;", "&")];
    Some(plain.iter().fold(inner.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain)))
}

fn cluster_answer(xml: &str) -> Option<Known> {
    let ends: DateTime<Utc> = tag(xml, "Expiration")?.parse().ok()?;
    Some(Known { user: tag(xml, "DbUser")?, password: tag(xml, "DbPassword")?, ends: ends.into() })
}

fn workgroup_answer(json: &str) -> Option<Known> {
    let json: serde_json::Value = serde_json::from_str(json).ok()?;
    let text = |name: &str| json.get(name)?.as_str().map(str::to_owned);
    let ends = json.get("expiration")?.as_f64()?;
    let ends = SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(ends).ok()?)?;
    Some(Known { user: text("dbUser")?, password: text("dbPassword")?, ends })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn hosts_say_what_they_are() {
        let cluster = "wh.abc123.eu-west-1.redshift.amazonaws.com";
        assert_eq!(endpoint(cluster), Some((Target::Cluster("wh".into()), "eu-west-1".into())));
        let workgroup = "etl.123456789012.us-east-2.redshift-serverless.amazonaws.com";
        assert_eq!(endpoint(workgroup), Some((Target::Workgroup("etl".into()), "us-east-2".into())));
        for other in ["localhost", "10.0.0.1", "warehouse.example.com", "a.b.c.d"] {
            assert_eq!(endpoint(other), None, "{other}");
        }
    }

    #[test]
    fn passwords_are_read_as_they_are() {
        let xml = "<R><DbUser>IAM:ana</DbUser><DbPassword>a&amp;b&lt;&gt;+/=</DbPassword>\
                   <Expiration>2026-11-20T12:00:00Z</Expiration></R>";
        let known = cluster_answer(xml).unwrap();
        assert_eq!((known.user.as_str(), known.password.as_str()), ("IAM:ana", "a&b<>+/="));
        let json = r#"{"dbUser":"IAMR:etl","dbPassword":"p","expiration":1.7951328E9}"#;
        assert_eq!(workgroup_answer(json).unwrap().user, "IAMR:etl");
        assert!(workgroup_answer("{}").is_none());
    }
}
