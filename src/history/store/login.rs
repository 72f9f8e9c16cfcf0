//! Who asks an object store, and over what connection.
//!
//! Keys of the settings come first, then what the tools of AWS use: a profile, the environment, the machine's role; then a
//! role may be assumed. Region and address are those of the settings, else those of the same tools.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials as _, SharedCredentialsProvider},
};
use aws_smithy_http_client::{Builder, tls};
use object_store::{
    BackoffConfig, ClientOptions, CredentialProvider, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AwsCredential},
    client::{HttpClient, HttpConnector},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::{Address, Error, deepest};
use crate::settings::Settings;

/// How long a connection may take to come about, and how long its other end may be silent.
const CONNECT: Duration = Duration::from_secs(4);
const SILENCE: Duration = Duration::from_secs(20);

/// Credentials that end sooner than this are asked for anew.
const MARGIN: Duration = Duration::from_secs(120);

/// Credentials without an end are asked for anew after this long.
const LONGEST: Duration = Duration::from_secs(900);

/// The store of a bucket, as the settings and the environment reach it.
pub(super) async fn client(address: &Address, settings: &Settings) -> Result<AmazonS3, Error> {
    let wrong = |cause: String| Error::Login { at: address.to_string(), cause };
    let set = &settings.store;
    let text = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let keys = match (&settings.aws_access_key, &settings.aws_secret_key) {
        (Some(access), Some(secret)) => {
            Some(Credentials::new(access.reveal(), secret.reveal(), None, None, "settings"))
        }
        (None, None) => None,
        _ => {
            let half = "found one of `aws_access_key` and `aws_secret_key`, expected both or none";
            return Err(wrong(half.to_owned()));
        }
    };
    let region = text(&set.region).or_else(|| text(&settings.aws.region));
    let http = Builder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring)).build_https();
    let mut config = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    if let Some(region) = region {
        config = config.region(Region::new(region));
    }
    match (&keys, &settings.aws.profile) {
        (Some(keys), _) => config = config.credentials_provider(keys.clone()),
        (None, Some(profile)) => config = config.profile_name(profile),
        (None, None) => {}
    }
    let config = config.load().await;
    let from = match (&keys, &settings.aws.profile) {
        (Some(_), _) => "the keys of the settings".to_owned(),
        (None, Some(profile)) => format!("the profile `{profile}`"),
        (None, None) => "the environment".to_owned(),
    };
    let provider = match &settings.aws.role {
        Some(role) => {
            let role = aws_config::sts::AssumeRoleProvider::builder(role).session_name("lakeapm").configure(&config);
            Some(SharedCredentialsProvider::new(role.build().await))
        }
        None => config.credentials_provider(),
    };
    let logins = Logins { provider, from, known: Mutex::default() };
    let endpoint = text(&set.endpoint).or_else(|| environment(&config));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&address.bucket)
        .with_region(config.region().map_or("us-east-1", Region::as_ref))
        .with_credentials(Arc::new(logins))
        // One by one, what is refused is told as everything is.
        .with_disable_bulk_delete(true)
        .with_http_connector(Connector(http_client(settings).map_err(&wrong)?))
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(2),
                base: 2.0,
            },
            max_retries: 4,
            retry_timeout: Duration::from_secs(20),
        });
    if let Some(endpoint) = endpoint {
        if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
            return Err(wrong(format!(
                "found the address `{endpoint}`, expected one such as `https://minio.example.com:9000`"
            )));
        }
        builder =
            builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint.trim_end_matches('/'));
    }
    builder.build().map_err(|cause| wrong(deepest(&cause)))
}

// The address that the tools of AWS use: that of S3 comes before that of everything.
fn environment(config: &SdkConfig) -> Option<String> {
    let of = |name: &str| std::env::var(name).ok().filter(|address| !address.trim().is_empty());
    of("AWS_ENDPOINT_URL_S3").or_else(|| of("AWS_ENDPOINT_URL")).or_else(|| config.endpoint_url().map(str::to_owned))
}

// With the same encryption as all else; `AWS_CA_BUNDLE` and `tls.ca` name authorities of one's own.
fn http_client(settings: &Settings) -> Result<reqwest::Client, String> {
    let mut roots = RootCertStore::empty();
    let bundle = std::env::var("AWS_CA_BUNDLE").ok().filter(|path| !path.is_empty());
    match settings.store.ca.as_deref().filter(|ca| !ca.is_empty()).or(bundle.as_deref()) {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(ca) => {
            let wrong =
                |cause: &dyn std::fmt::Display| format!("the certificates of `store.ca` cannot be read: {cause}");
            let given: Result<Vec<CertificateDer<'static>>, _> = match ca.contains("-----BEGIN") {
                true => CertificateDer::pem_slice_iter(ca.as_bytes()).collect(),
                false => CertificateDer::pem_file_iter(ca).and_then(Iterator::collect),
            };
            for certificate in given.map_err(|cause| wrong(&cause))? {
                roots.add(certificate).map_err(|cause| wrong(&cause))?;
            }
        }
    }
    let tls = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|cause| cause.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .build()
        .map_err(|cause| cause.to_string())
}

#[derive(Debug)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

#[derive(Debug)]
struct Logins {
    provider: Option<SharedCredentialsProvider>,
    from: String,
    known: Mutex<Option<(Arc<AwsCredential>, SystemTime)>>,
}

#[async_trait]
impl CredentialProvider for Logins {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        if let Some((known, ends)) = &*self.known.lock().unwrap_or_else(PoisonError::into_inner)
            && *ends > SystemTime::now()
        {
            return Ok(known.clone());
        }
        let failed = |cause: String| object_store::Error::Generic {
            store: "S3",
            source: format!(
                "no credentials of AWS from {}: {cause}; set `aws_access_key` and `aws_secret_key`, name a profile as \
                 `aws.profile`, or give this machine a role",
                self.from
            )
            .into(),
        };
        let provider = self.provider.as_ref().ok_or_else(|| failed("there are none".to_owned()))?;
        let found = provider.provide_credentials().await.map_err(|cause| failed(deepest(&cause)))?;
        let longest = SystemTime::now() + LONGEST;
        let ends = found.expiry().map_or(longest, |ends| longest.min(ends.checked_sub(MARGIN).unwrap_or(ends)));
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        });
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((credential.clone(), ends));
        Ok(credential)
    }
}
