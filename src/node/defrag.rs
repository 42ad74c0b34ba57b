//! Active defragmentation: regions are moved out of sparse slabs, until those are empty.
//!
//! A scan over all keys begins when fragmentation is above its thresholds, and takes the share of the CPU that it is worth.
//! Only the bundled allocator can say which slab is sparse; while a child lives nothing is moved.
//! Source: redis 7.0.15 `src/defrag.c` (`activeDefragCycle`, `computeDefragCycles`); dynamics specification, section 5.6.

use super::Node;
use super::keys::{Region, Slot};
use super::rss::Heap;
use crate::profile::Allocator;

/// CPU to look at a key, and to move one of its regions (ns).  *assumed*: two places in memory read, a copy made.
const SCAN_KEY_NS: u64 = 500;
const MOVE_REGION_NS: u64 = 500;

/// What defragmentation keeps from run to run.
#[derive(Debug, Default)]
pub(super) struct Defrag {
    /// The next slot of the scan under way.
    cursor: Option<Slot>,
    /// Share of the CPU that the scan takes (%).
    cpu_percent: u64,
    /// Regions moved since the start.
    pub(super) hits: u64,
}

/// Share of the CPU for a fragmentation (%): from the least at the lower threshold to the most at the upper one.
fn cpu_percent(fragmentation: u64, [lower, upper]: [u64; 2], [least, most]: [u64; 2]) -> u64 {
    let (width, above) = (upper.saturating_sub(lower), fragmentation.saturating_sub(lower));
    let share = (above.min(width) * 100).checked_div(width).unwrap_or(100);
    least + most.saturating_sub(least) * share / 100
}

impl Node {
    /// Cron's share of defragmentation.
    pub(super) fn defrag_cron(&mut self) {
        if !self.config.activedefrag || self.allocator != Allocator::Bundled || self.child_active {
            return;
        }
        let info = self.allocator_info();
        let wasted = info.frag_bytes;
        let fragmentation = wasted * 100 / info.allocated.max(1);
        let worth = fragmentation >= self.config.active_defrag_threshold_lower
            && wasted >= self.config.active_defrag_ignore_bytes.0;
        if self.defrag.cursor.is_none() {
            if !worth {
                return;
            }
            (self.defrag.cursor, self.defrag.cpu_percent) = (Some(0), 0);
        }
        let thresholds = [self.config.active_defrag_threshold_lower, self.config.active_defrag_threshold_upper];
        let cycles = [self.config.active_defrag_cycle_min, self.config.active_defrag_cycle_max];
        // Within a scan the share is only raised.
        self.defrag.cpu_percent = self.defrag.cpu_percent.max(cpu_percent(fragmentation, thresholds, cycles));
        let budget_ns = self.cron_period().0 * 1000 * self.defrag.cpu_percent / 100;
        self.defrag_for(budget_ns);
    }

    /// Scans keys for so long.
    fn defrag_for(&mut self, budget_ns: u64) {
        let fillings = self.rss.fillings();
        let mut spent = 0;
        let Some(mut slot) = self.defrag.cursor else { return };
        while spent < budget_ns {
            let Some(entry) = self.keys.entries.get(slot as usize) else {
                self.defrag.cursor = None;
                return;
            };
            if entry.present() {
                spent += SCAN_KEY_NS;
                let [object, value] = self.regions.value_classes(entry.sizes);
                let timed = if entry.has_ttl() { self.regions.timed } else { 0 };
                let regions = [
                    (Region::Entry, self.regions.entry),
                    (Region::Key, self.regions.key(entry.sizes)),
                    (Region::Object, object),
                    (Region::Value, value),
                    (Region::Timed, timed),
                ];
                for (region, class) in regions {
                    if class > 0 && self.rss.defrag(slot, region, class, &fillings) {
                        spent += MOVE_REGION_NS;
                        self.defrag.hits += 1;
                    }
                }
            }
            slot += 1;
        }
        self.defrag.cursor = Some(slot);
    }
}

impl super::rss::Rss {
    fn fillings(&self) -> Vec<(u64, u64)> {
        match self.heap() {
            Heap::Exact { slabs, .. } => slabs.fillings(),
            Heap::MeanField(_) | Heap::HighWater(_) => Vec::new(),
        }
    }

    /// Moves a region when its slab is sparse; says whether it did.
    fn defrag(&mut self, slot: Slot, region: Region, class: u64, fillings: &[(u64, u64)]) -> bool {
        let Heap::Exact { slabs, places } = self.heap_mut() else { return false };
        let Some(place) = places.get_mut(slot as usize).map(|places| &mut places[region as usize]) else {
            return false;
        };
        match slabs.defrag(class, *place, fillings) {
            Some(to) => {
                *place = to;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_the_cpu_grows_with_fragmentation() {
        let share = |fragmentation| cpu_percent(fragmentation, [10, 100], [1, 25]);
        assert_eq!([5, 10, 55, 100, 900].map(share), [1, 1, 13, 25, 25]);
        assert_eq!(cpu_percent(70, [50, 5], [1, 25]), 25, "thresholds the wrong way round: all or nothing");
        assert_eq!(cpu_percent(70, [10, 100], [25, 1]), 25);
    }
}
