//! Who asks an object store, and over what connection.
//!
//! Who asks is what [`Login`] finds. Region and address are those of the settings, else those of the tools of AWS.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_config::{Region, SdkConfig};
use object_store::{
    BackoffConfig, ClientOptions, CredentialProvider, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AwsCredential},
    client::{HttpClient, HttpConnector},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::{Address, Error};
use crate::{
    aws::{Login, deepest},
    settings::Settings,
};

/// How long a connection may take to come about, and how long its other end may be silent.
const CONNECT: Duration = Duration::from_secs(4);
const SILENCE: Duration = Duration::from_secs(20);

/// The store of a bucket, as the settings and the environment reach it.
pub(super) async fn client(address: &Address, settings: &Settings) -> Result<AmazonS3, Error> {
    let wrong = |cause: String| Error::Login { at: address.to_string(), cause };
    let set = &settings.store;
    let text = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let region = text(&set.region).or_else(|| text(&settings.aws.region));
    let login = Login::new(settings, region).map_err(|cause| wrong(cause.to_string()))?;
    let config = login.config().await;
    let endpoint = text(&set.endpoint).or_else(|| environment(&config));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&address.bucket)
        .with_region(config.region().map_or("us-east-1", Region::as_ref))
        .with_credentials(Arc::new(Logins(login)))
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
struct Logins(Login);

#[async_trait]
impl CredentialProvider for Logins {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let found = self.0.credentials().await;
        let found =
            found.map_err(|cause| object_store::Error::Generic { store: "S3", source: cause.to_string().into() })?;
        Ok(Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        }))
    }
}
