//! `get`, `set`, `del` and `invalidate`.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;

use beaker_container::REGIONS;
use beaker_namespace::{Clock, Entry, Mark, Namespace, Payload, SystemClock};

use crate::args::{DelArgs, InvalidateArgs, KeyArgs, SetArgs, StoreArgs};
use crate::commands::{open, parse_key};
use crate::exit::{ABSENT, DATA, Failure, IO, OK, Outcome};
use crate::marks;
use crate::output;
use crate::store::{DEFAULT_NAMESPACE, Store};

pub(super) fn get(args: &KeyArgs, store: &StoreArgs) -> Outcome {
    let key = parse_key(&args.key)?;
    let name = store.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
    let store = Store::from_args(store)?;
    if let Some(entry) = store.glance(name, &key)
        && entry.is_fresh(SystemClock.now())
    {
        return print(&entry);
    }
    let namespace = store.open(name)?;
    let now = namespace.clock().now();
    let Some(entry) = namespace.get(&key)?.filter(|entry| entry.is_fresh(now)) else {
        return Ok(ABSENT);
    };
    if marks::of(&*namespace, &entry)?.invalidates(entry.began()) {
        return Ok(ABSENT);
    }
    print(&entry)
}

fn print(entry: &Entry) -> Outcome {
    match entry.payload() {
        Payload::Bytes { bytes, .. } => output::print(bytes).map(|()| OK),
        Payload::Object(_) => Err(Failure::new(DATA, "the value is an object in another memory")),
    }
}

pub(super) fn set(args: &SetArgs, store: &StoreArgs) -> Outcome {
    let key = parse_key(&args.key)?;
    let value = match &args.value {
        Some(value) if value != OsStr::new("-") => OsString::into_vec(value.clone()),
        _ => read_stdin()?,
    };
    let namespace = open(store)?;
    let entry = Entry::new(Payload::raw(value), namespace.clock().now()).ttl(args.ttl.0);
    namespace.set(&key, entry.tags(args.tag.clone()))?;
    Ok(OK)
}

fn read_stdin() -> Result<Vec<u8>, Failure> {
    let mut value = Vec::new();
    io::stdin()
        .read_to_end(&mut value)
        .map_err(|error| Failure::new(IO, format!("cannot read standard input: {error}")))?;
    Ok(value)
}

pub(super) fn del(args: &DelArgs, store: &StoreArgs) -> Outcome {
    let keys = args.keys.iter().map(|key| parse_key(key)).collect::<Result<Vec<_>, _>>()?;
    let removed = open(store)?.remove_many(&keys)?;
    Ok(if removed == 0 { ABSENT } else { OK })
}

pub(super) fn invalidate(args: &InvalidateArgs, store: &StoreArgs) -> Outcome {
    let kind = if args.soft { Mark::soft } else { Mark::hard };
    let mark = |namespace: &dyn Namespace, names: &[String]| {
        let now = namespace.clock().now();
        names.iter().try_for_each(|name| namespace.mark(name, kind(now)).map(drop))
    };
    if !args.tag.is_empty() {
        mark(&*open(store)?, &args.tag)?;
    }
    if !args.region.is_empty() {
        mark(&*Store::from_args(store)?.open(REGIONS)?, &args.region)?;
    }
    Ok(OK)
}
