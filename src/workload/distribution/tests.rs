//! Every distribution against its own cumulative distribution function, by Kolmogorov and Smirnov.

use super::*;
use crate::workload::params::Value;

const DRAWS: usize = 200_000;

fn built(name: &str, given: &[(&'static str, Value)]) -> Result<Shape, ParamError> {
    let entry = DISTRIBUTIONS.iter().find(|entry| entry.name == name).expect("a listed distribution");
    let mut params = Params::default();
    given.iter().for_each(|(name, value)| params.push(name, value.clone()));
    (entry.build)(&params)
}

fn numbers(name: &str, given: &[(&'static str, f64)]) -> Shape {
    let given: Vec<_> = given.iter().map(|(name, value)| (*name, Value::Number(*value))).collect();
    built(name, &given).expect("sensible parameters")
}

/// Largest distance between the draws' distribution and `cdf`.
fn distance(shape: &Shape, cdf: impl Fn(f64) -> f64) -> f64 {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    let mut draws: Vec<f64> = (0..DRAWS).map(|_| shape.draw(&mut rng)).collect();
    draws.sort_by(f64::total_cmp);
    let n = DRAWS as f64;
    draws
        .iter()
        .enumerate()
        .map(|(i, x)| (cdf(*x) - i as f64 / n).abs().max((cdf(*x) - (i + 1) as f64 / n).abs()))
        .fold(0.0, f64::max)
}

fn normal_cdf(z: f64) -> f64 {
    use statrs::distribution::{ContinuousCDF, Normal};
    Normal::standard().cdf(z)
}

#[test]
fn draws_follow_their_laws() {
    // A thousandth of all seeds would show a larger distance than this.
    let critical = 1.95 / (DRAWS as f64).sqrt();
    let check = |shape: Shape, cdf: &dyn Fn(f64) -> f64| {
        let found = distance(&shape, cdf);
        assert!(found < critical, "{shape:?}: {found} >= {critical}");
    };
    check(numbers("fixed", &[("value", 100.0), ("jitter", 0.1)]), &|x| (x - 90.0) / 20.0);
    let truncated = normal_cdf(-1.0);
    check(numbers("normal", &[("mean", 50.0), ("sd", 10.0), ("min", 40.0)]), &|x| {
        (normal_cdf((x - 50.0) / 10.0) - truncated) / (1.0 - truncated)
    });
    let sigma = (4000.0_f64 / 300.0).ln() / 2.326_347_874;
    check(numbers("lognormal", &[("median", 300.0), ("p99", 4000.0)]), &|x| normal_cdf((x / 300.0).ln() / sigma));
    check(numbers("exponential", &[("mean", 80.0)]), &|x| 1.0 - (-x / 80.0).exp());
    check(numbers("pareto", &[("min", 10.0), ("alpha", 1.5)]), &|x| 1.0 - (10.0 / x).powf(1.5));
    check(numbers("gpd", &[("location", 15.0), ("scale", 214.476), ("shape", 0.25)]), &|x| {
        1.0 - (1.0 + 0.25 * (x - 15.0) / 214.476).powf(-4.0)
    });
    check(numbers("gpd", &[("location", 0.0), ("scale", 20.0), ("shape", 0.0)]), &|x| 1.0 - (-x / 20.0).exp());
    check(numbers("gev", &[("location", 30.7984), ("scale", 8.20449), ("shape", 0.078688)]), &|x| {
        (-(1.0 + 0.078_688 * (x - 30.7984) / 8.204_49).powf(-1.0 / 0.078_688)).exp()
    });
    check(numbers("weibull", &[("scale", 40.0), ("shape", 1.7)]), &|x| 1.0 - (-(x / 40.0).powf(1.7)).exp());
    let bins = [("edges", Value::Numbers(vec![0.0, 10.0, 100.0])), ("weights", Value::Numbers(vec![3.0, 1.0]))];
    check(built("histogram", &bins).expect("sensible"), &|x| {
        if x < 10.0 { 0.75 * x / 10.0 } else { 0.75 + 0.25 * (x - 10.0) / 90.0 }
    });
    let points = [("points", Value::Points(vec![(0.0, 10.0), (0.5, 200.0), (1.0, 4000.0)]))];
    check(built("quantiles", &points).expect("sensible"), &|x| {
        if x < 200.0 { 0.5 * (x / 10.0).ln() / 20.0_f64.ln() } else { 0.5 + 0.5 * (x / 200.0).ln() / 20.0_f64.ln() }
    });
}

#[test]
fn whole_number_laws_have_the_right_shares() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
    let uniform = Distribution::from_shape(numbers("uniform", &[("min", 3.0), ("max", 7.0)]));
    let choice =
        built("choice", &[("values", Value::Numbers(vec![5.0, 50.0])), ("weights", Value::Numbers(vec![1.0, 3.0]))]);
    let choice = Distribution::from_shape(choice.expect("sensible"));
    let mix = Distribution::mix(vec![(0.9, Distribution::fixed(1)), (0.1, uniform.clone())]).expect("weights");
    let share = |d: &Distribution, value: u64, rng: &mut Xoshiro256PlusPlus| {
        (0..DRAWS).filter(|_| d.sample(rng) == value).count() as f64 / DRAWS as f64
    };
    for value in 3..=7 {
        assert!((share(&uniform, value, &mut rng) - 0.2).abs() < 0.005);
    }
    assert!((share(&choice, 50, &mut rng) - 0.75).abs() < 0.005);
    assert!((share(&mix, 1, &mut rng) - 0.9).abs() < 0.005);
    assert_eq!((uniform.upper_bound(), mix.upper_bound(), mix.constant()), (Some(7), Some(7), None));
}

#[test]
fn draws_never_change() {
    // Results depend on these values; a change of them is a change of results.
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(42);
    let mut draw = |shape: Shape| {
        let law = Distribution::from_shape(shape);
        std::array::from_fn::<u64, 4, _>(|_| law.sample(&mut rng))
    };
    let seen = [
        draw(numbers("uniform", &[("min", 1.0), ("max", 1000.0)])),
        draw(numbers("lognormal", &[("median", 300.0), ("p99", 4000.0)])),
        draw(numbers("exponential", &[("mean", 500.0)])),
        draw(numbers("gpd", &[("location", 15.0), ("scale", 214.0), ("shape", 0.2)])),
    ];
    insta::assert_debug_snapshot!("stable_draws", seen);
}

#[test]
fn wrong_parameters_are_refused_and_named() {
    for (name, bad) in [
        ("fixed", "value"),
        ("uniform", "min"),
        ("normal", "sd"),
        ("lognormal", "median"),
        ("exponential", "mean"),
        ("pareto", "alpha"),
        ("gpd", "scale"),
        ("gev", "scale"),
        ("weibull", "shape"),
    ] {
        let entry = DISTRIBUTIONS.iter().find(|entry| entry.name == name).expect("listed");
        for value in [-1.0, f64::NAN] {
            let mut params = Params::default();
            for spec in entry.params.iter().filter(|spec| spec.required) {
                params.push(spec.name, Value::Number(if spec.name == bad { value } else { 5.0 }));
            }
            let error = (entry.build)(&params).expect_err(name);
            assert_eq!(error.param, Some(bad), "{name}");
        }
    }
    assert!(built("lognormal", &[("median", Value::Number(5.0))]).is_err(), "neither p99 nor sigma");
    assert!(
        built(
            "gpd",
            &[("location", Value::Number(0.0)), ("scale", Value::Number(1.0)), ("shape", Value::Number(0.348)),]
        )
        .is_err(),
        "a heavy tail without a maximum"
    );
    assert!(Distribution::mix(vec![]).is_err());
    assert!(Distribution::mix(vec![(f64::NAN, Distribution::fixed(1))]).is_err());
}

#[test]
fn every_entry_is_documented_and_named_once() {
    for entry in DISTRIBUTIONS {
        assert_eq!(DISTRIBUTIONS.iter().filter(|e| e.name == entry.name).count(), 1);
        assert!(!entry.summary.is_empty() && entry.params.iter().all(|param| !param.help.is_empty()), "{}", entry.name);
    }
}

#[test]
fn a_residual_ttl_is_that_of_a_key_found_in_the_steady_state() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    // Found keys of TTL 100 and 900, written equally often: nine of ten are of the long kind.
    let ttl = Ttl::new(vec![(0.5, Some(Distribution::fixed(100))), (0.5, Some(Distribution::fixed(900)))]).expect("ok");
    let left: Vec<u64> = (0..DRAWS).filter_map(|_| ttl.residual(&mut rng)).collect();
    let above = left.iter().filter(|left| **left > 100).count() as f64 / DRAWS as f64;
    // Long ones have more than 100 left with a chance of 8/9.
    assert!((above - 0.9 * 8.0 / 9.0).abs() < 0.01, "{above}");
    // Within one law long draws are found in proportion to their length.
    let choice = built("choice", &[("values", Value::Numbers(vec![100.0, 900.0]))]).expect("sensible");
    let ttl = Ttl::new(vec![(1.0, Some(Distribution::from_shape(choice)))]).expect("ok");
    let above = (0..DRAWS).filter_map(|_| ttl.residual(&mut rng)).filter(|left| *left > 100).count() as f64;
    assert!((above / DRAWS as f64 - 0.9 * 8.0 / 9.0).abs() < 0.03);
    assert!(Ttl::none().is_none() && Ttl::none().residual(&mut rng).is_none());
}
