//! Replicas: how they come back, and what a failover leaves them.

use capsim::record::{EventKind, Run};
use capsim::{scenario, sim};
use std::path::Path;

/// 2 000 keys of 1000 bytes, overwritten at a rate, on 7.0.
fn run(seconds: u64, rate: u64, config: &str, rest: &str) -> Run {
    let text = format!(
        "duration = {seconds}\nsample-interval = \"100ms\"\n[server]\nprofile = \"redis-7.0\"\n[server.config]\n\
         save = \"\"\n{config}\n[[keyspace]]\nname = \"k\"\ntype = \"string\"\nkeys = 2000\nkey-length = 16\n\
         value-size = 1000\npreload = {{ share = 1.0 }}\n[[traffic]]\nkeyspace = \"k\"\nrate = {rate}\n\
         arrivals = \"deterministic\"\ncommands = {{ SET = 1 }}\n{rest}\n"
    );
    let input = scenario::Input { name: "s", text: &text, overrides: &[], base: Path::new(".") };
    let scenario = scenario::parse(&input, &|_| unreachable!("no include")).unwrap_or_else(|error| panic!("{error}"));
    sim::run_one(&scenario, 0, &[], &sim::Unwatched).expect("not interrupted")
}

/// Full syncs, partial ones, disconnections.
fn counts(run: &Run) -> (u64, u64, usize) {
    let dropped = run.events.iter().filter(|event| matches!(event.kind, EventKind::ReplicaDropped { .. })).count();
    (run.end.counters.sync_full, run.end.counters.sync_partial_ok, dropped)
}

#[test]
fn a_short_pause_is_made_good_from_the_backlog() {
    // Six seconds at 0.5 MB/s are 3.2 MB: below the hard limit, which is raised to the backlog's size, and held by it.
    let config = "client-output-buffer-limit = \"replica 1mb 0 0\"\nrepl-backlog-size = \"4mb\"\nrepl-timeout = 3";
    let run = run(30, 500, config, "[[replica]]\nname = \"r\"\nstalls = [{ at = 5, for = 5 }]");
    assert_eq!(counts(&run), (0, 1, 1));
}

#[test]
fn what_the_kernel_took_need_not_be_sent_again() {
    // 5.3 MB in ten seconds, 3 MB of them in the kernel: a backlog of 4 MB holds the rest.
    let config = "client-output-buffer-limit = \"replica 0 0 0\"\nrepl-backlog-size = \"4mb\"\nrepl-timeout = 3";
    let replica = "[[replica]]\nname = \"r\"\nsocket-buffer = \"3mb\"\nstalls = [{ at = 5, for = 9 }]";
    assert_eq!(counts(&run(30, 500, config, replica)), (0, 1, 1));
}

#[test]
fn a_silent_replica_times_out_and_needs_a_full_sync() {
    let config = "repl-timeout = 10\nclient-output-buffer-limit = \"replica 0 0 0\"";
    let run = run(60, 1000, config, "[[replica]]\nname = \"r\"\nstalls = [{ at = 5, for = 20 }]");
    assert_eq!(counts(&run), (1, 0, 1));
}

#[test]
fn after_a_failover_replicas_resume_only_what_the_new_primary_holds() {
    let two = "[[replica]]\nname = \"a\"\n[[replica]]\nname = \"b\"\n[[event]]\nat = 10\nkind = \"failover\"";
    let quiet = run(30, 100, "", two);
    assert_eq!(counts(&quiet), (0, 1, 1));
    assert_eq!(quiet.end.replication.connected_slaves, 1);
    // A second of writes is more than the backlog.
    assert_eq!(counts(&run(30, 5000, "", two)), (1, 0, 1));
    // The new primary is behind the other: that one's history is not known there.
    let behind = two.replace("name = \"a\"\n", "name = \"a\"\nlink = \"50kb/s\"\n");
    assert_eq!(counts(&run(30, 100, "", &behind)), (1, 0, 1));
}
