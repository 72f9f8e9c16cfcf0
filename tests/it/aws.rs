//! Who asks AWS: each way to be known to it, by both who ask, and by what the requests were signed with.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use chrono::{SecondsFormat, TimeDelta, Utc};

/// The services of AWS on a port of 127.0.0.1: they say who somebody is, and let nobody do anything.
struct Aws {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    /// The service it is signed for; one that needs no signature has none.
    service: String,
    /// The key it is signed with, and whether a token of a session is there.
    key: String,
    session: bool,
    /// Its first line and its body.
    text: String,
}

impl Aws {
    /// Credentials of roles last so long, and are given so often.
    fn new(lasts: TimeDelta, gives: usize) -> Aws {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
        let keeps = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keeps = keeps.clone();
                thread::spawn(move || serve(stream, &keeps, lasts, gives));
            }
        });
        Aws { port, asked }
    }

    fn of(&self, service: &str) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|asked| asked.service == service).cloned().collect()
    }
}

fn serve(mut stream: TcpStream, keeps: &Mutex<Vec<Asked>>, lasts: TimeDelta, gives: usize) {
    let mut bytes = Vec::new();
    let mut some = [0; 4096];
    let header = |head: &str, name: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}: ")))?;
        Some(line.split_once(": ")?.1.to_owned())
    };
    let (head, body) = loop {
        let read = stream.read(&mut some).unwrap_or(0);
        bytes.extend(&some[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length || read == 0 {
                break (head.to_owned(), body.to_owned());
            }
        }
        if read == 0 {
            return;
        }
    };
    // `AWS4-HMAC-SHA256 Credential=KEY/20261120/eu-west-1/sts/aws4_request, …`
    let signed = header(&head, "authorization").unwrap_or_default();
    let scope: Vec<&str> = signed.split_once("Credential=").map_or("", |(_, rest)| rest).split('/').collect();
    let asked = Asked {
        service: scope.get(3).unwrap_or(&"").to_string(),
        key: scope[0].to_owned(),
        session: header(&head, "x-amz-security-token").is_some(),
        text: format!("{}\n{body}", head.lines().next().unwrap()),
    };
    keeps.lock().unwrap().push(asked.clone());
    let ends = (Utc::now() + lasts).to_rfc3339_opts(SecondsFormat::Secs, true);
    let json = |key: &str| {
        format!(
            r#"{{"Code":"Success","Type":"AWS-HMAC","LastUpdated":"2026-01-01T00:00:00Z","AccessKeyId":"{key}","SecretAccessKey":"never-shown","Token":"never-shown","Expiration":"{ends}"}}"#
        )
    };
    let before = keeps.lock().unwrap().iter().filter(|asked| asked.text.contains("Action=AssumeRole")).count();
    let (status, answer) = match asked.text.as_str() {
        text if text.contains("Action=AssumeRole") && before <= gives => {
            let web = text.contains("Action=AssumeRoleWithWebIdentity") && text.contains("WebIdentityToken=a-token");
            let (action, key) = match web {
                true => ("AssumeRoleWithWebIdentity", "ASIAOFTHEWEB".to_owned()),
                false => ("AssumeRole", format!("ASIAOF{}", asked.key)),
            };
            let xml = format!(
                "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><AssumedRoleUser><Arn>\
                 arn:aws:sts::000000000000:assumed-role/etl/lakeapm</Arn><AssumedRoleId>AROA:lakeapm</AssumedRoleId>\
                 </AssumedRoleUser><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>never-shown</SecretAccessKey>\
                 <SessionToken>never-shown</SessionToken><Expiration>{ends}</Expiration></Credentials></{action}Result>\
                 </{action}Response>"
            );
            (200, xml)
        }
        text if text.starts_with("GET /container ") => (200, json("ASIAOFTHECONTAINER")),
        text if text.starts_with("PUT /latest/api/token ") => (200, "a-token-of-the-machine".to_owned()),
        text if text.starts_with("GET /latest/meta-data/iam/security-credentials/ ") => (200, "etl".to_owned()),
        text if text.starts_with("GET /latest/meta-data/iam/security-credentials/etl ") => {
            (200, json("ASIAOFTHEMACHINE"))
        }
        // Nothing is there, so that one makes it.
        text if asked.service == "s3" && text.starts_with("GET ") => {
            (404, "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>".to_owned())
        }
        text if asked.service == "s3" && text.starts_with("PUT ") => (200, String::new()),
        _ => (403, "<Error><Code>AccessDenied</Code><Message>not you</Message></Error>".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status} Said\r\ncontent-length: {}\r\netag: \"1\"\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\nconnection: \
         close\r\n\r\n",
        answer.len()
    );
    let _ = stream.write_all(format!("{head}{answer}").as_bytes());
}

// What the program says of it; its environment is this alone.
fn told(aws: &Aws, folder: &Path, envs: &[(&str, &str)], command: &[&str], config: &str) -> String {
    let path = folder.join("lakeapm.toml");
    fs::write(&path, config).unwrap();
    let here = format!("http://127.0.0.1:{}", aws.port);
    let output = Command::new(env!("CARGO_BIN_EXE_lakeapm"))
        .args(command)
        .arg("--config")
        .arg(&path)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("AWS_ENDPOINT_URL_STS", &here)
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &here)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(envs.iter().copied())
        .output()
        .unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "everything is denied: {told}");
    assert!(!told.contains("never-shown"), "{told}");
    told
}

// A cluster whose login AWS gives, and a history in a store, as the same settings say it.
fn asking(aws: &Aws, folder: &Path, set: &str) -> [(&'static str, String); 2] {
    let (port, cache) = (aws.port, folder.join("cache"));
    let keys: Vec<&str> = set.lines().filter(|line| line.starts_with("aws_")).collect();
    let fields: Vec<&str> = set.lines().filter(|line| !line.starts_with("aws_")).collect();
    let (keys, fields) = (keys.join("\n"), fields.join("\n"));
    [
        (
            "redshift",
            format!(
                "warehouse = 'redshift'\nhost = '127.0.0.1'\nport = {port}\nauth = 'iam'\n{keys}\n[tls]\nmode = \
                 'disable'\n[aws]\nregion = \
                 'eu-west-1'\ncluster = 'wh'\nendpoint = 'http://127.0.0.1:{port}'\n{fields}\n"
            ),
        ),
        (
            "s3",
            format!(
                "warehouse = 'history'\nhistory = 's3://bucket/lake'\n{keys}\n[store]\nregion = 'eu-west-1'\nendpoint = \
                 'http://127.0.0.1:{port}'\ncache = '{}'\n[aws]\n{fields}\n",
                cache.display()
            ),
        ),
    ]
}

const KEYS: &str = "aws_access_key = 'AKIDOFSETTINGS'\naws_secret_key = 'never-shown'\n";
const ROLE: &str = "role = 'arn:aws:iam::000000000000:role/etl'\n";
const PROFILE: &str = "profile = 'etl'\n";
const ENVIRONMENT: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIDOFENV"), ("AWS_SECRET_ACCESS_KEY", "never-shown")];

#[test]
fn each_way_to_be_known_to_aws_is_found_by_whoever_asks() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let profile = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let plain =
        profile("plain", "[profile etl]\naws_access_key_id = AKIDOFPROFILE\naws_secret_access_key = never-shown\n");
    let process = profile(
        "process",
        "[profile etl]\ncredential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"AKIDOFPROCESS\", \"SecretAccessKey\": \
         \"never-shown\"}'\n",
    );
    let chained = profile(
        "chained",
        "[profile etl]\nrole_arn = arn:aws:iam::000000000000:role/etl\nsource_profile = keys\n[profile keys]\naws_access_key_id \
         = AKIDOFPROFILE\naws_secret_access_key = never-shown\n",
    );
    let default =
        profile("default", "[default]\naws_access_key_id = AKIDOFDEFAULT\naws_secret_access_key = never-shown\n");
    let token = profile("token", "a-token");
    let aws = Aws::new(TimeDelta::hours(1), usize::MAX);
    let container = format!("http://127.0.0.1:{}/container", aws.port);
    let role = |name: &str| format!("ASIAOF{name}");
    let with = |more: &str| format!("{KEYS}{more}");
    let env = ENVIRONMENT.to_vec();
    let session = [ENVIRONMENT[0], ENVIRONMENT[1], ("AWS_SESSION_TOKEN", "never-shown")];
    let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()), ("AWS_ROLE_ARN", "arn:aws:iam::000000000000:role/etl")];
    type Case<'a> = (&'a str, String, Vec<(&'a str, &'a str)>, String, bool);
    let cases: Vec<Case<'_>> = vec![
        ("keys of the settings", KEYS.into(), env.clone(), "AKIDOFSETTINGS".into(), false),
        ("before a profile", with(PROFILE), vec![("AWS_CONFIG_FILE", &plain)], "AKIDOFSETTINGS".into(), false),
        ("which assume a role", with(ROLE), env.clone(), role("AKIDOFSETTINGS"), true),
        ("a profile", PROFILE.into(), vec![("AWS_CONFIG_FILE", &plain)], "AKIDOFPROFILE".into(), false),
        ("a profile's program", PROFILE.into(), vec![("AWS_CONFIG_FILE", &process)], "AKIDOFPROCESS".into(), false),
        ("a profile's role", PROFILE.into(), vec![("AWS_CONFIG_FILE", &chained)], role("AKIDOFPROFILE"), true),
        (
            "a role by a profile",
            [PROFILE, ROLE].concat(),
            vec![("AWS_CONFIG_FILE", &plain)],
            role("AKIDOFPROFILE"),
            true,
        ),
        ("the default profile", String::new(), vec![("AWS_CONFIG_FILE", &default)], "AKIDOFDEFAULT".into(), false),
        ("the environment", String::new(), env.clone(), "AKIDOFENV".into(), false),
        ("a session of it", String::new(), session.to_vec(), "AKIDOFENV".into(), true),
        ("a role by the environment", ROLE.into(), env.clone(), role("AKIDOFENV"), true),
        ("a web identity", String::new(), web.to_vec(), "ASIAOFTHEWEB".into(), true),
        (
            "the container's role",
            String::new(),
            vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container)],
            "ASIAOFTHECONTAINER".into(),
            true,
        ),
        (
            "the machine's role",
            String::new(),
            vec![("AWS_EC2_METADATA_DISABLED", "false")],
            "ASIAOFTHEMACHINE".into(),
            true,
        ),
        (
            "by which one is assumed",
            ROLE.into(),
            vec![("AWS_EC2_METADATA_DISABLED", "false")],
            role("ASIAOFTHEMACHINE"),
            true,
        ),
    ];
    for (what, set, envs, key, session) in cases {
        for (service, config) in asking(&aws, folder, &set) {
            aws.asked.lock().unwrap().clear();
            let told = told(&aws, folder, &envs, &["doctor"], &config);
            let asked = aws.of(service);
            assert!(!asked.is_empty(), "{what}: {service} is not asked: {told}");
            for asked in &asked {
                assert_eq!((asked.key.as_str(), asked.session), (key.as_str(), session), "{what}, {service}: {told}");
            }
            let got = aws.asked.lock().unwrap().iter().filter(|asked| asked.text.contains("Action=AssumeRole")).count();
            let expected = usize::from(key.starts_with("ASIAOFAKID") || key.contains("WEB"))
                + usize::from(key == "ASIAOFASIAOFTHEMACHINE");
            assert_eq!(got, expected, "{what}, {service}: what was got is kept");
        }
    }
}

#[test]
fn who_is_nobody_to_aws_is_told_what_to_set() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let aws = Aws::new(TimeDelta::hours(1), usize::MAX);
    let way = "set `aws_access_key` and `aws_secret_key`, name a profile as `aws.profile`, or give this machine a role";
    let half = "aws_access_key = 'AKIDOFSETTINGS'\n".to_owned();
    let cases: Vec<(&str, String, Vec<&str>)> = vec![
        ("half", half, vec!["found one of `aws_access_key` and `aws_secret_key`, expected both or none"]),
        ("nobody", String::new(), vec!["no credentials of AWS from the environment: ", way]),
        ("no such profile", PROFILE.into(), vec!["no credentials of AWS from the profile `etl`: ", way]),
        ("nobody for a role", ROLE.into(), vec!["no credentials of AWS from the environment: ", way]),
    ];
    for (what, set, expected) in cases {
        for (service, config) in asking(&aws, folder, &set) {
            aws.asked.lock().unwrap().clear();
            let told = told(&aws, folder, &[], &["doctor"], &config);
            for expected in &expected {
                assert!(told.contains(expected), "{what}, {service}: {told}");
            }
            assert_eq!(aws.of(service), [], "{what}: {service} is asked by nobody");
        }
    }
}

#[test]
fn credentials_are_asked_for_anew_before_they_end() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let set = format!("{KEYS}{ROLE}");
    let run = |lasts, gives| {
        let aws = Aws::new(lasts, gives);
        let [_, (service, config)] = asking(&aws, folder, &set);
        // Looks whether there is a history, and makes one.
        let collected = config.replace("'history'\n", "'redshift'\nhost = 'nowhere.invalid'\nuser = 'ana'\n");
        let told = told(&aws, folder, &[], &["collect", "--once"], &collected);
        (aws.of("sts"), aws.of(service), told)
    };
    // Two logins, one that looks whether it is there and one that makes it, which asks more than once.
    let (given, asked, told) = run(TimeDelta::hours(1), usize::MAX);
    assert_eq!((given.len(), asked.len()), (2, 3), "{told}");
    let (given, asked, told) = run(TimeDelta::seconds(90), usize::MAX);
    assert_eq!((given.len(), asked.len()), (3, 3), "what is about to end is asked for anew: {told}");
    let (given, asked, told) = run(TimeDelta::seconds(90), 2);
    assert_eq!((given.len(), asked.len()), (3, 3), "what has not ended is good where there is no other: {told}");
    assert!(asked.iter().all(|asked| asked.key == "ASIAOFAKIDOFSETTINGS"), "{asked:?}");
    let (given, asked, told) = run(TimeDelta::seconds(-5), 2);
    assert_eq!((given.len(), asked.len()), (3, 2), "what has ended is not: {told}");
    assert!(told.contains("no credentials of AWS from the keys of the settings: "), "{told}");
}
