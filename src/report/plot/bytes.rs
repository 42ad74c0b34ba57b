//! Pictures of bytes over time: fragmentation, replication, copy-on-write.

use super::chart::{self, ALARM, COLORS};
use super::lines::{Line, Panel};
use crate::record::{HostPart, Run, Sample};
use plotters::style::RGBColor;

/// A line: its label, its colour, its bytes at a sample.
type Level = (&'static str, RGBColor, fn(&Sample) -> u64);

/// A picture: its name, what it shows, its lines, and whether there is something to show.
struct Picture {
    name: &'static str,
    subtitle: &'static str,
    levels: &'static [Level],
    shown: fn(&Run) -> bool,
}

/// Every picture, in the order in which they are written.
const PICTURES: &[Picture] = &[
    Picture {
        name: "fragmentation",
        subtitle: "resident pages, pages in use, bytes allocated",
        levels: &[
            ("used_memory_rss", ALARM, |s| s.allocator.rss),
            ("allocator_active", COLORS[4], |s| s.allocator.active),
            ("used_memory", COLORS[8], |s| s.used_memory),
        ],
        shown: |_| true,
    },
    Picture {
        name: "replication",
        subtitle: "what replicas have not been sent, and the backlog",
        levels: &[
            ("replication buffers", COLORS[8], |s| s.replication.mem_total_replication_buffers),
            ("mem_clients_slaves", ALARM, |s| s.replication.mem_clients_slaves),
            ("not counted for eviction", COLORS[6], |s| s.replication.mem_not_counted_for_evict),
        ],
        shown: |run| run.timeline.iter().any(|s| s.replication.mem_total_replication_buffers > 0),
    },
    Picture {
        name: "copy_on_write",
        subtitle: "pages that a fork's two processes no longer share",
        levels: &[
            ("copy-on-write", COLORS[4], |s| s.host.part(HostPart::CopyOnWrite)),
            ("rdb_last_cow_size", COLORS[8], |s| s.persistence.rdb_last_cow_size),
        ],
        shown: |run| run.end.counters.total_forks > 0,
    },
];

/// The pictures that have something to show.
pub(super) fn panels<'a>(title: &'a str, run: &Run) -> Vec<Panel<'a>> {
    let seconds = run.end.at.as_secs_f64();
    let panel = |picture: &Picture| {
        let highest = picture.levels.iter().flat_map(|(_, _, of)| run.timeline.iter().map(of)).max().unwrap_or(0);
        let unit = chart::byte_unit(highest as f64);
        let line = |&(label, color, of): &Level| Line {
            label,
            color,
            points: run.timeline.iter().map(|s| (s.at.as_secs_f64(), of(s) as f64 / unit.factor)).collect(),
        };
        let lines = picture.levels.iter().map(line).collect();
        let (name, subtitle, axis) = (picture.name, picture.subtitle, unit.name);
        Panel { name, title, subtitle, axis, seconds, lines, marks: Vec::new() }
    };
    PICTURES.iter().filter(|picture| (picture.shown)(run)).map(panel).collect()
}
