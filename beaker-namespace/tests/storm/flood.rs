//! Row F66: more values than fit, in a memory namespace bounded by weight, and what the process then has.
//
// What a process has at most is only told of all of it, so who inserts is a child.

use std::fs;
use std::path::Path;

use beaker_namespace::{Entry, Key, MemoryConfig, MemoryNamespace, Namespace, Payload, Timestamp};

use super::children::{Role, say};
use super::{report, times_count};

const CAP: u64 = 64 << 20;

/// The most memory that the process may have had at once.
const MOST_KIB: u64 = (CAP + CAP / 2 + (32 << 20)) >> 10;

fn inserts() -> u64 {
    if times_count() { 1_000_000 } else { 10_000 }
}

/// Inserts values of 1 byte to 1 MiB, as many of each magnitude, and says what it had at most.
pub(super) fn flood(role: &str) {
    let cap = if role.ends_with("unbounded") { u64::MAX } else { CAP };
    let namespace = MemoryNamespace::anonymous(MemoryConfig::new().max_weight(cap)).unwrap();
    let mut random = 42_u64;
    for number in 0..inserts() {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let size = 1 + ((random >> 20) & ((1 << ((random >> 40) % 21)) - 1)) as usize;
        let value = Payload::raw(vec![number as u8 | 1; size]);
        let entry = Entry::new(value, Timestamp::default()).cost(size as u32);
        namespace.set(&Key::new(&number), entry).unwrap();
        if cap == u64::MAX && peak_kib() > MOST_KIB {
            break;
        }
    }
    let stats = namespace.stats();
    say(&format!("{} {}", peak_kib(), stats.weight.unwrap() >> 10));
}

/// The most memory that this process has had at once.
pub(super) fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it is there");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// What a child had at most, and what its namespace weighed in the end, in KiB.
fn flooded(role: &str) -> [u64; 2] {
    let mut child = Role::start(role, Path::new("/"));
    let told = child.hear().expect("it ends");
    let (peak, weight) = told.split_once(' ').unwrap();
    [peak, weight].map(|number| number.parse().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn f66_storm_the_process_stays_near_the_cap_whatever_comes() {
    let [peak, weight] = flooded("flood");
    // A cap that is not used is no cap.
    let holds = peak <= MOST_KIB && weight > (CAP >> 10) / 10 * 8;
    let measured = format!(
        "inserts={} cap={}KiB weight={weight}KiB peak={peak}KiB most={MOST_KIB}KiB",
        inserts(),
        CAP >> 10
    );
    report("F66 more than fits", "memory", &measured, holds);
    assert!(holds, "{measured}");
}

#[cfg(target_os = "linux")]
#[test]
fn f66_storm_control_without_a_cap_the_process_has_more() {
    let [peak, _] = flooded("flood unbounded");
    report("F66 control: no cap", "memory", &format!("peak={peak}KiB"), peak > MOST_KIB);
    assert!(peak > MOST_KIB, "{peak} KiB");
}
