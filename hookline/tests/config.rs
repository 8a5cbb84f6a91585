//! Configuration from outside, without any server: what is wrong is reported in one line that names it, with exit code 2, by whatever was
//! started; and nothing that is secret is ever shown.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Stands in values for what nobody may see.
const SECRET: &str = "zq-secret";
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("hookline-config-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Exit code and both outputs. What still runs after ten seconds has started, and is ended with -1.
fn hookline(
    folder: &Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> (i32, String, String) {
    let (out, err) = (folder.join("out"), folder.join("err"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_hookline"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&err).unwrap())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code().unwrap_or(-1);
        }
        if started.elapsed() > Duration::from_secs(10) {
            child.kill().unwrap();
            child.wait().unwrap();
            break -1;
        }
        #[expect(clippy::disallowed_methods, reason = "no runtime here to hold up")]
        std::thread::sleep(Duration::from_millis(5));
    };
    let text = |path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    (code, text(out), text(err))
}

/// Everything a role needs, with servers that are not there.
const GOOD: [(&str, &str); 6] = [
    ("NATS_URL", "nats://u:zq-secret@127.0.0.1:1"),
    ("DATABASE_URL", "postgres://u:zq-secret@127.0.0.1:1/db"),
    ("META_APP_SECRETS", "main=zq-secret"),
    ("META_VERIFY_TOKENS", "zq-secret"),
    ("API_TOKENS", "me=zq-secret"),
    ("ENCRYPTION_KEY", KEY),
];

fn good_but(name: &str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    let name = runtime::config::VARIABLES.iter().find(|v| v.name == name).unwrap().name;
    GOOD.into_iter().filter(|(other, _)| *other != name).chain([(name, value)]).collect()
}

fn refused_in_one_line(what: &str, ended: &(i32, String, String), names: &str) {
    let (code, out, err) = ended;
    assert_eq!(*code, 2, "{what}: {err}");
    assert!(out.is_empty() && err.lines().count() == 1, "{what}: more than one line: {out}{err}");
    assert!(err.contains(names), "{what}: does not name {names}: {err}");
    assert!(!err.contains(SECRET), "{what} shows a secret: {err}");
}

#[test]
fn every_variable_is_parsed_by_whatever_is_started() {
    let wrong = [
        ("NATS_URL", &["http://127.0.0.1:4222", "nats://u:zq-secret@", "nats://h:port"][..]),
        ("NATS_CREDS", &["/nowhere/zq-secret.creds"]),
        ("NATS_MONITOR_URL", &["localhost:8222", "http://a:8222,,", "nats://a:8222"]),
        ("NATS_REPLICAS", &["three", "0", "2", "-1"]),
        ("NATS_REQUIRE_SYNC", &["perhaps"]),
        ("DATABASE_URL", &["zq-secret", "mysql://u:zq-secret@h/db", "http://h/db"]),
        ("INGEST_LISTEN", &["8080", "nowhere:8080", "127.0.0.1:99999"]),
        ("API_LISTEN", &["8081"]),
        ("ADMIN_LISTEN", &["127.0.0.1"]),
        ("META_APP_SECRETS", &["main=zq-secret,", "a b=zq-secret", "="]),
        ("META_VERIFY_TOKENS", &["zq-secret,,"]),
        ("META_ACCEPT_SHA1", &["2"]),
        ("INGEST_MAX_BODY", &["large", "0", "1GiB", "-4MiB"]),
        ("GRAPH_FACEBOOK_URL", &["graph.facebook.com", "ftp://graph"]),
        ("GRAPH_INSTAGRAM_URL", &["graph"]),
        ("GRAPH_VERSION", &["26", "v26", "v26.0/me"]),
        ("GRAPH_TIMEOUT", &["soon", "8", "0"]),
        ("API_TOKENS", &["me=zq-secret:wriet", "me=zq-secret,me=zq-secret2", "a b=zq-secret"]),
        ("API_CONSOLE", &["perhaps"]),
        ("OUTBOUND_ALLOW", &["10.0.0.0/33", "zq-secret b", "http://zq-secret"]),
        ("META_APPS", &["shop", "shop:insta:1", "shop:instagram:zq-secret", "a:facebook:1,"]),
        ("INSTAGRAM_LOGIN_URL", &["www.instagram.com"]),
        ("INSTAGRAM_OAUTH_URL", &["ftp://api"]),
        ("FACEBOOK_LOGIN_URL", &["facebook"]),
        (
            "PUBLIC_URL",
            &["hookline.example", "http://hookline.example", "https://h.example/api", "ftp://h"],
        ),
        ("ENCRYPTION_KEY", &["zq-secret", "00", "new:00,old:11"]),
        ("RAW_MAX_AGE", &["a month", "30"]),
        ("EVENTS_MAX_AGE", &["never"]),
        ("COMMANDS_MAX_AGE", &["30"]),
        ("AUTO_REPLY_MAX_AGE", &["10 m"]),
        ("ERASE_UNSENT_AFTER", &["10 m"]),
        ("TWIN_GRACE", &["10"]),
        ("SEND_LEASE", &["20", "1ms"]),
        ("RECONCILE_AFTER", &["-30s"]),
        ("COMPLETENESS_EVERY", &["hourly", "10ms"]),
        ("GRAPH_CLOCK_MAX_SKEW", &["a minute"]),
        ("RETRY_MIN", &["1.5s"]),
        ("RETRY_MAX", &["1ms", "ten"]),
        ("RUST_LOG", &["info,=,="]),
        ("LOG_FORMAT", &["xml"]),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &["collector:4318", "grpc://h"]),
    ];
    for variable in runtime::config::VARIABLES {
        assert!(
            wrong.iter().any(|(name, _)| *name == variable.name),
            "{} has no wrong value in this test",
            variable.name
        );
    }
    let folder = Folder::new("parsed");
    for (name, values) in wrong {
        for value in values {
            for started in ["ingest", "worker", "projector", "api", "status", "up"] {
                let ended = hookline(&folder.0, &[started], &good_but(name, value));
                refused_in_one_line(&format!("{started} with {name}={value}"), &ended, name);
            }
        }
    }
    assert!(!folder.0.join(".hookline/nats").exists(), "`up` started servers before it looked");
}

#[test]
fn the_environment_wins_over_dotenv_and_dotenv_over_the_file() {
    let folder = Folder::new("precedence");
    let file = folder.write("hookline.toml", "TWIN_GRACE = \"from the file\"\nNATS_REPLICAS = 3\n");
    let run = |more: &[(&str, &str)]| {
        let variables: Vec<(&str, &str)> = GOOD.into_iter().chain(more.iter().copied()).collect();
        hookline(&folder.0, &["--config", &file, "ingest"], &variables)
    };
    // The error says where the value came from.
    refused_in_one_line("file", &run(&[]), "TWIN_GRACE");
    assert!(run(&[]).2.contains("hookline.toml"), "{}", run(&[]).2);
    folder.write(".env", "TWIN_GRACE='from dotenv'\nSOMETHING_ELSE=1\n");
    assert!(run(&[]).2.contains("TWIN_GRACE (.env)"), "{}", run(&[]).2);
    let err = run(&[("TWIN_GRACE", "from outside")]).2;
    assert!(err.contains("TWIN_GRACE (environment)"), "{err}");
    // What is overridden may be wrong: the next mistake is reported.
    let err = run(&[("TWIN_GRACE", "1s"), ("LOG_FORMAT", "xml")]).2;
    assert!(err.contains("LOG_FORMAT (environment)"), "{err}");
}

#[test]
fn a_file_that_cannot_be_used_is_reported_in_one_line() {
    let folder = Folder::new("file");
    for (text, names) in [
        ("GRAPH_TIMEOT = \"5s\"\n", "GRAPH_TIMEOT"),
        ("graph_timeout = \"5s\"\n", "GRAPH_TIMEOUT"),
        ("[nats]\nurl = \"zq-secret\"\n", "nats"),
        ("META_APP_SECRETS = [\"zq-secret\"]\n", "META_APP_SECRETS"),
        ("META_APP_SECRETS = \"zq-secret\nNATS_REPLICAS = 1\n", "hookline.toml"),
        ("META_APP_SECRETS = zq-secret\n", "hookline.toml"),
        ("API_TOKENS = \"zq-secret\"\nAPI_TOKENS = \"zq-secret\"\n", "hookline.toml"),
    ] {
        let file = folder.write("hookline.toml", text);
        for started in ["ingest", "up", "status"] {
            let ended = hookline(&folder.0, &["--config", &file, started], &GOOD);
            refused_in_one_line(&format!("{started} with {text}"), &ended, names);
        }
    }
    let ended = hookline(&folder.0, &["--config", "nowhere.toml", "ingest"], &GOOD);
    refused_in_one_line("no file", &ended, "nowhere.toml");
    folder.write(".env", "API_TOKENS='zq-secret\nNATS_REPLICAS=1\n");
    refused_in_one_line("half a .env", &hookline(&folder.0, &["ingest"], &GOOD), ".env");
}

#[test]
fn a_secret_may_stand_in_a_file_but_not_in_both() {
    let folder = Folder::new("secret-files");
    let file = folder.write("key", &format!("{KEY}\n"));
    let without: Vec<(&str, &str)> =
        GOOD.into_iter().filter(|(name, _)| *name != "ENCRYPTION_KEY").collect();
    let with = |path: &str, base: &[(&str, &str)]| {
        let twin = [("ENCRYPTION_KEY_FILE", path)];
        let variables: Vec<(&str, &str)> = base.iter().copied().chain(twin).collect();
        hookline(&folder.0, &["accounts", "list"], &variables)
    };
    // The key is found; Postgres is not.
    assert_eq!(with(&file, &without).0, 4);
    refused_in_one_line("both", &with(&file, &GOOD), "ENCRYPTION_KEY_FILE");
    refused_in_one_line("no file", &with("/nowhere/key", &without), "ENCRYPTION_KEY_FILE");
    folder.write("key", "zq-secret");
    refused_in_one_line("no key", &with(&file, &without), "ENCRYPTION_KEY");
    folder.write("key", " \n");
    refused_in_one_line("empty", &with(&file, &without), "ENCRYPTION_KEY_FILE");
}

#[test]
fn a_needed_variable_that_is_not_set_is_named() {
    let folder = Folder::new("needed");
    for (role, name) in [
        ("ingest", "META_APP_SECRETS"),
        ("ingest", "META_VERIFY_TOKENS"),
        ("worker", "ENCRYPTION_KEY"),
        ("api", "ENCRYPTION_KEY"),
        ("up", "META_APP_SECRETS"),
    ] {
        let variables: Vec<(&str, &str)> =
            GOOD.into_iter().filter(|(other, _)| *other != name).collect();
        refused_in_one_line(role, &hookline(&folder.0, &[role], &variables), name);
        if role != "up" {
            let words = ["config", "check", "--role", role];
            let (code, out, err) = hookline(&folder.0, &words, &variables);
            assert!(code == 1 && out.contains(&format!("lacks {name}")), "{role}: {out}{err}");
        }
    }
}

#[test]
fn nothing_known_is_exit_code_4_also_over_the_leavings_of_a_dead_up() {
    let folder = Folder::new("nothing");
    folder.write(".hookline/lock", "");
    folder.write(
        ".hookline/env",
        "NATS_URL='nats://127.0.0.1:1'\nDATABASE_URL='postgres://127.0.0.1:1/db'\n",
    );
    for verb in [
        &["ingest"][..],
        &["worker"],
        &["projector"],
        &["api"],
        &["status"],
        &["doctor"],
        &["accounts", "list"],
        &["replies", "list"],
        &["redrive", "list"],
    ] {
        let (code, out, err) = hookline(&folder.0, verb, &[]);
        assert_eq!(code, 4, "{verb:?}: {err}");
        assert!(out.is_empty() && err.lines().count() == 1, "{verb:?}: {out}{err}");
        assert!(err.contains("hookline up") && err.contains("_URL"), "{verb:?}: {err}");
    }
    // Half of it is not enough either.
    let (code, _, err) = hookline(&folder.0, &["status"], &[("NATS_URL", "nats://127.0.0.1:1")]);
    assert!(code == 4 && err.contains("DATABASE_URL"), "{code}: {err}");
}

#[test]
fn what_cannot_be_reached_is_exit_code_4_and_shows_no_secret() {
    let folder = Folder::new("unreachable");
    for verb in [&["status"][..], &["doctor"], &["accounts", "list"], &["replies", "list"]] {
        let (code, out, err) = hookline(&folder.0, verb, &GOOD);
        assert_eq!(code, 4, "{verb:?}: {out}{err}");
        assert!(!format!("{out}{err}").contains(SECRET), "{verb:?} shows a secret: {out}{err}");
    }
}

#[test]
fn help_lists_every_variable_and_shows_no_value() {
    let folder = Folder::new("help");
    for arguments in [&["--help"][..], &["up", "--help"], &["accounts", "add", "--help"], &["help"]]
    {
        let (code, out, err) = hookline(&folder.0, arguments, &GOOD);
        assert_eq!(code, 0, "{err}");
        assert!(!out.contains(SECRET) && !out.contains(KEY), "{out}");
    }
    let (_, out, _) = hookline(&folder.0, &["--help"], &GOOD);
    for variable in runtime::config::VARIABLES {
        assert!(out.contains(variable.name), "{} is missing in --help", variable.name);
    }
}

#[test]
fn config_list_shows_values_origins_and_no_secret() {
    let folder = Folder::new("list");
    let key = folder.write("key", KEY);
    folder.write(".env", "TWIN_GRACE=7s\n");
    let variables = [
        ("NATS_URL", "nats://u:zq-secret@127.0.0.1:1"),
        ("NATS_MONITOR_URL", "http://u:zq-secret@127.0.0.1:2"),
        ("ENCRYPTION_KEY_FILE", &key),
        // Wrong, and shown all the same: that is what one looks for.
        ("GRAPH_TIMEOUT", "soon"),
    ];
    let (code, out, err) = hookline(&folder.0, &["config", "list", "--output", "json"], &variables);
    assert_eq!(code, 0, "{err}");
    assert!(!out.contains(SECRET) && !out.contains(KEY), "{out}");
    let lines: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(lines.len(), runtime::config::VARIABLES.len());
    let shown = |name: &str| {
        let line = lines.iter().find(|line| line["name"] == name).unwrap();
        (line["value"].clone(), line["origin"].clone(), line["default"].clone())
    };
    assert_eq!(shown("NATS_URL"), ("set".into(), "environment".into(), serde_json::Value::Null));
    assert_eq!(shown("NATS_MONITOR_URL").0, "set");
    assert_eq!(
        shown("ENCRYPTION_KEY"),
        ("set".into(), key.as_str().into(), serde_json::Value::Null)
    );
    assert_eq!(shown("TWIN_GRACE"), ("7s".into(), ".env".into(), "10s".into()));
    assert_eq!(shown("GRAPH_TIMEOUT").0, "soon");
    assert_eq!(shown("RETRY_MIN"), ("1s".into(), "default".into(), "1s".into()));
    assert_eq!(shown("DATABASE_URL").1, serde_json::Value::Null);
}

#[test]
fn config_explain_says_who_needs_a_variable_and_refuses_an_unknown_name() {
    let folder = Folder::new("explain");
    let (code, out, _) = hookline(&folder.0, &["config", "explain", "encryption_key"], &[]);
    assert!(
        code == 0 && out.contains("worker, api") && out.contains("ENCRYPTION_KEY_FILE"),
        "{out}"
    );
    let ended = hookline(&folder.0, &["config", "explain", "NATS_URI"], &GOOD);
    refused_in_one_line("unknown", &ended, "NATS_URI");
}

#[test]
fn config_check_names_what_a_role_lacks() {
    let folder = Folder::new("check");
    let check = |words: &[&str], variables: &[(&str, &str)]| {
        let words: Vec<&str> =
            ["config", "check", "--output", "json"].iter().chain(words).copied().collect();
        hookline(&folder.0, &words, variables)
    };
    assert_eq!(check(&[], &GOOD).0, 0);
    let (code, out, _) = check(&[], &[("NATS_URL", "nats://127.0.0.1:1")]);
    assert_eq!(code, 1, "{out}");
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        found["ingest"]["lacks"],
        serde_json::json!(["META_APP_SECRETS", "META_VERIFY_TOKENS"])
    );
    assert_eq!(found["worker"]["lacks"], serde_json::json!(["DATABASE_URL", "ENCRYPTION_KEY"]));
    assert_eq!(found["projector"]["lacks"], serde_json::json!(["DATABASE_URL"]));
    let projector: Vec<_> =
        GOOD.into_iter().filter(|(name, _)| ["NATS_URL", "DATABASE_URL"].contains(name)).collect();
    assert_eq!(check(&["--role", "projector"], &projector).0, 0);
    refused_in_one_line("wrong", &check(&[], &good_but("GRAPH_TIMEOUT", "soon")), "GRAPH_TIMEOUT");
}
