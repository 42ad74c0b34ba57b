//! Output buffers of a whole node.

use super::super::config::{Costs, ServerConfig, Setting};
use super::super::link::{MaxmemoryClients, OutputLimits, ReadRate, Stall};
use super::super::{ClientSetup, NodeSetup};
use super::*;
use crate::profile::{Allocator, Profile};
use crate::rng::{Stream, stream_rng};
use crate::units::Bytes;

const MB: u64 = Bytes::MIB;

fn never_reads() -> LinkSetup {
    LinkSetup { read_rate: ReadRate::PerSecond(0), socket_buffer: MB, stalls: Vec::new() }
}

fn node(outputs: &[OutputSetup], connections: u32, config: ServerConfig) -> Node {
    let clients: Vec<ClientSetup> = outputs.iter().map(|_| ClientSetup { connections, pipeline: 1 }).collect();
    Node::new(&NodeSetup {
        profile: Profile::find("redis-7.0").expect("a listed profile"),
        allocator: Allocator::System,
        config,
        costs: Costs::default(),
        ids: &[],
        clients: &clients,
        outputs,
        start_of_day: Micros::ZERO,
        duration: Micros::from_secs(1000),
        sample_interval: Micros::from_secs(1),
        replicas: &[],
        role: crate::node::Role::Primary,
        host: crate::node::host::HostSetup::default(),
        rng: stream_rng(1, Stream::Eviction),
    })
}

fn subscriber(link: LinkSetup, reconnect: Option<Micros>) -> OutputSetup {
    OutputSetup { class: ClientClass::Pubsub, link, reconnect }
}

/// Publishes `messages` a second for so many seconds, cron included; stops when somebody is disconnected.
fn publish_for(node: &mut Node, from: u64, seconds: u64, messages: u64, size: u64) -> Option<u64> {
    let period = 1_000_000 / messages;
    for number in 0..seconds * messages {
        let at = from * 1_000_000 + (number + 1) * period;
        node.set_time(at.cast_signed());
        node.publish(&[0], 2, size);
        if at.is_multiple_of(100_000) {
            node.cron();
        }
        if node.counters.client_output_buffer_limit_disconnections + node.counters.evicted_clients > 0 {
            return Some(number + 1);
        }
    }
    None
}

#[test]
fn a_message_costs_what_the_protocol_says() {
    for (name, size) in [(2, 1000), (1, 0), (10, 9), (100, 20_000)] {
        let digits = |n: u64| n.to_string().len() as u64;
        assert_eq!(message_pieces(name, size).iter().sum::<u64>(), 27 + digits(name) + digits(size) + name + size);
    }
}

#[test]
fn the_hard_limit_trips_at_its_block() {
    let mut node = node(&[subscriber(never_reads(), None)], 3, ServerConfig::default());
    let idle = node.used_memory();
    let messages = publish_for(&mut node, 0, 60, 1000, 1000).expect("disconnected");
    // 1637 blocks of 20 464 + 40 are at the limit of 32 MiB; before them the kernel and the static buffer filled.
    let expected = (MB + 1024 + 1636 * 20_464).div_ceil(1034);
    assert!(messages.abs_diff(expected) <= 1, "{messages} {expected}");
    assert_eq!(node.counters.client_output_buffer_limit_disconnections, 3);
    assert!(node.used_memory() < idle + 24_688, "everything is freed at once; PUBLISH keeps its histogram");
    let peak = node.peak().used_memory;
    assert!(peak > 3 * 32 * MB && peak < 3 * 33 * MB + 2 * MB, "{peak}");
    assert_eq!((node.socket_bytes(), node.clients.connections()), (0, 0));
    assert!(node.take_events().iter().any(|(_, kind)| matches!(
        kind,
        EventKind::ClientDisconnected { connections: 3, reason: DisconnectReason::HardLimit, .. }
    )));
}

#[test]
fn the_soft_limit_trips_in_cron_when_nobody_publishes() {
    let mut config = ServerConfig::default();
    let mut limits = OutputLimits::default();
    limits.set(ClientClass::Pubsub, OutputLimit::new(256 * MB, MB, 5));
    config.client_output_buffer_limit = limits;
    let mut node = node(&[subscriber(never_reads(), Some(Micros::from_secs(2)))], 1, config);
    assert_eq!(publish_for(&mut node, 0, 3, 1000, 1000), None);
    let mut closed = None;
    for tick in 31..=130_u64 {
        node.set_time((tick * 100_000).cast_signed());
        node.cron();
        if node.counters.client_output_buffer_limit_disconnections > 0 && closed.is_none() {
            closed = Some(tick);
            assert_eq!(node.clients.connections(), 0);
        }
    }
    // Passed in second 2; more than five whole seconds later.
    assert_eq!(closed, Some(80));
    assert_eq!(node.clients.connections(), 1, "back after two seconds");
}

#[test]
fn who_reads_keeps_nothing_waiting_and_a_stall_is_caught_up() {
    let stall = Stall { at: SimTime(1_000_000), lasts: Micros::from_secs(1) };
    let link = LinkSetup { read_rate: ReadRate::PerSecond(10 * MB), socket_buffer: 0, stalls: vec![stall] };
    let mut node = node(&[subscriber(link, None)], 1, ServerConfig::default());
    assert_eq!(publish_for(&mut node, 0, 1, 1000, 1000), None);
    assert!(node.outputs.largest(ClientClass::Pubsub) <= 20_504);
    assert_eq!(publish_for(&mut node, 1, 1, 1000, 1000), None);
    assert!(node.info().omem[1] > 900_000);
    assert!(node.info().mem_clients_normal > 900_000, "cron has seen it");
    assert_eq!(publish_for(&mut node, 2, 1, 1000, 1000), None);
    assert_eq!(node.info().omem[1], 0);
    assert_eq!(node.ledger.part(MemoryPart::ClientOutputBuffers), 0);
}

#[test]
fn maxmemory_clients_evicts_the_largest_until_it_is_enough() {
    let mut config = ServerConfig::default();
    config.apply(&Setting::MaxmemoryClients(MaxmemoryClients::Bytes(Bytes(20 * MB))));
    let mut node = node(&[subscriber(never_reads(), None)], 10, config);
    publish_for(&mut node, 0, 10, 1000, 1000).expect("evicted");
    assert_eq!((node.counters.evicted_clients, node.clients.connections()), (1, 9));
    assert!(node.clients.mem_clients_normal() + node.outputs.omem() < 20 * MB);
}

#[test]
fn replies_to_slow_connections_queue_for_each_of_them_and_evict_nobody_by_default() {
    let setup = OutputSetup { class: ClientClass::Normal, link: never_reads(), reconnect: None };
    let mut node = node(&[setup], 4, ServerConfig::default());
    assert!(node.is_slow(0));
    for _ in 0..40_000 {
        node.queue_reply(0, 1000);
    }
    let waiting = node.ledger.part(MemoryPart::ClientOutputBuffers);
    // 10 000 replies each, of which the kernel has 1 MiB.
    let expected = 4 * (10_000_000 - MB);
    assert!(waiting.abs_diff(expected) < 4 * 40_000, "{waiting} {expected}");
    assert_eq!(node.socket_bytes(), 4 * MB);
}
