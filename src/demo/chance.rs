//! Randomness that is the same on every platform: one stream of ChaCha8 for each (seed, day, purpose), integers only.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream of randomness is for; streams never share a number.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    /// What people and schedulers send, and when.
    Plan = 1,
    /// How long it takes and how it ends.
    Course = 2,
    /// The literals and ids in the texts.
    Text = 3,
    /// The night's stuck statement.
    Stuck = 4,
}

/// A stream of random integers.
pub(super) struct Chance(ChaCha8Rng);

impl Chance {
    pub(super) fn new(seed: u64, day: i32, stream: Stream) -> Chance {
        let mut key = [0; 32];
        let parts = seed.to_le_bytes().into_iter().chain(day.to_le_bytes()).chain([stream as u8]);
        key.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        Chance(ChaCha8Rng::from_seed(key))
    }

    /// A number in [0, n); 0 for n = 0. Uniform for n far below 2³².
    pub(super) fn below(&mut self, n: u64) -> u64 {
        (u64::from(self.0.next_u32()) * (n & 0xffff_ffff)) >> 32
    }

    /// A number in [low, high), spans up to 2³².
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low).max(0).cast_unsigned()).cast_signed()
    }

    /// True in `permille` of 1000 cases.
    pub(super) fn permille(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// 64 random bits.
    pub(super) fn token(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// One of the words.
    pub(super) fn word(&mut self, words: &[&'static str]) -> &'static str {
        let at = self.below(words.len() as u64) as usize;
        words.get(at).copied().unwrap_or_default()
    }

    /// An index in [0, n) where the first are likelier than the last (the density falls like 1/√i).
    pub(super) fn popular(&mut self, n: u64) -> usize {
        let at = self.below(n) * self.below(1 << 16);
        (at >> 16) as usize
    }

    /// A duration around `typical` as durations are: mostly near it, with a long tail to the right.
    pub(super) fn spread(&mut self, typical: i64) -> i64 {
        let at = self.below(64_000);
        let low = SPREAD.get((at / 1000) as usize).copied().unwrap_or(1000);
        let high = SPREAD.get((at / 1000) as usize + 1).copied().unwrap_or(low);
        typical * (low * 1000 + (high - low) * (at % 1000).cast_signed()) / 1_000_000
    }

    /// `typical`, give or take `permille` of 1000.
    pub(super) fn wobble(&mut self, typical: i64, permille: i64) -> i64 {
        typical * (1000 + self.between(-permille, permille + 1)) / 1000
    }
}

/// The quantiles at 0/64 … 64/64 of a log-normal distribution with σ = 0.45, per mille of its median, tails cut.
/// A table, because `exp` and `ln` differ between platforms.
const SPREAD: [i64; 65] = [
    330, 380, 433, 471, 501, 528, 551, 573, 593, 612, 630, 648, 665, 682, 698, 714, 730, 746, 762, 777, 793, 809, 825,
    841, 857, 874, 891, 908, 926, 944, 962, 981, 1000, 1019, 1040, 1060, 1082, 1104, 1126, 1150, 1175, 1200, 1226,
    1254, 1283, 1313, 1345, 1379, 1415, 1454, 1495, 1540, 1588, 1640, 1698, 1763, 1837, 1921, 2020, 2140, 2292, 2490,
    2790, 3300, 5200,
];

/// Well mixed bits of `x`: for what is fixed about the company rather than drawn on a day (the finaliser of SplitMix64,
/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
pub(super) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The item that `bits` choose.
pub(super) fn one<T: Copy + Default>(items: &[T], bits: u64) -> T {
    let at = bits % (items.len() as u64).max(1);
    items.get(at as usize).copied().unwrap_or_default()
}
