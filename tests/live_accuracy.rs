//! How well predictions hold on a server that is driven: `cargo test --test live_accuracy`, on a machine that does nothing
//! else.  No part of `cargo test`, whose other tests take the server's time.

mod driving;

use driving::{drive, server};
use std::thread;

/// A prediction may be wrong by so many tolerances.
const TOLERANCES: f64 = 1.5;

#[test]
fn predictions_hold_on_a_server_that_is_driven_with_the_same_stream() {
    let server = server().expect("a redis-server on the path, or the one that CAPSIM_SERVER names");
    let cases = [
        ("cache-eviction", &["miss ratio", "evicted_keys", "end.keys", "end.used_memory", "used_memory_peak"][..]),
        (
            "ttl-mix",
            &["keys, mean absolute error", "keys, mean of", "expired_keys", "expired_stale_perc", "used_memory, mean"],
        ),
        ("bgsave-writes", &["rdb_last_cow_size", "end.used_memory_rss", "end.used_memory"]),
    ];
    thread::scope(|scope| {
        for (name, expected) in cases {
            let server = &server;
            scope.spawn(move || {
                let folder = tempfile::tempdir().expect("a folder");
                let figures = drive(server, name, folder.path());
                for wanted in expected {
                    assert!(figures.iter().any(|figure| figure.name.starts_with(wanted)), "{name} has {wanted}");
                }
                for figure in figures {
                    assert!(
                        figure.by_tolerance() <= TOLERANCES,
                        "{name}: {} is {:.2} tolerances off: measured {}, predicted {}",
                        figure.name,
                        figure.by_tolerance(),
                        figure.measured,
                        figure.predicted
                    );
                }
            });
        }
    });
}
