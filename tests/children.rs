//! Children of a server: what ends them, what they leave, and what the kernel counts meanwhile.

use capsim::record::{ChildKind, EventKind, Run};
use capsim::{scenario, sim};
use std::path::Path;

/// 20 000 keys of 1000 bytes on 7.0, `rate` overwrites a second.
fn run(seconds: u64, rate: u64, config: &str, rest: &str) -> Run {
    let text = format!(
        "duration = {seconds}\nsample-interval = \"100ms\"\n[server]\nprofile = \"redis-7.0\"\n[server.config]\n{config}\n\
         [[keyspace]]\nname = \"k\"\ntype = \"string\"\nkeys = 20000\nkey-length = 16\nvalue-size = 1000\n\
         preload = {{ share = 1.0 }}\n[[traffic]]\nkeyspace = \"k\"\nrate = {rate}\narrivals = \"deterministic\"\n\
         commands = {{ SET = 1 }}\n{rest}\n"
    );
    let input = scenario::Input { name: "s", text: &text, overrides: &[], base: Path::new(".") };
    let scenario = scenario::parse(&input, &|_| unreachable!("no include")).unwrap_or_else(|error| panic!("{error}"));
    sim::run_one(&scenario, 0, &[], &sim::Unwatched).expect("not interrupted")
}

fn event(at: u64, kind: &str, keys: &str) -> String {
    format!("[[event]]\nat = {at}\nkind = \"{kind}\"\n{keys}\n")
}

/// Ends of children: what kind, at which second, whether their work was done.
fn ends(run: &Run) -> Vec<(ChildKind, u64, bool)> {
    let end = |event: &capsim::record::Event| match event.kind {
        EventKind::ChildEnded { kind, succeeded, .. } => Some((kind, event.at.0 / 1_000_000, succeeded)),
        _ => None,
    };
    run.events.iter().filter_map(end).collect()
}

#[test]
fn keys_deleted_during_a_snapshot_cost_what_they_cost_before() {
    let delete = event(6, "delete", "keyspace = \"k\"\norder = \"sequential\"");
    // The allocator's thread may sleep for ten seconds before it begins, and for ten more over the last few pages.
    let run = run(45, 1, "save = \"\"", &(event(5, "bgsave", "duration = \"37s\"") + &delete));
    let at = |second: u64| run.timeline.iter().find(|s| s.at.0 == second * 1_000_000).expect("a sample");
    let (before, after) = (at(4), at(38));
    assert!(2 * after.allocator.rss < before.allocator.rss);
    // What the child still holds, and what was copied besides.
    assert!(after.host.total() > before.host.total());
    assert!(after.host.total() < before.host.total() + (4 << 20));
}

#[test]
fn flushall_kills_a_snapshot_and_saves_by_itself() {
    let rest = event(5, "bgsave", "duration = \"20s\"") + &event(10, "flushall", "");
    let run = run(30, 10, "save = \"3600 1\"", &rest);
    assert_eq!(ends(&run), [(ChildKind::Bgsave, 10, false)]);
    assert_eq!(run.end.counters.misconf_errors, 0);
    assert!(run.end.persistence.rdb_changes_since_last_save <= 200);
}

#[test]
fn a_rewrite_asked_for_during_a_snapshot_comes_after_it() {
    let rest = event(5, "bgsave", "duration = \"10s\"") + &event(7, "aof-rewrite", "duration = \"2s\"");
    let run = run(30, 10, "save = \"\"\nappendonly = \"yes\"", &rest);
    assert_eq!(ends(&run).iter().map(|end| end.0).collect::<Vec<_>>(), [ChildKind::Bgsave, ChildKind::AofRewrite]);
}

#[test]
fn a_file_that_was_loaded_grows_from_its_size() {
    // 22 MB of data; 80 MB more than double 30.
    let config = "save = \"\"\nappendonly = \"yes\"\nauto-aof-rewrite-min-size = \"1mb\"";
    assert_eq!(ends(&run(15, 1000, config, "")).len(), 0);
    assert_eq!(ends(&run(40, 1000, config, "")).len(), 1);
}

#[test]
fn a_full_sync_by_way_of_the_disk_is_a_snapshot() {
    let replica = "[[replica]]\nname = \"r\"\n".to_owned() + &event(10, "replica-attach", "replica = \"r\"");
    let changes = |diskless: &str| {
        let config = format!("save = \"3600 1\"\nrepl-diskless-sync = \"{diskless}\"");
        run(30, 100, &config, &replica).end.persistence.rdb_changes_since_last_save
    };
    assert_eq!(changes("yes"), 3000);
    assert!(changes("no") < 2100);
}

#[test]
fn a_file_that_nobody_waits_for_is_given_up_unless_it_is_a_snapshot_too() {
    let rest = "[host]\nsnapshot-rate = \"1mb/s\"\n[[replica]]\nname = \"r\"\nstalls = [{ at = 5, for = 5 }]\n";
    let aborted = |save: &str| {
        let config =
            format!("save = \"{save}\"\nrepl-diskless-sync = \"no\"\nclient-output-buffer-limit = \"replica 3mb 0 0\"");
        ends(&run(30, 2000, &config, rest)).iter().filter(|end| !end.2).count()
    };
    assert!(aborted("") > 5);
    assert_eq!(aborted("3600 1000000"), 0);
}

#[test]
fn a_replica_silent_while_it_loads_times_out() {
    let attach = event(1, "replica-attach", "replica = \"r\"");
    let replica = "[host]\nsnapshot-rate = \"10mb/s\"\n[[replica]]\nname = \"r\"\nstalls = [{ at = 7, for = 40 }]\n"
        .to_owned()
        + &attach;
    let run = run(80, 10, "save = \"\"\nrepl-timeout = 20", &replica);
    assert_eq!(run.end.counters.sync_full, 2);
}

#[test]
fn a_sync_whose_fork_is_refused_is_asked_for_again_each_second() {
    let rest = "[host]\nmemory = \"100mb\"\novercommit-memory = 2\n[[replica]]\nname = \"r\"\n".to_owned()
        + &event(5, "replica-attach", "replica = \"r\"");
    let run = run(25, 10, "save = \"\"\nrepl-diskless-sync = \"no\"", &rest);
    assert!((15..=21).contains(&run.end.counters.fork_failures), "{}", run.end.counters.fork_failures);
}
