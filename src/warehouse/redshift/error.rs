//! What goes wrong between here and a Redshift, each as a sentence with the way out. No secret is in any.

use std::{error::Error as _, io};

use tokio_postgres::error::SqlState;

/// What went wrong with a Redshift.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field of the settings is missing or wrong.
    #[error("{0}")]
    Setting(String),
    /// The file of authorities.
    #[error("cannot read the certificates in {place}: {cause}; expected those of the authorities to trust, PEM")]
    Authorities {
        /// The file or setting.
        place: String,
        /// What is wrong with it.
        cause: String,
    },
    /// No such host.
    #[error(
        "cannot find the host `{host}`: {cause}; expected the endpoint of the cluster or workgroup without port and database, such as `wh.abc123.eu-west-1.redshift.amazonaws.com`"
    )]
    Host {
        /// The host.
        host: String,
        /// What the resolver said.
        cause: String,
    },
    /// Nobody listens.
    #[error(
        "nothing listens at {host}:{port}: {cause}; see whether `port` is right (5439 unless it was changed), and whether the cluster is paused"
    )]
    Refused {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What the operating system said.
        cause: io::Error,
    },
    /// No answer to a connection.
    #[error(
        "no answer from {host}:{port} within {seconds} s; let this machine's address into the security group of the cluster, on port {port}"
    )]
    Silent {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// How long it was waited.
        seconds: u64,
    },
    /// The server takes no TLS.
    #[error(
        "{host}:{port} takes no encrypted connection; let it have one, or set `tls.mode = \"disable\"` if nobody can listen on the way"
    )]
    NoTls {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// The server takes TLS only.
    #[error("{host}:{port} takes encrypted connections only; remove `tls.mode = \"disable\"`")]
    OnlyTls {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// The certificate is for others.
    #[error(
        "the certificate of {host}:{port} is for another host; set `host` to the name it is for, or `tls.mode = \"verify-ca\"` if the connection goes through a tunnel"
    )]
    Name {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// The certificate is signed by nobody who is trusted, or is too old.
    #[error(
        "the certificate of {host}:{port} is not to be trusted: {cause}; `tls.ca` takes the certificate of the authority that signed it, PEM or the path of a file"
    )]
    Certificate {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What is wrong with it.
        cause: String,
    },
    /// What answers is no PostgreSQL.
    #[error("what answers at {host}:{port} is no Redshift: {cause}")]
    Foreign {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What it said.
        cause: String,
    },
    /// Wrong password, or no such login.
    #[error("{host} does not take the login `{user}`: {message}; check `user` and `password`")]
    Login {
        /// The host.
        host: String,
        /// The login.
        user: String,
        /// What the server said.
        message: String,
    },
    /// A way of logging in that is not known here.
    #[error("{host} asks the login `{user}` for {method}, which this program cannot answer; {way}")]
    Method {
        /// The host.
        host: String,
        /// The login.
        user: String,
        /// What it asks for.
        method: String,
        /// What to do.
        way: &'static str,
    },
    /// No such database.
    #[error("{host} has no database `{database}`, or `{user}` may not connect to it: {message}")]
    Database {
        /// The host.
        host: String,
        /// The database.
        database: String,
        /// The login.
        user: String,
        /// What the server said.
        message: String,
    },
    /// No connection is free.
    #[error("{host} takes no more connections: {message}; give others up, or ask again in a while")]
    Full {
        /// The host.
        host: String,
        /// What the server said.
        message: String,
    },
    /// All connections of this program are busy.
    #[error("all {connections} connections to the warehouse are busy; ask again in a while, or ask less at a time")]
    Busy {
        /// How many there are.
        connections: usize,
    },
    /// The connection broke.
    #[error("the connection to the warehouse was lost: {0}; ask again")]
    Lost(String),
    /// The statement took too long.
    #[error(
        "the warehouse did not answer within {seconds} s; a shorter range or fewer groups take less, and `timeout` in `limits` allows more"
    )]
    Slow {
        /// The limit.
        seconds: u64,
    },
    /// Somebody cancelled it.
    #[error("the statement was cancelled in the warehouse: {0}")]
    Cancelled(String),
    /// The login may not read something.
    #[error("the login `{user}` may not read {what}: {mend}")]
    Grant {
        /// The login.
        user: String,
        /// The view.
        what: String,
        /// The statement that mends it.
        mend: String,
    },
    /// The warehouse lacks a view, column or function.
    #[error(
        "the warehouse does not know what the statement asks of it: {0}; `lakeapm doctor` says which views and columns it lacks"
    )]
    Unknown(String),
    /// Anything else it says.
    #[error("the warehouse refused the statement: {message} ({code})")]
    Statement {
        /// What it said.
        message: String,
        /// The code of the SQL standard.
        code: String,
    },
    /// A value is none of its type.
    #[error("the warehouse answered `{found}` in the column `{column}`, expected {expected}")]
    Value {
        /// The column.
        column: String,
        /// The value.
        found: String,
        /// The type.
        expected: &'static str,
    },
    /// Temporary credentials.
    #[error("{0}")]
    Credentials(String),
    /// Who asks for them.
    #[error(transparent)]
    Aws(#[from] crate::aws::Error),
}

impl Error {
    /// Whether the same may work a moment later.
    pub fn passes(&self) -> bool {
        use Error::{Busy, Full, Lost, Refused, Silent};
        matches!(self, Full { .. } | Lost(_) | Busy { .. } | Refused { .. } | Silent { .. })
    }
}

/// Who is connected to what, for sentences.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
}

// All that stands behind an error.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        cause = inner.source();
    }
    said
}

fn certificate(error: &tokio_postgres::Error) -> Option<&rustls::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(found) = inner.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        cause = match inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(within) => Some(within),
            None => inner.source(),
        };
    }
    None
}

impl Place {
    /// What is wrong with a connection that was not made.
    pub(super) fn refused(&self, error: &tokio_postgres::Error) -> Error {
        let Place { host, port, database, user } = self.clone();
        if let Some(cause) = certificate(error) {
            use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
            return match cause {
                rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
                    Error::Name { host, port }
                }
                rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => {
                    Error::Certificate { host, port, cause: "an authority that is not known signed it".to_owned() }
                }
                other => Error::Certificate { host, port, cause: other.to_string() },
            };
        }
        if let Some(said) = error.as_db_error() {
            let message = said.message().to_owned();
            return match said.code() {
                code if *code == SqlState::INVALID_CATALOG_NAME => Error::Database { host, database, user, message },
                code if *code == SqlState::INSUFFICIENT_PRIVILEGE => Error::Database { host, database, user, message },
                code if *code == SqlState::TOO_MANY_CONNECTIONS => Error::Full { host, message },
                code if *code == SqlState::INVALID_PASSWORD => Error::Login { host, user, message },
                code if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                    let only = ["SSL off", "no encryption", "SSL is required", "require_ssl"];
                    match only.iter().any(|part| message.contains(part)) {
                        true => Error::OnlyTls { host, port },
                        false => Error::Login { host, user, message },
                    }
                }
                code if code.code().starts_with("57P") || code.code().starts_with("08") => Error::Lost(message),
                _ => Error::Login { host, user, message },
            };
        }
        let said = chain(error);
        if said.contains("server does not support TLS") {
            return Error::NoTls { host, port };
        }
        if said.contains("password missing") {
            let message = "it asks for a password and none is set".to_owned();
            return Error::Login { host, user, message };
        }
        // Redshift's own, beside PostgreSQL's: https://github.com/aws/amazon-redshift-python-driver/blob/master/redshift_connector/core.py
        let code = said.split("unknown authentication tag `").nth(1).and_then(|rest| rest.split('`').next());
        let unsupported = said.contains("unsupported authentication method");
        if code.is_some() || unsupported {
            let (method, way) = match code {
                Some("13") => (
                    "a SHA-256 digest of its password".to_owned(),
                    "set the password again so that MD5 is kept of it (ALTER USER … PASSWORD 'md5…'), or use `auth = \"iam\"`",
                ),
                Some("14") => (
                    "a token of an identity provider".to_owned(),
                    "use a login of the database with a password, or `auth = \"iam\"`",
                ),
                Some(code) => (format!("the method {code}"), "use a login with a password, or `auth = \"iam\"`"),
                None => ("Kerberos or GSS".to_owned(), "use a login with a password, or `auth = \"iam\"`"),
            };
            return Error::Method { host, user, method, way };
        }
        if error.is_closed() || said.contains("connection closed") || said.contains("reset") || said.contains("eof") {
            return Error::Lost(format!("{host}:{port} hung up while the login was under way"));
        }
        Error::Foreign { host, port, cause: said }
    }

    /// What is wrong with a statement.
    pub(super) fn failed(&self, error: &tokio_postgres::Error, seconds: u64) -> Error {
        let Some(said) = error.as_db_error() else { return Error::Lost(chain(error)) };
        let (message, code) = (said.message().to_owned(), said.code().code().to_owned());
        match code.as_str() {
            "57014" if message.contains("timeout") || message.contains("timed out") => Error::Slow { seconds },
            "57014" => Error::Cancelled(message),
            "42501" => {
                // permission denied for relation svv_table_info; for view, for table, for schema
                let what = message.rsplit(' ').next().unwrap_or_default().trim_matches('"').to_owned();
                let mend = super::probe::mend(&what, &self.user);
                Error::Grant { user: self.user.clone(), what, mend }
            }
            "42703" | "42P01" | "42883" | "3F000" => Error::Unknown(message),
            _ if code.starts_with("57P") || code.starts_with("08") => Error::Lost(message),
            "53300" => Error::Full { host: self.host.clone(), message },
            _ => Error::Statement { message, code },
        }
    }
}
