//! A server that speaks S3, one for a process of tests and one that guards itself: see `s3.py`.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The server of this process; it takes any keys.
pub fn server() -> &'static S3 {
    static SERVER: OnceLock<S3> = OnceLock::new();
    SERVER.get_or_init(|| S3::start(&[]))
}

/// The one that knows its users and what each may do.
pub fn guarded() -> &'static S3 {
    static SERVER: OnceLock<S3> = OnceLock::new();
    SERVER.get_or_init(|| S3::start(&["--guarded"]))
}

/// A running server.
pub struct S3 {
    port: u16,
    users: BTreeMap<String, (String, String)>,
    // Its end is what the server waits for.
    _held: ChildStdin,
    buckets: AtomicU32,
}

impl S3 {
    fn start(args: &[&str]) -> S3 {
        let python = Path::new(ROOT).join("target/python/bin/python");
        assert!(python.exists(), "no S3 for the tests: run `npm run peers` in {ROOT}");
        let mut python = Command::new(python);
        python.arg(Path::new(ROOT).join("tests/it/double/s3.py")).args(args);
        // It outlives this process by the time it needs to end.
        #[allow(clippy::zombie_processes)]
        let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let held = child.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: serde_json::Value = serde_json::from_str(&line).expect("the S3 of the tests does not start");
        let users = told["users"].as_object().unwrap().iter();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        S3 {
            port: u16::try_from(told["port"].as_u64().unwrap()).unwrap(),
            users: users.map(|(name, keys)| (name.clone(), (text(&keys[0]), text(&keys[1])))).collect(),
            _held: held,
            buckets: AtomicU32::new(0),
        }
    }

    /// Its address.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The access key and the secret key of a user.
    pub fn keys(&self, user: &str) -> (String, String) {
        self.users[user].clone()
    }

    /// A bucket of its own.
    pub fn bucket(&self) -> String {
        let name = format!("bucket{}", self.buckets.fetch_add(1, Ordering::SeqCst));
        assert_eq!(self.request("PUT", &format!("/{name}"), b"").0, 200, "the bucket is made");
        name
    }

    /// An answer to a request that the program did not send: its status and body.
    pub fn request(&self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut server = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        // Objects are shown to whoever has any key.
        let by = "Authorization: AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request";
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n{by}\r\nContent-Length: {length}\r\n\r\n");
        server.write_all(head.as_bytes()).unwrap();
        server.write_all(body).unwrap();
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..end]);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer[end + 4..].to_vec())
    }

    /// How many requests of each kind there were since it was asked last. Tests that count ask a server of their own.
    pub fn counted(&self) -> BTreeMap<String, u64> {
        serde_json::from_slice(&self.request("GET", "/_counted", b"").1).unwrap()
    }

    /// A server of nobody else.
    pub fn alone() -> S3 {
        S3::start(&[])
    }
}
