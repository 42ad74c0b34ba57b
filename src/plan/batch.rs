//! Many scenarios simulated in parallel, in bounded memory, with results in the order of the input.

use crate::analysis::{self, Findings};
use crate::scenario::{SIMULATOR_BYTES_PER_KEY, SIMULATOR_MEMORY_LIMIT, Scenario, View};
use crate::sim::{self, Interrupted, Progress};
use crate::units::{Micros, SimTime};
use rayon::prelude::*;

/// A run seen from a replica takes so many times the memory of another: two servers, and what a synchronisation sends.
pub const VIEW_COPIES: u64 = 3;

/// How much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Threads at most.
    pub threads: usize,
    /// Memory for the runs in flight (B).
    pub memory: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { threads: rayon::current_num_threads(), memory: SIMULATOR_MEMORY_LIMIT }
    }
}

/// What lies ahead of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Runs of all scenarios together.
    pub runs: u32,
    /// Their simulated time together.
    pub duration: Micros,
    /// Threads for them: no more than there are runs, and no more than memory allows.
    pub threads: usize,
}

impl Batch {
    /// What these scenarios will take.
    #[must_use]
    pub fn of(scenarios: &[Scenario], limits: Limits) -> Batch {
        let runs = scenarios.iter().fold(0_u32, |sum, scenario| sum.saturating_add(scenario.runs));
        let duration =
            scenarios.iter().fold(0_u64, |sum, s| sum.saturating_add(s.duration.0.saturating_mul(u64::from(s.runs))));
        let largest = scenarios.iter().map(simulator_bytes).max().unwrap_or(0).max(1);
        let fitting = usize::try_from(limits.memory / largest).unwrap_or(usize::MAX);
        let threads = limits.threads.min(fitting).min(runs as usize).max(1);
        Batch { runs, duration: Micros(duration), threads }
    }
}

/// Memory that one run of a scenario takes in the simulator (B).
fn simulator_bytes(scenario: &Scenario) -> u64 {
    let keys: u64 = scenario.keyspaces.iter().map(|keyspace| u64::from(keyspace.keys)).sum();
    let copies = if scenario.view == View::Primary { 1 } else { VIEW_COPIES };
    copies * keys * SIMULATOR_BYTES_PER_KEY
}

/// Hears the runs of one scenario of a batch as runs of the batch.
struct Numbered<'a> {
    progress: &'a dyn Progress,
    /// Runs of the scenarios before this one.
    first: u32,
}

impl Progress for Numbered<'_> {
    fn advance(&self, run: u32, at: SimTime, ops: u64) {
        self.progress.advance(self.first + run, at, ops);
    }

    fn cancelled(&self) -> bool {
        self.progress.cancelled()
    }
}

/// Simulates every scenario on the threads of the pool that this is called in, and returns what `condense` makes of the
/// findings of each, in the order of the scenarios.  Runs of all scenarios are counted through for `progress`.
///
/// # Errors
/// [`Interrupted`] when `progress` says to stop.
pub fn simulate_all<T: Send>(
    scenarios: &[Scenario],
    path: &str,
    progress: &dyn Progress,
    condense: impl Fn(usize, Findings) -> T + Sync,
) -> Result<Vec<T>, Interrupted> {
    let firsts: Vec<u32> = scenarios
        .iter()
        .scan(0_u32, |next, scenario| {
            let first = *next;
            *next = next.saturating_add(scenario.runs);
            Some(first)
        })
        .collect();
    scenarios
        .par_iter()
        .zip(firsts)
        .enumerate()
        .with_max_len(1)
        .map(|(index, (scenario, first))| {
            let runs = sim::run_all(scenario, &Numbered { progress, first })?;
            Ok(condense(index, analysis::analyse(scenario.clone(), runs, path)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Override, Source};
    use crate::sim::Unwatched;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    const TEXT: &str = "duration = \"10s\"\n[[keyspace]]\nname = \"k\"\nkeys = 1000\ntype = \"string\"\nkey-length = 16\nvalue-size = 100\n\
                        [[traffic]]\nkeyspace = \"k\"\nrate = 1000\ncommands = { SET = 1.0 }\n";

    fn scenarios(keys: &[u32], runs: u32) -> Vec<Scenario> {
        let read: crate::plan::Reader = Arc::new(|_| Err(std::io::Error::other("nothing is included")));
        let source = Source { path: "s.toml".into(), text: TEXT.to_owned(), overrides: Vec::new(), read };
        let set = |key: &str, value: u32| -> Override { (key.to_owned(), value.to_string()) };
        keys.iter()
            .map(|keys| source.with([set("keyspace.k.keys", *keys), set("runs", runs)]).parse().expect("valid"))
            .collect()
    }

    /// Sums the time that every run reached.
    #[derive(Default)]
    struct Reached(Vec<AtomicU64>);

    impl Progress for Reached {
        fn advance(&self, run: u32, at: SimTime, _ops: u64) {
            self.0[run as usize].store(at.0, Ordering::Relaxed);
        }
        fn cancelled(&self) -> bool {
            false
        }
    }

    #[test]
    fn results_keep_the_order_of_the_input_on_any_number_of_threads() {
        let scenarios = scenarios(&[3000, 1000, 2000], 2);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| {
                simulate_all(&scenarios, "s.toml", &Unwatched, |index, findings| {
                    (index, findings.scenario.keyspaces[0].keys, findings.runs)
                })
            })
            .expect("not interrupted")
        };
        let one = run(1);
        assert_eq!(
            one.iter().map(|(index, keys, _)| (*index, *keys)).collect::<Vec<_>>(),
            [(0, 3000), (1, 1000), (2, 2000)]
        );
        assert_eq!(one, run(4));
    }

    #[test]
    fn every_run_of_a_batch_is_heard_under_a_number_of_its_own() {
        let scenarios = scenarios(&[1000, 2000], 2);
        let reached = Reached((0..4).map(|_| AtomicU64::new(0)).collect());
        simulate_all(&scenarios, "s.toml", &reached, |_, _| ()).expect("not interrupted");
        assert!(reached.0.iter().all(|at| at.load(Ordering::Relaxed) == 10_000_000));
    }

    #[test]
    fn no_more_runs_are_in_flight_than_memory_allows() {
        let scenarios = scenarios(&[1000, 4000], 3);
        let limits = |memory| Limits { threads: 8, memory };
        let fits = |copies: u64| Batch::of(&scenarios, limits(copies * 4000 * SIMULATOR_BYTES_PER_KEY)).threads;
        assert_eq!((fits(0), fits(1), fits(3), fits(100)), (1, 1, 3, 6));
        assert_eq!(Batch::of(&scenarios, limits(0)).duration, Micros::from_secs(60));
    }
}
