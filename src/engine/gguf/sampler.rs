//! PURE. Picks the next token.

/// How a token is picked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampling {
    /// Zero picks the likeliest.
    pub(super) temperature: f32,
    /// The smallest set of likely tokens with this probability.
    pub(super) top_p: f32,
    /// The number of likely tokens; zero means all.
    pub(super) top_k: usize,
    /// The least probability, as part of the highest.
    pub(super) min_p: f32,
}

impl Default for Sampling {
    /// llama.cpp's.
    fn default() -> Self {
        Self { temperature: 0.8, top_p: 0.95, top_k: 40, min_p: 0.05 }
    }
}

pub(super) struct Sampler {
    sampling: Sampling,
    state: u64,
}

impl Sampler {
    pub(super) fn new(sampling: Sampling, seed: u64) -> Self {
        Self { sampling, state: seed }
    }

    /// Picks one of the scores; the same seed picks the same.
    pub(super) fn pick(&mut self, scores: &[f32]) -> u32 {
        let mut likely: Vec<(u32, f32)> = (0..).zip(scores.iter().copied()).filter(|(_, s)| s.is_finite()).collect();
        let by_score = |one: &(u32, f32), other: &(u32, f32)| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0));
        let Some(best) = likely.iter().copied().min_by(by_score) else { return 0 };
        let Sampling { temperature, top_p, top_k, min_p } = self.sampling;
        if temperature <= 0.0 {
            return best.0;
        }
        if top_k > 0 && top_k < likely.len() {
            likely.select_nth_unstable_by(top_k - 1, by_score);
            likely.truncate(top_k);
        }
        likely.sort_unstable_by(by_score);
        for (_, score) in &mut likely {
            *score = (*score - best.1).exp();
        }
        let total: f32 = likely.iter().map(|(_, weight)| weight).sum();
        let mut sum = 0.0;
        let within = likely.iter().position(|(_, weight)| {
            sum += weight / total;
            sum >= top_p
        });
        likely.truncate(within.map_or(likely.len(), |last| last + 1));
        likely.retain(|(_, weight)| *weight >= min_p);
        for (_, weight) in &mut likely {
            *weight = weight.powf(1.0 / temperature);
        }
        let total: f32 = likely.iter().map(|(_, weight)| weight).sum();
        let mut left = self.unit() * total;
        for (token, weight) in &likely {
            left -= weight;
            if left <= 0.0 {
                return *token;
            }
        }
        best.0
    }

    /// Returns a number from 0 to 1, by splitmix64.
    fn unit(&mut self) -> f32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 40) as f32 / (1_u64 << 24) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORES: [f32; 5] = [1.0, 4.0, 3.9, f32::NAN, -2.0];

    fn picks(sampling: Sampling, seed: u64) -> Vec<u32> {
        let mut sampler = Sampler::new(sampling, seed);
        (0..200).map(|_| sampler.pick(&SCORES)).collect()
    }

    #[test]
    fn without_a_temperature_the_likeliest_is_picked() {
        let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
        assert!(picks(greedy, 7).iter().all(|token| *token == 1));
        assert_eq!(Sampler::new(greedy, 7).pick(&[]), 0);
        assert_eq!(Sampler::new(greedy, 7).pick(&[f32::NAN]), 0);
    }

    #[test]
    fn the_same_seed_picks_the_same_and_another_does_not() {
        let sampling = Sampling::default();
        assert_eq!(picks(sampling, 7), picks(sampling, 7));
        assert_ne!(picks(sampling, 7), picks(sampling, 8));
    }

    #[test]
    fn only_likely_tokens_are_picked() {
        let all = Sampling { temperature: 2.0, top_p: 1.0, top_k: 0, min_p: 0.0 };
        let seen = |sampling| {
            let mut seen = picks(sampling, 3);
            seen.sort_unstable();
            seen.dedup();
            seen
        };
        assert_eq!(seen(all), [0, 1, 2, 4]);
        assert_eq!(seen(Sampling { top_k: 2, ..all }), [1, 2]);
        assert_eq!(seen(Sampling { top_p: 0.4, ..all }), [1]);
        assert_eq!(seen(Sampling { min_p: 0.5, ..all }), [1, 2]);
    }
}
