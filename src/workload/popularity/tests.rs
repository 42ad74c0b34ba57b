//! Zipf's law by chi-square against exact probabilities, and the shares of the other laws.

use super::*;
use crate::workload::params::Value;
use rand::SeedableRng;
use rand_distr::Distribution as _;
use rand_xoshiro::Xoshiro256PlusPlus;

const DRAWS: usize = 2_000_000;

fn built(name: &str, given: &[(&'static str, Value)]) -> Popularity {
    let entry = POPULARITIES.iter().find(|entry| entry.name == name).expect("a listed popularity");
    let mut params = Params::default();
    given.iter().for_each(|(name, value)| params.push(name, value.clone()));
    (entry.build)(&params).expect("sensible parameters")
}

fn draws(popularity: &Popularity, n: u32, count: usize) -> Vec<u32> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
    let mut sampler = Sampler::new(popularity, n);
    let mut picks = vec![0; count];
    sampler.fill(&mut rng, &mut picks);
    picks
}

/// Σ i^-s for i in a..=b: term by term when short, else by Euler and Maclaurin.
fn power_sum(s: f64, a: u64, b: u64) -> f64 {
    const DIRECT: u64 = 2000;
    let term = |i: f64| (-s * i.ln()).exp();
    if b < a {
        return 0.0;
    }
    if b - a <= DIRECT {
        return (a..=b).map(|i| term(i as f64)).sum();
    }
    let head: f64 = (a..a + DIRECT).map(|i| term(i as f64)).sum();
    let (x, y) = ((a + DIRECT) as f64, b as f64);
    let integral = if (s - 1.0).abs() < 1e-9 { (y / x).ln() } else { (y.powf(1.0 - s) - x.powf(1.0 - s)) / (1.0 - s) };
    let derivative = |i: f64| -s * term(i) / i;
    head + integral + (term(x) + term(y)) / 2.0 + (derivative(y) - derivative(x)) / 12.0
}

/// Cells: the first ranks one by one, then by doubling; their last ranks, counted from 1.
fn cells(n: u64) -> Vec<u64> {
    let mut ends: Vec<u64> = (1..=64.min(n)).collect();
    let mut width = 16;
    while ends[ends.len() - 1] < n {
        let next = (ends[ends.len() - 1] + width).min(n);
        ends.push(next);
        width = (next / 3).max(16);
    }
    ends
}

#[test]
fn zipf_draws_have_the_exact_chances() {
    for (n, s) in [
        (1_u32, 0.99),
        (7, 0.0),
        (1000, 0.5),
        (1000, 2.0),
        (100_000, 0.99),
        (10_000_000, 0.6),
        (10_000_000, 1.0),
        (10_000_000, 1.000_000_001),
        (1_000_000_000, 0.99),
        (1_000_000_000, 0.6),
        (1_000_000_000, 1.2),
    ] {
        let popularity = Popularity::zipf(s).expect("an exponent");
        let ends = cells(u64::from(n));
        let mut seen = vec![0_u64; ends.len()];
        for rank in draws(&popularity, n, DRAWS) {
            assert!(rank < n);
            seen[ends.partition_point(|end| *end <= u64::from(rank))] += 1;
        }
        let total = power_sum(s, 1, u64::from(n));
        let starts = std::iter::once(1).chain(ends.iter().map(|end| end + 1));
        let chances = starts.zip(&ends).map(|(start, end)| power_sum(s, start, *end) / total);
        // Rare cells are put together, as the test needs some draws in each.
        let (mut statistic, mut freedom) = (0.0, -1.0);
        let (mut expected, mut found) = (0.0, 0.0);
        for (chance, seen) in chances.zip(&seen) {
            expected += chance * DRAWS as f64;
            found += *seen as f64;
            if expected >= 20.0 {
                statistic += (found - expected).powi(2) / expected;
                freedom += 1.0;
                (expected, found) = (0.0, 0.0);
            }
        }
        if freedom > 0.0 {
            // Wilson and Hilferty: normal to a good approximation; one seed in a hundred thousand is above 4.3.
            let z: f64 =
                ((statistic / freedom).cbrt() - (1.0 - 2.0 / (9.0 * freedom))) / (2.0_f64 / (9.0 * freedom)).sqrt();
            assert!(z < 4.3, "n {n} s {s}: chi-square {statistic} with {freedom} degrees of freedom");
        }
    }
}

#[test]
fn zipf_agrees_with_published_shares() {
    // n = 1e9: P(1), P(<=10), P(<=1000), P(<=1e8) of the exact law.
    let popularity = Popularity::zipf(0.99).expect("an exponent");
    let picks = draws(&popularity, 1_000_000_000, DRAWS);
    for (up_to, share) in [(1, 0.042_367), (10, 0.125_241), (1000, 0.327_451), (100_000_000, 0.881_354)] {
        let found = picks.iter().filter(|rank| **rank < up_to).count() as f64 / DRAWS as f64;
        assert!((found - share).abs() < 5.0 * (share / DRAWS as f64).sqrt(), "{up_to}: {found}");
    }
}

#[test]
fn zipf_agrees_with_another_sampler() {
    let (n, s) = (50_000_u32, 1.1);
    let law = rand_distr::Zipf::new(f64::from(n), s).expect("a law");
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(12);
    let mean_log = |picks: &mut dyn Iterator<Item = f64>| picks.map(f64::ln).sum::<f64>() / 400_000.0;
    let theirs = mean_log(&mut (0..400_000).map(|_| law.sample(&mut rng).min(f64::from(n))));
    let popularity = Popularity::zipf(s).expect("an exponent");
    let ours = mean_log(&mut draws(&popularity, n, 400_000).into_iter().map(|rank| f64::from(rank) + 1.0));
    assert!((ours - theirs).abs() < 0.03, "{ours} {theirs}");
}

#[test]
fn tables_stay_small() {
    let strips = crate::workload::zipf::zipf(0.99, 1_000_000_000);
    assert!(strips.table_bytes() < 1 << 20, "{}", strips.table_bytes());
}

#[test]
fn the_other_laws_keep_their_shares() {
    let share = |picks: &[u32], of: &dyn Fn(u32) -> bool| {
        picks.iter().filter(|pick| of(**pick)).count() as f64 / picks.len() as f64
    };
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 0.005, "{found} {expected}");
    let number = Value::Number;
    let hotspot = built("hotspot", &[("hot-keys", number(0.1)), ("hot-requests", number(0.7))]);
    close(share(&draws(&hotspot, 1000, 400_000), &|pick| pick < 100), 0.7);
    close(share(&draws(&Popularity::uniform(), 1000, 400_000), &|pick| pick < 250), 0.25);
    let once = built("zipf-plus-once", &[("exponent", number(0.5)), ("once", number(0.3))]);
    close(share(&draws(&once, 1000, 400_000), &|pick| pick == NEW_KEY), 0.3);
    let buckets =
        built("buckets", &[("counts", Value::Numbers(vec![10.0, 90.0])), ("weights", Value::Numbers(vec![3.0, 1.0]))]);
    close(share(&draws(&buckets, 1000, 400_000), &|pick| pick < 100), 0.75);
    assert!(draws(&built("new", &[]), 5, 100).iter().all(|pick| *pick == NEW_KEY));
    assert_eq!(draws(&built("sequential", &[]), 3, 7), [0, 1, 2, 0, 1, 2, 0]);
    assert_eq!(Sampler::new(&built("latest", &[("exponent", number(0.9))]), 10).addressing(), Addressing::Age);
}

#[test]
fn every_entry_is_documented_and_named_once() {
    for entry in POPULARITIES {
        assert_eq!(POPULARITIES.iter().filter(|e| e.name == entry.name).count(), 1);
        assert!(!entry.summary.is_empty() && entry.params.iter().all(|param| !param.help.is_empty()), "{}", entry.name);
    }
    assert!(Popularity::zipf(f64::NAN).is_err() && Popularity::zipf(-0.1).is_err());
}
