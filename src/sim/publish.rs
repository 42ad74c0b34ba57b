//! Channels at run time: how many messages come in a slice, how large they are, in which order.

use super::engine::Instants;
use crate::node::Node;
use crate::rng::{Stream as RandomStream, Xoshiro256PlusPlus, stream_rng};
use crate::scenario::{Channel, Scenario};
use crate::units::{Micros, SimTime};
use crate::workload::{Arrivals, Counter};

/// Every channel of a scenario.
#[derive(Debug)]
pub(super) struct Channels {
    feeds: Vec<Feed>,
    rng: Xoshiro256PlusPlus,
}

/// A channel and the messages it still has in the present slice.
#[derive(Debug)]
struct Feed {
    channel: Channel,
    counter: Counter,
    left: u64,
    instants: Instants,
    /// When its next message comes.
    next: SimTime,
}

impl Channels {
    pub(super) fn new(scenario: &Scenario, seed: u64) -> Channels {
        let feed = |channel: &Channel| Feed {
            channel: channel.clone(),
            counter: Counter::new(Arrivals::Deterministic),
            left: 0,
            instants: Instants::new(SimTime::ZERO, SimTime::ZERO, 0),
            next: SimTime::ZERO,
        };
        Channels { feeds: scenario.channels.iter().map(feed).collect(), rng: stream_rng(seed, RandomStream::Channels) }
    }

    /// Publishes the messages of a slice in the order of their times; returns how many.
    pub(super) fn publish(&mut self, from: SimTime, to: SimTime, start_of_day: Micros, node: &mut Node) -> u64 {
        let mut total = 0;
        for feed in &mut self.feeds {
            feed.begin(from, to, start_of_day, &mut self.rng);
            total += feed.left;
        }
        for _ in 0..total {
            let coming = self.feeds.iter_mut().filter(|feed| feed.left > 0);
            let Some(feed) = coming.min_by_key(|feed| feed.next) else { break };
            node.set_time(feed.next.0.cast_signed());
            let channel = &feed.channel;
            node.publish(&channel.subscribers, channel.name.len() as u64, channel.message_size.sample(&mut self.rng));
            feed.left -= 1;
            feed.next = feed.instants.next();
        }
        total
    }
}

impl Feed {
    fn begin(&mut self, from: SimTime, to: SimTime, start_of_day: Micros, rng: &mut Xoshiro256PlusPlus) {
        let (from, to) = (from.max(self.channel.from), to.min(self.channel.until));
        self.left = 0;
        if from < to {
            self.left = self.counter.draw(self.channel.rate.expected(from, to, start_of_day), rng);
            self.instants = Instants::new(from, to, self.left);
            self.next = self.instants.next();
        }
    }
}
