//! How a warehouse is reached, who answers, and what is collected.

use serde::Deserialize;

use crate::query::Duration;

/// How a login is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// By a password.
    #[default]
    Password,
    /// By temporary credentials that AWS gives.
    Iam,
}

/// Where temporary credentials come from; what is not set is read from the host's name, else from the environment as the
/// tools of AWS do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Aws {
    /// The region.
    pub region: Option<String>,
    /// The identifier of a provisioned cluster.
    pub cluster: Option<String>,
    /// The name of a serverless workgroup.
    pub workgroup: Option<String>,
    /// The profile in the files of AWS.
    pub profile: Option<String>,
    /// The role that is assumed, by its ARN.
    pub role: Option<String>,
    /// Another address of the service, such as that of a VPC endpoint.
    pub endpoint: Option<String>,
}

/// How the object store of a history is reached, and what is kept of it on this machine. What is not set is read from the
/// environment as the tools of AWS do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Store {
    /// The region of the bucket.
    pub region: Option<String>,
    /// The address of a store that speaks the protocol of S3, such as `https://minio.example.com:9000`.
    pub endpoint: Option<String>,
    /// The certificates of the authorities that are trusted instead of the public ones, PEM, or the path of a file of them.
    pub ca: Option<String>,
    /// The folder for files while they are read; none = one of the user's own.
    pub cache: Option<std::path::PathBuf>,
    /// So many megabytes of them are kept.
    pub cache_mb: u64,
}

impl Default for Store {
    fn default() -> Store {
        Store { region: None, endpoint: None, ca: None, cache: None, cache_mb: 10_240 }
    }
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Tls {
    /// What is checked.
    pub mode: TlsMode,
    /// The certificates of the authorities that are trusted instead of the public ones, PEM, or the path of a file of them.
    /// A relative path in a file of settings is one in its folder.
    pub ca: Option<String>,
}

impl Tls {
    /// The certificates themselves, if they are no path.
    pub fn pem(&self) -> Option<&str> {
        self.ca.as_deref().filter(|ca| ca.contains("-----BEGIN"))
    }
}

/// What is checked of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// That an authority signed it for this host.
    #[default]
    #[serde(alias = "verify-full")]
    Verify,
    /// That an authority signed it, for whatever host: through a tunnel.
    VerifyCa,
    /// Nothing, but the connection is encrypted.
    Require,
    /// Nothing: the connection is not encrypted.
    Disable,
}

/// Who answers where there is a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The history, if there is one, else the warehouse.
    #[default]
    Auto,
    /// The warehouse.
    Live,
}

/// What the collector does.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Collecting {
    /// How often it looks; none = every minute, and every hour where looking wakes a serverless workgroup.
    #[serde(deserialize_with = "span")]
    pub every: Option<Duration>,
    /// How far back each look goes behind what is collected, for what the warehouse records late; none = ten minutes.
    #[serde(deserialize_with = "span")]
    pub overlap: Option<Duration>,
    /// How far back the first look goes; none = seven days, which is what Redshift keeps.
    #[serde(deserialize_with = "span")]
    pub reach: Option<Duration>,
    /// How often tables and columns are looked at; none = every hour.
    #[serde(deserialize_with = "span")]
    pub tables: Option<Duration>,
    /// The days that are kept; none = all.
    pub keep: Option<u32>,
    /// Whether what is not signed takes the annotation of another statement.
    pub inherit: Inherit,
}

/// From what a statement that is not signed takes an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inherit {
    /// From nothing.
    #[default]
    None,
    /// From the signed statement before it in its transaction.
    Transaction,
}

fn span<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    use serde::de::Error as _;
    let text = String::deserialize(from)?;
    match text.parse::<Duration>() {
        Ok(span) if span.seconds().is_some_and(|seconds| seconds >= 1.0) => Ok(Some(span)),
        _ => Err(D::Error::custom(format!("found `{text}`, expected a length of time such as `10m`"))),
    }
}
