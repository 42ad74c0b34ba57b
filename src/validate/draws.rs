//! The sizes and choices that the measuring script drew: inputs of a case, which its record does not repeat.
//!
//! The script draws with numpy's `default_rng(seed)`.  The same seed gives the same numbers here: numpy's
//! `SeedSequence`, PCG64 and its methods for normal, exponential and bounded numbers.  Source: numpy 2.4
//! `numpy/random/bit_generator.pyx`, `src/pcg64/pcg64.h`, `src/distributions/distributions.c`, `_generator.pyx`; the
//! tables of the two ziggurats are made as in Marsaglia and Tsang 2000.

use serde_json::Value;
use std::sync::LazyLock;

/// Where the normal ziggurat's tail begins, and the area of each of its layers.
const NORMAL_TAIL: f64 = 3.654_152_885_361_009;
const NORMAL_AREA: f64 = 0.004_928_673_233_974_655;
/// The same of the exponential one.
const EXPONENTIAL_TAIL: f64 = 7.697_117_470_131_05;
const EXPONENTIAL_AREA: f64 = 0.003_949_659_822_581_572;
const LAYERS: usize = 256;
/// Bits of a draw that place it in its layer.
const NORMAL_BITS: f64 = (1_u64 << 52) as f64;
const EXPONENTIAL_BITS: f64 = (1_u64 << 53) as f64;

/// Layers of a ziggurat, from the base (index 0) to the top.
struct Ziggurat {
    /// Draws below this lie under the curve for certain.
    inside: [u64; LAYERS],
    /// Width of a layer for each unit of a draw.
    width: [f64; LAYERS],
    /// Height of the curve at a layer's edge.
    height: [f64; LAYERS],
}

impl Ziggurat {
    /// `curve` falls from 1; `inverse` is its inverse; draws have `scale` values.
    fn new(tail: f64, area: f64, scale: f64, curve: fn(f64) -> f64, inverse: fn(f64) -> f64) -> Ziggurat {
        let base = area / curve(tail);
        let mut all = Ziggurat { inside: [0; LAYERS], width: [0.0; LAYERS], height: [0.0; LAYERS] };
        all.inside[0] = (tail / base * scale) as u64;
        all.width[0] = base / scale;
        all.height[0] = 1.0;
        all.width[LAYERS - 1] = tail / scale;
        all.height[LAYERS - 1] = curve(tail);
        let mut edge = tail;
        for layer in (1..LAYERS - 1).rev() {
            let next = inverse(area / edge + curve(edge));
            all.inside[layer + 1] = (next / edge * scale) as u64;
            all.width[layer] = next / scale;
            all.height[layer] = curve(next);
            edge = next;
        }
        all
    }
}

static NORMAL: LazyLock<Ziggurat> = LazyLock::new(|| {
    let curve = |x: f64| (-0.5 * x * x).exp();
    Ziggurat::new(NORMAL_TAIL, NORMAL_AREA, NORMAL_BITS, curve, |y| (-2.0 * y.ln()).sqrt())
});
static EXPONENTIAL: LazyLock<Ziggurat> =
    LazyLock::new(|| Ziggurat::new(EXPONENTIAL_TAIL, EXPONENTIAL_AREA, EXPONENTIAL_BITS, |x| (-x).exp(), |y| -y.ln()));

/// `numpy.random.default_rng(seed)`.
#[derive(Debug, Clone)]
pub(super) struct Draws {
    state: u128,
    increment: u128,
    /// The upper half of a draw of which only the lower one was used.
    half: Option<u32>,
}

impl Draws {
    /// The generator of a seed below 2^32.
    pub(super) fn new(seed: u32) -> Draws {
        let [a, b, c, d] = seed_words(seed);
        let wide = |high: u64, low: u64| (u128::from(high) << 64) | u128::from(low);
        let mut draws = Draws { state: 0, increment: (wide(c, d) << 1) | 1, half: None };
        draws.step();
        draws.state = draws.state.wrapping_add(wide(a, b));
        draws.step();
        draws
    }

    fn step(&mut self) {
        const MULTIPLIER: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
    }

    fn next_u64(&mut self) -> u64 {
        self.step();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    fn next_u32(&mut self) -> u32 {
        if let Some(half) = self.half.take() {
            return half;
        }
        let both = self.next_u64();
        self.half = Some((both >> 32) as u32);
        both as u32
    }

    /// `random()`: in [0, 1).
    fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / EXPONENTIAL_BITS
    }

    /// A number from 0 to `last`, both included, by Lemire's method; `integers` uses it.
    fn up_to(&mut self, last: u32) -> u32 {
        if last == 0 {
            return 0;
        }
        let Some(count) = last.checked_add(1) else { return self.next_u32() };
        let mut product = u64::from(self.next_u32()) * u64::from(count);
        if (product as u32) < count {
            let threshold = (u32::MAX - last) % count;
            while (product as u32) < threshold {
                product = u64::from(self.next_u32()) * u64::from(count);
            }
        }
        (product >> 32) as u32
    }

    /// `standard_normal()`.
    fn normal(&mut self) -> f64 {
        let layers = &*NORMAL;
        loop {
            let bits = self.next_u64();
            let layer = (bits & 0xff) as usize;
            let negative = (bits >> 8) & 1 == 1;
            let place = (bits >> 9) & 0x000f_ffff_ffff_ffff;
            let size = place as f64 * layers.width[layer];
            let x = if negative { -size } else { size };
            if place < layers.inside[layer] {
                return x;
            }
            if layer == 0 {
                loop {
                    let beyond = -(-self.unit()).ln_1p() / NORMAL_TAIL;
                    let height = -(-self.unit()).ln_1p();
                    if height + height > beyond * beyond {
                        let far = NORMAL_TAIL + beyond;
                        return if (place >> 8) & 1 == 1 { -far } else { far };
                    }
                }
            }
            let (above, here) = (layers.height[layer - 1], layers.height[layer]);
            if (above - here) * self.unit() + here < (-0.5 * x * x).exp() {
                return x;
            }
        }
    }

    /// `standard_exponential()`.
    fn exponential(&mut self) -> f64 {
        let layers = &*EXPONENTIAL;
        loop {
            let bits = self.next_u64() >> 3;
            let layer = (bits & 0xff) as usize;
            let place = bits >> 8;
            let x = place as f64 * layers.width[layer];
            if place < layers.inside[layer] {
                return x;
            }
            if layer == 0 {
                return EXPONENTIAL_TAIL - (-self.unit()).ln_1p();
            }
            let (above, here) = (layers.height[layer - 1], layers.height[layer]);
            if (above - here) * self.unit() + here < (-x).exp() {
                return x;
            }
        }
    }

    /// `random_interval(last)`: as [`Draws::up_to`], by rejection; shuffles use it.
    fn interval(&mut self, last: u32) -> u32 {
        let mask = u32::MAX.checked_shr(last.leading_zeros()).unwrap_or(0);
        loop {
            let value = self.next_u32() & mask;
            if value <= last {
                return value;
            }
        }
    }

    /// `permutation(count)`.
    pub(super) fn permutation(&mut self, count: u32) -> Vec<u32> {
        let mut all: Vec<u32> = (0..count).collect();
        for last in (1..count).rev() {
            let other = self.interval(last);
            all.swap(last as usize, other as usize);
        }
        all
    }

    /// The script's `sizes`: so many whole numbers, of a distribution as a case states it; `None` where it is none that
    /// the script knows.
    pub(super) fn sizes(&mut self, spec: &Value, count: u32) -> Option<Vec<u64>> {
        if let Some(size) = spec.as_f64() {
            return Some(vec![size as u64; count as usize]);
        }
        let number = |name: &str| spec.get(name).and_then(Value::as_f64);
        let mut draw = self.sampler(spec)?;
        let (least, most) = (number("min").unwrap_or(1.0), number("max").unwrap_or((1_u64 << 40) as f64));
        Some((0..count).map(|_| draw().round_ties_even().max(least).min(most) as u64).collect())
    }

    /// Draws one number of a distribution, before it is rounded.
    fn sampler<'a>(&'a mut self, spec: &Value) -> Option<Box<dyn FnMut() -> f64 + 'a>> {
        let number = |name: &str| spec.get(name).and_then(Value::as_f64);
        Some(match spec.get("dist")?.as_str()? {
            "fixed" => {
                let value = number("value")?;
                Box::new(move || value)
            }
            "uniform" => {
                let (least, most) = (number("min")?, number("max")?);
                // Wider ranges are drawn from 64 bits.
                let last =
                    (most - least >= 0.0 && most - least < f64::from(u32::MAX)).then_some((most - least) as u32)?;
                Box::new(move || least + f64::from(self.up_to(last)))
            }
            "lognormal" => {
                let (median, sigma) = (number("median")?, number("sigma")?);
                Box::new(move || median * (sigma * self.normal()).exp())
            }
            "exponential" => {
                let mean = number("mean")?;
                Box::new(move || mean * self.exponential())
            }
            "choice" => {
                let numbers =
                    |name: &str| spec.get(name)?.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>();
                let (values, weights) = (numbers("values")?, numbers("weights")?);
                let last = *values.last().filter(|_| values.len() == weights.len())?;
                let total: f64 = weights.iter().sum();
                let mut sum = 0.0;
                let up_to: Vec<f64> = weights
                    .iter()
                    .map(|weight| {
                        sum += weight / total;
                        sum
                    })
                    .collect();
                Box::new(move || {
                    let at = self.unit() * sum;
                    up_to.iter().position(|&edge| at < edge).map_or(last, |index| values[index])
                })
            }
            _ => return None,
        })
    }
}

/// Four words of `SeedSequence(seed).generate_state(4, uint64)`.
fn seed_words(seed: u32) -> [u64; 4] {
    let mut constant: u32 = 0x43b0_d7e5;
    let mut hash = |value: u32| {
        let mixed = value ^ constant;
        constant = constant.wrapping_mul(0x931e_8875);
        let mixed = mixed.wrapping_mul(constant);
        mixed ^ (mixed >> 16)
    };
    let mut pool = [seed, 0, 0, 0].map(&mut hash);
    for from in 0..pool.len() {
        for to in 0..pool.len() {
            if from != to {
                let right = hash(pool[from]);
                let mixed = pool[to].wrapping_mul(0xca01_f9dd).wrapping_sub(right.wrapping_mul(0x4973_f715));
                pool[to] = mixed ^ (mixed >> 16);
            }
        }
    }
    let mut constant: u32 = 0x8b51_f9dd;
    let mut word = |index: usize| {
        let mixed = pool[index % pool.len()] ^ constant;
        constant = constant.wrapping_mul(0x58f3_8ded);
        let mixed = mixed.wrapping_mul(constant);
        u64::from(mixed ^ (mixed >> 16))
    };
    std::array::from_fn(|index| {
        let low = word(2 * index);
        low | (word(2 * index + 1) << 32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_generator_is_numpys() {
        let words = [
            7_434_755_675_892_716_031,
            10_007_452_063_617_845_036,
            5_266_248_848_659_119_178,
            15_045_448_681_910_192_573,
        ];
        assert_eq!(seed_words(1), words, "SeedSequence(1).generate_state(4, uint64)");
        let mut draws = Draws::new(1);
        let raw = [9_441_442_522_235_856_127, 17_532_960_557_476_522_086, 2_659_275_481_604_167_885];
        assert_eq!([draws.next_u64(), draws.next_u64(), draws.next_u64()], raw, "random_raw(3)");
    }

    /// Each from numpy 2.4.6: 300 000 sizes, a permutation of 1000, 1000 sizes, with seed 5.
    #[test]
    fn sizes_and_permutations_are_the_scripts() {
        let cases = [
            (
                json!({"dist": "lognormal", "median": 200, "sigma": 1.0, "max": 50000}),
                98_922_912,
                14_804_643_957_005,
                248_480_359,
                332_782,
            ),
            (json!({"dist": "exponential", "mean": 300}), 89_931_378, 13_507_801_609_815, 248_408_252, 318_514),
            (json!({"dist": "uniform", "min": 10, "max": 777}), 118_096_565, 17_717_439_025_836, 248_846_066, 397_300),
            (
                json!({"dist": "choice", "values": [50, 500, 5000], "weights": [6, 3, 1]}),
                204_952_650,
                30_721_873_686_150,
                251_264_402,
                660_650,
            ),
        ];
        for (spec, sum, by_place, permuted, after) in cases {
            let mut draws = Draws::new(5);
            let sizes = draws.sizes(&spec, 300_000).expect("a distribution");
            assert_eq!(sizes.iter().sum::<u64>(), sum, "{spec}");
            let places: u64 = sizes.iter().zip(1..).map(|(size, place)| size * place).sum();
            assert_eq!(places, by_place, "{spec}");
            let places: u64 =
                draws.permutation(1000).iter().zip(0..).map(|(&other, place)| u64::from(other) * place).sum();
            assert_eq!(places, permuted, "{spec}");
            assert_eq!(draws.sizes(&spec, 1000).expect("a distribution").iter().sum::<u64>(), after, "{spec}");
        }
    }

    #[test]
    fn what_the_script_does_not_know_is_not_drawn() {
        assert_eq!(Draws::new(1).sizes(&json!({"dist": "pareto", "shape": 2}), 3), None);
        assert_eq!(Draws::new(1).sizes(&json!(77), 3), Some(vec![77; 3]));
    }
}
