//! One database, however it is reached.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use beaker_backends::sqlite::{SqliteConfig, SqliteNamespace};
use beaker_namespace::{Durability, ErrorKind, Namespace, StoreUrl};

use super::children::{Role, listen, say};
use super::{open, put, value};

#[test]
fn f42_a_path_through_links_and_dots_is_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let first = open(&path);
    std::fs::create_dir(dir.path().join("a")).unwrap();
    std::os::unix::fs::symlink(&path, dir.path().join("link.db")).unwrap();
    let ways = ["cache.db", "a/../cache.db", "./cache.db", "link.db"];
    let open = |index: usize| {
        let way = dir.path().join(ways[index % ways.len()]);
        SqliteNamespace::open("n", SqliteConfig::new(way)).unwrap()
    };
    thread::scope(|scope| {
        for index in 0..64 {
            scope.spawn(move || put(&open(index), &format!("key {index}"), "v"));
        }
    });
    // What is counted is counted by the one store that all share.
    assert_eq!(first.stats().sets, 64);
    assert_eq!(open(1).id(), first.id());
}

#[test]
fn other_settings_for_an_open_database_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let first = open(&path);
    let config = || SqliteConfig::new(&path);
    for (other, what) in [
        (config().durability(Durability::Durable), "durability"),
        (config().lock_timeout(Duration::from_secs(1)), "lock_timeout"),
        (config().max_value_bytes(1), "max_value_bytes"),
        (config().max_bytes(1 << 30), "max_bytes"),
        (config().kept_reads_bytes(0), "kept_reads_bytes"),
        (config().kept_reads_after(0), "kept_reads_after"),
    ] {
        let error = SqliteNamespace::open("other", other.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(what), "{error}");
    }
    drop(first);
    assert!(SqliteNamespace::open("n", config().max_value_bytes(1)).is_ok(), "nobody has it open");
}

#[test]
fn a_url_gives_every_option_and_refuses_unknown_ones() {
    let dir = tempfile::tempdir().unwrap();
    let stores = beaker_backends::stores();
    let url = |options: &str| -> StoreUrl {
        format!("sqlite://{}/cache.db?{options}", dir.path().display()).parse().unwrap()
    };
    let all =
        url("durable=true&lock_timeout_ms=500&max_value_bytes=10&max_bytes=1000000&network=allow\
         &kept_reads_bytes=0&kept_reads_after=64");
    let store = stores.open(&all, "n").unwrap();
    assert_eq!(store.id().store(), format!("sqlite:{}/cache.db", dir.path().display()));
    let refused = |url: StoreUrl| stores.open(&url, "n").unwrap_err();
    assert!(refused(url("durabel=true")).to_string().contains("no option `durabel`"));
    assert_eq!(refused(url("max_bytes=1000")).kind(), ErrorKind::Config);
    assert_eq!(refused(url("network=maybe")).kind(), ErrorKind::Config);
    let error = refused(StoreUrl::new("sqlite")).to_string();
    assert!(error.contains("sqlite:///"), "{error}");
}

#[test]
fn processes_share_values() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    put(&store, "from the parent", "1");
    let mut child = Role::start("share", &path);
    assert_eq!(child.hear().as_deref(), Some("1"));
    assert_eq!(value(&store, "from the child").as_deref(), Some(&b"2"[..]));
    store.clear().unwrap();
    child.tell("cleared");
    assert_eq!(child.hear().as_deref(), Some("gone"));
    assert!(child.finish().success());
}

pub(super) fn in_another_process(path: &Path) {
    let store = open(path);
    let found = value(&store, "from the parent").unwrap();
    put(&store, "from the child", "2");
    say(&String::from_utf8(found).unwrap());
    assert_eq!(listen(), "cleared");
    say(if value(&store, "from the child").is_none() { "gone" } else { "still there" });
}

#[test]
fn a_database_that_is_made_is_the_users_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("made/cache.db");
    put(&open(&path), "k", "v");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(&dir.path().join("made/cache.db.locks")), 0o700);
}
