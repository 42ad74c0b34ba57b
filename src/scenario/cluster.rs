//! Cluster mode: what is not modelled is refused, what is not measured is warned of.

use super::error::Check;
use super::reader::Table;
use super::{Action, Scenario};
use crate::node::config::{MaxmemoryPolicy, Setting};
use crate::profile::SlotIndex;

/// Refuses what is not modelled of cluster mode.
pub(super) fn refuse_unmodelled(check: &Check, root: &Table<'_>, scenario: &Scenario) {
    let (config, profile) = (&scenario.config, scenario.profile);
    if !config.cluster_enabled {
        return;
    }
    let problem = |message: String| check.problem(root.key_place("server").unwrap_or(root.place), "server", message);
    match profile.cluster.index {
        SlotIndex::RadixTree => problem(format!(
            "sets cluster-enabled, with which {} keeps every key once more in a radix tree, which is not modelled; \
             expected a profile of redis-7.0 or later, or of valkey",
            profile.name
        )),
        SlotIndex::TablePerSlot if evicts(scenario) => problem(format!(
            "sets cluster-enabled and lets keys be evicted, which {} samples slot by slot: that is not modelled; expected \
             maxmemory-policy noeviction",
            profile.name
        )),
        SlotIndex::TablePerSlot | SlotIndex::EntryLinks { .. } => {}
    }
}

/// Whether keys may be evicted at some time.
fn evicts(scenario: &Scenario) -> bool {
    let settings = || {
        let set = scenario.events.iter().filter_map(|event| match &event.action {
            Action::ConfigSet(settings) => Some(settings),
            _ => None,
        });
        set.flatten()
    };
    let limited = scenario.config.maxmemory.0 > 0
        || settings().any(|setting| matches!(setting, Setting::Maxmemory(bytes) if bytes.0 > 0));
    let evicting = scenario.config.maxmemory_policy != MaxmemoryPolicy::Noeviction
        || settings().any(
            |setting| matches!(setting, Setting::MaxmemoryPolicy(policy) if *policy != MaxmemoryPolicy::Noeviction),
        );
    limited && evicting
}
