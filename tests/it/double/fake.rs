//! What PostgreSQL cannot be made to do, by a server that speaks just enough of its protocol.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// What a fake server does with every connection.
#[derive(Clone, Copy)]
pub enum Does {
    /// Asks for a proof of the login that has this number.
    Asks(u32),
    /// Hangs up after a part of a row.
    HangsUp,
    /// Answers `select 1` with the rows and the bare tag `SELECT`, and refuses to set anything.
    Bare,
    /// Takes the login and says nothing more.
    Sleeps,
    /// Answers as a web server does.
    Web,
}

/// A server on a port of 127.0.0.1, as long as the process lives; without TLS.
pub struct Fake {
    /// Its port.
    pub port: u16,
    /// Requests to cancel a statement that came.
    pub cancelled: Arc<AtomicUsize>,
}

impl Fake {
    /// One that does this.
    pub fn new(does: Does) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cancelled = Arc::new(AtomicUsize::new(0));
        let counts = cancelled.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counts = counts.clone();
                thread::spawn(move || serve(stream, does, &counts));
            }
        });
        Fake { port, cancelled }
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend((body.len() as u32 + 4).to_be_bytes());
    bytes.extend(body);
    bytes
}

fn error(code: &str, text: &str) -> Vec<u8> {
    message(b'E', format!("SERROR\0C{code}\0M{text}\0\0").as_bytes())
}

fn row(values: &[&str]) -> Vec<u8> {
    let mut body = (values.len() as u16).to_be_bytes().to_vec();
    for value in values {
        body.extend((value.len() as u32).to_be_bytes());
        body.extend(value.as_bytes());
    }
    message(b'D', &body)
}

fn columns(names: &[&str]) -> Vec<u8> {
    let mut body = (names.len() as u16).to_be_bytes().to_vec();
    for name in names {
        body.extend(name.as_bytes());
        body.extend([0; 1 + 4 + 2]);
        body.extend(25_u32.to_be_bytes());
        body.extend([0xff; 2 + 4]);
        body.extend([0; 2]);
    }
    message(b'T', &body)
}

// A message of the first kind, which has no letter; then those that have one.
fn read(stream: &mut TcpStream, first: bool) -> Option<(u8, Vec<u8>)> {
    let mut kind = [0];
    if !first {
        stream.read_exact(&mut kind).ok()?;
    }
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut body).ok()?;
    Some((kind[0], body))
}

fn serve(mut stream: TcpStream, does: Does, cancelled: &AtomicUsize) -> Option<()> {
    let (_, begun) = read(&mut stream, true)?;
    match u32::from_be_bytes(begun.get(..4)?.try_into().ok()?) {
        80_877_103 => {
            let no: &[u8] = if matches!(does, Does::Web) { b"HTTP/1.1 400 Bad Request\r\n\r\n" } else { b"N" };
            stream.write_all(no).ok()?;
            return None;
        }
        80_877_102 => {
            cancelled.fetch_add(1, Ordering::SeqCst);
            return None;
        }
        _ => {}
    }
    if matches!(does, Does::Web) {
        return stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok();
    }
    if let Does::Asks(code) = does {
        stream.write_all(&message(b'R', &[code.to_be_bytes().as_slice(), &[0; 8]].concat())).ok()?;
        read(&mut stream, false)?;
        return None;
    }
    let mut ready = message(b'R', &0_u32.to_be_bytes());
    ready.extend(message(b'K', &[0, 0, 0, 7, 0, 0, 0, 9]));
    ready.extend(message(b'Z', b"I"));
    stream.write_all(&ready).ok()?;
    loop {
        let (kind, body) = read(&mut stream, false)?;
        let text = String::from_utf8_lossy(&body).trim_end_matches('\0').to_lowercase();
        let mut answer = match (kind, does) {
            (b'X', _) => return None,
            (b'Q', _) if text.starts_with("set ") => error("42704", "unrecognized configuration parameter"),
            (b'Q', Does::Bare) if text.starts_with("begin") || text.starts_with("commit") => message(b'C', b"BEGIN\0"),
            (b'Q', Does::Bare) if text.contains("pg_user") => [
                columns(&["usename", "usesysid", "usesuper"]),
                row(&["lakeapm", "100", "t"]),
                message(b'C', b"SELECT\0"),
            ]
            .concat(),
            (b'Q', Does::Bare) if text.contains("getdate()") => {
                [columns(&["getdate"]), row(&["2026-11-20 12:00:00"]), message(b'C', b"SELECT\0")].concat()
            }
            (b'Q', Does::Bare) if text.contains("sys_query_history") => {
                [columns(&["query_id"]), message(b'C', b"SELECT\0")].concat()
            }
            (b'Q', Does::Bare) => error("42501", "permission denied for relation svv_table_info"),
            (b'Q', Does::Sleeps) => {
                thread::sleep(Duration::from_secs(60));
                return None;
            }
            (b'Q', _) => {
                let part = [columns(&["a", "b"]), row(&["1", "2"]), row(&["3", "4"])].concat();
                stream.write_all(&part[..part.len() - 3]).ok()?;
                return None;
            }
            _ => error("08P01", "only simple queries are known here"),
        };
        answer.extend(message(b'Z', b"I"));
        stream.write_all(&answer).ok()?;
    }
}
