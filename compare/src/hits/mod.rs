//! Hit ratios: what an eviction policy is worth.

mod optimal;
mod policies;
mod requests;

use std::collections::HashSet;
use std::error::Error;

use crate::args::Args;
use crate::measure::median;
use crate::report::{Report, Table, figure};

use self::policies::{OURS, POLICIES, Policy};
use self::requests::Trace;

/// Sizes, in percent of the distinct keys.
const SIZES: [usize; 3] = [1, 5, 20];

pub(crate) fn run(args: &Args, report: &mut Report) -> Result<(), Box<dyn Error>> {
    report.heading("hits: percent of requests that find their value");
    report.note(
        "Room for 1, 5 and 20 % of the distinct keys; what is absent is put in. OPT looks into the \
         future (Belady); `of OPT` is the mean of a policy's part of it.",
    );
    let mut traces = requests::synthetic(args.size(1_000_000, 50_000));
    match &args.traces {
        Some(dir) => traces.extend(requests::read_dir(dir, args.size(4_000_000, 100_000))?),
        None => report.note("No traces: give a directory of them with --traces."),
    }
    let mut names = vec!["trace".to_owned(), "size".to_owned(), "OPT".to_owned()];
    names.extend(POLICIES.iter().map(|policy| policy.name.to_owned()));
    let mut table = Table::new(&names);
    let mut scores = Scores::default();
    for trace in &traces {
        replay(trace, &mut table, &mut scores);
    }
    table.row(scores.summary());
    report.table(&table);
    scores.judge(report);
    Ok(())
}

/// One row for each size.
fn replay(trace: &Trace, table: &mut Table, scores: &mut Scores) {
    let distinct = trace.requests.iter().collect::<HashSet<_>>().len();
    for percent in SIZES {
        let room = (distinct * percent / 100).max(1);
        let best = part(optimal::hits(&trace.requests, room), trace);
        let ratios: Vec<f64> = POLICIES.iter().map(|policy| ratio(policy, trace, room)).collect();
        let cells = ratios.iter().map(|ratio| figure(*ratio));
        table.row(
            [trace.name.clone(), format!("{percent} %"), figure(best)].into_iter().chain(cells),
        );
        scores.note(best, ratios);
    }
}

fn ratio(policy: &Policy, trace: &Trace, room: usize) -> f64 {
    let mut request = (policy.with_room)(room);
    let hits = trace.requests.iter().filter(|key| request(u64::from(**key))).count();
    part(hits, trace)
}

fn part(hits: usize, trace: &Trace) -> f64 {
    hits as f64 * 100.0 / trace.requests.len() as f64
}

/// The parts of OPT, by policy, and how much ours is above quick_cache.
#[derive(Debug, Default)]
struct Scores {
    of_best: Vec<Vec<f64>>,
    best_peer_gap: Vec<f64>,
}

impl Scores {
    fn note(&mut self, best: f64, ratios: Vec<f64>) {
        let ours = position(OURS);
        let peers = ratios.iter().enumerate().filter(|(index, _)| *index != ours);
        let best_peer = peers.map(|(_, ratio)| *ratio).fold(0.0, f64::max);
        self.best_peer_gap.push(ratios[ours] - best_peer);
        self.of_best.push(ratios.iter().map(|ratio| ratio * 100.0 / best.max(1e-9)).collect());
    }

    fn mean(&self, name: &str) -> f64 {
        let index = position(name);
        let sum: f64 = self.of_best.iter().map(|ratios| ratios[index]).sum();
        sum / self.of_best.len() as f64
    }

    fn summary(&self) -> Vec<String> {
        let means = POLICIES.iter().map(|policy| figure(self.mean(policy.name)));
        ["of OPT".to_owned(), String::new(), "100".to_owned()].into_iter().chain(means).collect()
    }

    fn judge(&self, report: &mut Report) {
        let (ours, quick) = (self.mean(OURS), self.mean("quick_cache"));
        let aside = format!(
            "{} and {} %; the median gap to the best peer of each row is {} points",
            figure(ours),
            figure(quick),
            figure(median(&self.best_peer_gap)),
        );
        let name = "hits: Namespace memory less quick_cache, mean of OPT";
        report.at_least(name, ours - quick, -1.0, " points", &aside);
    }
}

fn position(name: &str) -> usize {
    POLICIES.iter().position(|policy| policy.name == name).unwrap_or(0)
}
