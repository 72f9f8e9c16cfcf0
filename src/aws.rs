//! Who asks AWS: its credentials, from the settings and the machine.
//!
//! Keys of the settings come first, then what the tools of AWS use: a profile, and without one the environment, a web
//! identity, the role of the container, the role of the machine. Then a role may be assumed. A database's login and an
//! object store ask for them here.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials as _, error::CredentialsError},
};
use aws_smithy_http_client::{Builder, tls};
use tokio::sync::Mutex;

use crate::settings::Settings;

/// Credentials that end sooner than this are asked for anew.
pub const MARGIN: Duration = Duration::from_secs(120);

/// Credentials that do not say when they end are asked for anew after this long: a file can have others by then.
const LONGEST: Duration = Duration::from_secs(900);

/// How long it may take to get them.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there are no credentials. No secret is in any.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Half of a pair.
    #[error("found one of `aws_access_key` and `aws_secret_key`, expected both or none")]
    Half,
    /// Nobody is known here.
    #[error(
        "no credentials of AWS from {from}: {cause}; set `aws_access_key` and `aws_secret_key`, name a profile as \
         `aws.profile`, or give this machine a role"
    )]
    None {
        /// Where they were looked for.
        from: String,
        /// What was found there.
        cause: String,
    },
    /// Whoever gives them does not answer.
    #[error("no credentials of AWS within {} s; see whether the way to it is open", .0.as_secs())]
    Late(Duration),
}

/// Who the settings say asks. Nothing is asked before it is needed.
pub struct Login {
    keys: Option<Credentials>,
    profile: Option<String>,
    role: Option<String>,
    region: Option<String>,
    known: Mutex<Option<Known>>,
}

struct Known {
    credentials: Credentials,
    good_until: SystemTime,
}

impl Login {
    /// The login of the settings for what is in that region; without one that of the environment or the profile counts.
    ///
    /// # Errors
    /// [`Error::Half`].
    pub fn new(settings: &Settings, region: Option<String>) -> Result<Login, Error> {
        let keys = match (&settings.aws_access_key, &settings.aws_secret_key) {
            (Some(access), Some(secret)) => {
                Some(Credentials::new(access.reveal(), secret.reveal(), None, None, "settings"))
            }
            (None, None) => None,
            _ => return Err(Error::Half),
        };
        let set = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let (profile, role) = (set(&settings.aws.profile), set(&settings.aws.role));
        Ok(Login { keys, profile, role, region, known: Mutex::default() })
    }

    /// What is set and what the files and the environment say beside it: the region, addresses, who asks.
    pub async fn config(&self) -> SdkConfig {
        let http =
            Builder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring)).build_https();
        let mut config = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
        if let Some(region) = &self.region {
            config = config.region(Region::new(region.clone()));
        }
        match (&self.keys, &self.profile) {
            (Some(keys), _) => config = config.credentials_provider(keys.clone()),
            (None, Some(profile)) => config = config.profile_name(profile),
            (None, None) => {}
        }
        config.load().await
    }

    /// Credentials that are good for some minutes at least, if whoever gives them gives such.
    ///
    /// # Errors
    /// Nobody is known here, the role may not be assumed, or nobody answers; credentials that have not ended yet are given
    /// in spite of that.
    pub async fn credentials(&self) -> Result<Credentials, Error> {
        if let (Some(keys), None) = (&self.keys, &self.role) {
            return Ok(keys.clone());
        }
        // Who waits meanwhile takes what the first one got.
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.good_until > SystemTime::now()) {
            return Ok(known.credentials.clone());
        }
        let got = tokio::time::timeout(PATIENCE, self.ask()).await;
        match got.unwrap_or(Err(Error::Late(PATIENCE))) {
            Ok(credentials) => {
                let good_until = good_until(SystemTime::now(), credentials.expiry());
                *known = Some(Known { credentials: credentials.clone(), good_until });
                Ok(credentials)
            }
            Err(error) => {
                let still = known.as_ref().map(|known| &known.credentials);
                still.filter(|known| known.expiry().is_some_and(|ends| ends > SystemTime::now())).cloned().ok_or(error)
            }
        }
    }

    // With files and environment as they are now.
    async fn ask(&self) -> Result<Credentials, Error> {
        let config = self.config().await;
        let found = match &self.role {
            Some(role) => {
                let role = aws_config::sts::AssumeRoleProvider::builder(role).session_name("lakeapm");
                role.configure(&config).build().await.provide_credentials().await
            }
            None => match config.credentials_provider() {
                Some(provider) => provider.provide_credentials().await,
                None => Err(CredentialsError::not_loaded("there are none")),
            },
        };
        found.map_err(|cause| Error::None { from: self.from(), cause: deepest(&cause) })
    }

    fn from(&self) -> String {
        match (&self.keys, &self.profile) {
            (Some(_), _) => "the keys of the settings".to_owned(),
            (None, Some(profile)) => format!("the profile `{profile}`"),
            (None, None) => "the environment".to_owned(),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login from {}", self.from())?;
        self.role.iter().try_for_each(|role| write!(f, " as {role}"))
    }
}

// Until when credentials that were got now are not asked for again.
fn good_until(now: SystemTime, ends: Option<SystemTime>) -> SystemTime {
    let longest = now.checked_add(LONGEST).unwrap_or(now);
    ends.map_or(longest, |ends| longest.min(ends.checked_sub(MARGIN).unwrap_or(ends)))
}

/// What an error comes from in the end, which is what a person can do something about.
pub fn deepest(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(inner) = last.source() {
        last = inner;
    }
    last.to_string()
}
