//! The connections to a Redshift: PostgreSQL's protocol, simple queries, rows as they come.
//!
//! Only simple queries: Redshift exports faster by them, needs no catalog of types for them, and poolers in front of it
//! take them. Every value is a text; who asks knows the types, because the statement was made here.
//!
//! A connection is encrypted and the certificate checked unless the settings say otherwise. Its session only reads, ends
//! statements that take too long, and says who it is: `application_name` and `query_group` are `lakeapm`. Dropping what is
//! being answered cancels it in the warehouse.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::{
    CancelToken, Client, NoTls, SimpleQueryMessage, SimpleQueryRow, SimpleQueryStream, config::SslMode,
    tls::MakeTlsConnect,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    error::{Error, Place},
    iam,
};
use crate::settings::{Auth, Settings, Tls, TlsMode};

/// Redshift's port unless it was changed.
pub const PORT: u16 = 5439;

/// Connections at most: system views are answered by the leader, which others need too.
const CONNECTIONS: usize = 4;

/// How long a connection may take to be made, and a login to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that nobody used for so long is given up; firewalls on the way forget it.
const IDLE: Duration = Duration::from_secs(240);

/// Waited before a connection is tried again.
const AGAIN: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(1000)];

/// How a session is prepared; what a warehouse does not know of it is left out.
const GREETING: [&str; 2] = ["set query_group to 'lakeapm'", "set extra_float_digits to 0"];

/// The connections to one warehouse.
pub struct Wire {
    settings: Settings,
    place: Place,
    login: Login,
    tls: Option<MakeRustlsConnect>,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Session>>,
}

enum Login {
    Password(String),
    Iam(Box<iam::Source>),
}

/// One connection.
struct Session {
    client: Client,
    task: JoinHandle<()>,
    // Reading only is the session's own, or every statement has to be told so.
    wrapped: bool,
    limit: Duration,
    used: Instant,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wire {
    /// The connections that the settings describe; none is made before it is needed.
    ///
    /// # Errors
    /// The first field that is missing or wrong, and a file of certificates that cannot be read.
    pub fn new(settings: &Settings) -> Result<Wire, Error> {
        let missing = |field: &str, such: &str| {
            Error::Setting(format!("the settings name no `{field}`; expected it, such as `{field} = \"{such}\"`"))
        };
        let host = settings.host.trim();
        if host.is_empty() {
            return Err(missing("host", "wh.abc123.eu-west-1.redshift.amazonaws.com"));
        }
        if host.contains(['/', ':']) && !host.starts_with("::") {
            return Err(Error::Setting(format!(
                "found `host = \"{host}\"`, expected the name of the host alone; the port and the database are `port` and \
                 `database`"
            )));
        }
        let login = match settings.auth {
            Auth::Iam => Login::Iam(Box::new(iam::Source::new(settings)?)),
            Auth::Password => {
                if settings.user.trim().is_empty() {
                    return Err(missing("user", "lakeapm"));
                }
                let set = settings.password.as_ref().map(|secret| secret.reveal().to_owned());
                let told = || std::env::var("LAKEAPM_PASSWORD").ok();
                Login::Password(set.filter(|secret| !secret.is_empty()).or_else(told).unwrap_or_default())
            }
        };
        let place = Place {
            host: host.to_owned(),
            port: settings.port.unwrap_or(PORT),
            // Every cluster and workgroup has it unless it was made with another.
            database: Some(settings.database.trim()).filter(|name| !name.is_empty()).unwrap_or("dev").to_owned(),
            user: settings.user.trim().to_owned(),
        };
        Ok(Wire {
            settings: settings.clone(),
            place,
            login,
            tls: encryption(&settings.tls)?,
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            idle: Mutex::default(),
        })
    }

    /// The same to another database.
    ///
    /// # Errors
    /// As when it was made.
    pub fn to(&self, database: &str) -> Result<Wire, Error> {
        let mut settings = self.settings.clone();
        settings.database = database.to_owned();
        Wire::new(&settings)
    }

    /// The database it is connected to.
    pub fn database(&self) -> &str {
        &self.place.database
    }

    /// The login it has.
    pub fn user(&self) -> &str {
        &self.place.user
    }

    /// Sends a statement, which may take so long; its rows come one by one.
    pub async fn ask(&self, sql: &str, limit: Duration) -> Result<Rows<'_>, Error> {
        let busy = || Error::Busy { connections: CONNECTIONS };
        let place =
            timeout(limit, self.places.clone().acquire_owned()).await.map_err(|_| busy())?.map_err(|_| busy())?;
        let mut rows = Rows {
            wire: self,
            session: None,
            stream: None,
            columns: Vec::new(),
            first: None,
            limit,
            until: Instant::now() + limit,
            _place: place,
        };
        let (session, used) = match self.rested() {
            Some(session) => (session, true),
            None => (self.connected(limit).await?, false),
        };
        match rows.begin(session, sql).await {
            // The server or somebody on the way gave up a connection that was at rest.
            Err(Error::Lost(_)) if used => {
                let session = self.connected(limit).await?;
                rows.begin(session, sql).await?;
            }
            begun => begun?,
        }
        Ok(rows)
    }

    /// All rows of a statement, a text or nothing for each column.
    pub async fn rows(&self, sql: &str, limit: Duration) -> Result<Vec<Vec<Option<String>>>, Error> {
        let mut asked = self.ask(sql, limit).await?;
        let mut rows = Vec::new();
        while let Some(row) = asked.next().await? {
            rows.push((0..row.len()).map(|nth| text(&row, nth).map(str::to_owned)).collect());
        }
        Ok(rows)
    }

    fn rested(&self) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|session| !session.client.is_closed() && session.used.elapsed() < IDLE);
        idle.pop()
    }

    fn rest(&self, mut session: Session) {
        session.used = Instant::now();
        if !session.client.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        }
    }

    async fn connected(&self, limit: Duration) -> Result<Session, Error> {
        let mut waits = AGAIN.iter();
        loop {
            match (self.connect(limit).await, waits.next()) {
                (Err(error), Some(wait)) if error.passes() && !matches!(error, Error::Silent { .. }) => {
                    tokio::time::sleep(*wait).await;
                }
                (made, _) => return made,
            }
        }
    }

    async fn stream(&self) -> Result<TcpStream, Error> {
        let Place { host, port, .. } = self.place.clone();
        let silent = || Error::Silent { host: host.clone(), port, seconds: PATIENCE.as_secs() };
        let found = timeout(PATIENCE, tokio::net::lookup_host((host.as_str(), port))).await.map_err(|_| silent())?;
        let unknown = |cause: String| Error::Host { host: host.clone(), cause };
        let mut last = None;
        for address in found.map_err(|cause| unknown(cause.to_string()))? {
            match timeout(PATIENCE, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Statements and their ends are small, and wait for nobody.
                    drop(stream.set_nodelay(true));
                    return Ok(stream);
                }
                Ok(Err(cause)) => last = Some(Error::Refused { host: host.clone(), port, cause }),
                Err(_) => last = Some(silent()),
            }
        }
        Err(last.unwrap_or_else(|| unknown("it has no address".to_owned())))
    }

    async fn connect(&self, limit: Duration) -> Result<Session, Error> {
        let stream = self.stream().await?;
        let (user, password) = match &self.login {
            Login::Password(password) => (self.place.user.clone(), password.clone()),
            Login::Iam(source) => source.credentials(&self.place.database).await?,
        };
        let place = Place { user: user.clone(), ..self.place.clone() };
        let mut config = tokio_postgres::Config::new();
        config.user(user).dbname(&self.place.database).application_name("lakeapm");
        if !password.is_empty() {
            config.password(password);
        }
        let refused = |error: tokio_postgres::Error| place.refused(&error);
        let silent =
            |_| Error::Silent { host: self.place.host.clone(), port: self.place.port, seconds: PATIENCE.as_secs() };
        let (client, task) = match &self.tls {
            Some(tls) => {
                let mut tls = tls.clone();
                let tls =
                    <MakeRustlsConnect as MakeTlsConnect<TcpStream>>::make_tls_connect(&mut tls, &self.place.host);
                let tls = tls.map_err(|cause| Error::Setting(format!("`host` is no name of a host: {cause}")))?;
                config.ssl_mode(SslMode::Require);
                let made = timeout(PATIENCE, config.connect_raw(stream, tls)).await.map_err(silent)?;
                let (client, connection) = made.map_err(refused)?;
                (client, tokio::spawn(async { drop(connection.await) }))
            }
            None => {
                config.ssl_mode(SslMode::Disable);
                let made = timeout(PATIENCE, config.connect_raw(stream, NoTls)).await.map_err(silent)?;
                let (client, connection) = made.map_err(refused)?;
                (client, tokio::spawn(async { drop(connection.await) }))
            }
        };
        let mut session = Session { client, task, wrapped: false, limit, used: Instant::now() };
        let greeting = async {
            let [group, digits] = GREETING;
            let client = &session.client;
            let timed = format!("set statement_timeout to {}", limit.as_millis());
            let reads = "set session characteristics as transaction read only";
            // In one go; the answers come in this order.
            let (_, _, timed, reads) = futures::join!(
                client.batch_execute(group),
                client.batch_execute(digits),
                client.batch_execute(&timed),
                client.batch_execute(reads),
            );
            (timed, reads)
        };
        let (timed, reads) = timeout(PATIENCE, greeting).await.map_err(silent)?;
        for said in [&timed, &reads] {
            if let Err(error) = said
                && error.as_db_error().is_none()
            {
                return Err(self.place.failed(error, limit.as_secs()));
            }
        }
        session.wrapped = reads.is_err();
        Ok(session)
    }

    // Asks the server to stop what a session does. It listens to that on a connection of its own.
    fn cancel(&self, token: CancelToken, session: Session) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (place, tls) = (self.place.clone(), self.tls.clone());
        runtime.spawn(async move {
            let told = async {
                let stream = TcpStream::connect((place.host.as_str(), place.port)).await.ok()?;
                match tls {
                    Some(mut tls) => {
                        let tls =
                            <MakeRustlsConnect as MakeTlsConnect<TcpStream>>::make_tls_connect(&mut tls, &place.host);
                        token.cancel_query_raw(stream, tls.ok()?).await.ok()
                    }
                    None => token.cancel_query_raw(stream, NoTls).await.ok(),
                }
            };
            let _ = timeout(PATIENCE, told).await;
            // Only now, because the number of a connection that ended can soon be another's.
            drop(session);
        });
    }
}

/// The rows of a statement, as they come. Dropped before their end, the statement is cancelled.
pub struct Rows<'a> {
    wire: &'a Wire,
    session: Option<Session>,
    stream: Option<Pin<Box<SimpleQueryStream>>>,
    columns: Vec<String>,
    first: Option<SimpleQueryRow>,
    limit: Duration,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

impl Rows<'_> {
    // Sends the statement and waits for the columns of its answer.
    async fn begin(&mut self, session: Session, sql: &str) -> Result<(), Error> {
        let session = self.session.insert(session);
        let limit = self.limit;
        if session.limit != limit {
            session.limit = limit;
            let timed = format!("set statement_timeout to {}", limit.as_millis());
            let told = session.client.batch_execute(&timed).await;
            self.settled(told)?;
        }
        if let Some(session) = &self.session
            && session.wrapped
        {
            let told = session.client.batch_execute("begin read only").await;
            self.settled(told)?;
        }
        let Some(session) = &self.session else { return Ok(()) };
        match session.client.simple_query_raw(sql).await {
            Ok(stream) => self.stream = Some(Box::pin(stream)),
            Err(error) => return self.ended(&error),
        }
        self.first = self.read().await?;
        Ok(())
    }

    fn settled(&mut self, told: Result<(), tokio_postgres::Error>) -> Result<(), Error> {
        match told {
            Err(error) if error.as_db_error().is_none() => self.ended(&error),
            _ => Ok(()),
        }
    }

    // A connection that is broken serves nobody any more.
    fn ended(&mut self, error: &tokio_postgres::Error) -> Result<(), Error> {
        self.stream = None;
        self.session = None;
        Err(self.wire.place.failed(error, self.limit.as_secs()))
    }

    /// The names of the columns, once a row or the end was read.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The next row; none at the end.
    pub async fn next(&mut self) -> Result<Option<SimpleQueryRow>, Error> {
        match self.first.take() {
            Some(row) => Ok(Some(row)),
            None => self.read().await,
        }
    }

    async fn read(&mut self) -> Result<Option<SimpleQueryRow>, Error> {
        loop {
            let Some(stream) = &mut self.stream else { return Ok(None) };
            // The server ends what takes too long; should it not, the connection is given up soon after.
            let left = (self.until + Duration::from_secs(2)).saturating_duration_since(Instant::now());
            let Ok(message) = timeout(left, stream.next()).await else {
                return Err(Error::Slow { seconds: self.limit.as_secs() });
            };
            match message {
                Some(Ok(SimpleQueryMessage::Row(row))) => return Ok(Some(row)),
                Some(Ok(SimpleQueryMessage::RowDescription(columns))) => {
                    self.columns = columns.iter().map(|column| column.name().to_owned()).collect();
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    let failed = self.wire.place.failed(&error, self.limit.as_secs());
                    self.stream = None;
                    match error.as_db_error() {
                        Some(_) => self.rest("rollback").await,
                        None => self.session = None,
                    }
                    return Err(failed);
                }
                None => {
                    self.stream = None;
                    self.rest("commit").await;
                    return Ok(None);
                }
            }
        }
    }

    async fn rest(&mut self, end: &str) {
        if let Some(session) = self.session.take() {
            let told = match session.wrapped {
                true => timeout(PATIENCE, session.client.batch_execute(end)).await.is_ok_and(|told| told.is_ok()),
                false => true,
            };
            if told {
                self.wire.rest(session);
            }
        }
    }
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        if let (Some(session), Some(_)) = (self.session.take(), self.stream.take()) {
            self.wire.cancel(session.client.cancel_token(), session);
        }
    }
}

/// A column of a row; none where it is null, is not there, or is no UTF-8.
pub fn text(row: &SimpleQueryRow, nth: usize) -> Option<&str> {
    row.try_get(nth).ok().flatten()
}

fn encryption(tls: &Tls) -> Result<Option<MakeRustlsConnect>, Error> {
    if tls.mode == TlsMode::Disable {
        return Ok(None);
    }
    let mut roots = RootCertStore::empty();
    let wrong = |cause: &dyn std::fmt::Display| Error::Authorities {
        place: match tls.pem() {
            Some(_) => "`tls.ca`".to_owned(),
            None => tls.ca.clone().unwrap_or_default(),
        },
        cause: cause.to_string(),
    };
    let given: Vec<CertificateDer<'static>> = match (&tls.ca, tls.pem()) {
        (None, _) => Vec::new(),
        (_, Some(text)) => {
            CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().map_err(|cause| wrong(&cause))?
        }
        (Some(path), None) => {
            let found = CertificateDer::pem_file_iter(path).map_err(|cause| wrong(&cause))?;
            found.collect::<Result<_, _>>().map_err(|cause| wrong(&cause))?
        }
    };
    match (&tls.ca, given.is_empty()) {
        (None, _) => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        (Some(_), true) => return Err(wrong(&"it has no certificate")),
        (Some(_), false) => {
            for certificate in given {
                roots.add(certificate).map_err(|cause| wrong(&cause))?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let broken = |cause: &dyn std::fmt::Display| Error::Setting(format!("cannot encrypt connections: {cause}"));
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|cause| broken(&cause))?;
    let config = match tls.mode {
        TlsMode::VerifyCa | TlsMode::Require => {
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|cause| broken(&cause))?;
            let verifier = Lenient { verifier, unsigned: tls.mode == TlsMode::Require };
            config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
        _ => config.with_root_certificates(roots).with_no_client_auth(),
    };
    Ok(Some(MakeRustlsConnect::new(config)))
}

/// Takes a certificate for whatever host, from an authority that is trusted or from anybody.
#[derive(Debug)]
struct Lenient {
    verifier: Arc<WebPkiServerVerifier>,
    unsigned: bool,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        // The name is checked last, by which time the chain has been.
        match self.verifier.verify_server_cert(end, between, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            Err(_) if self.unsigned => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
