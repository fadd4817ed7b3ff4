//! PURE. How much of the model's window requests take: estimates, set right by what the server counts.

use crate::event::Usage;

/// From how much of the window on the person is warned, in percent.
const WARNING_PERCENT: u64 = 80;
/// Estimates below this say little about the next: most of such a request is the server's own form.
const MIN_MEASURED_TOKENS: u64 = 500;
/// By how much an estimate can be wrong; what a server counts beyond that is something else.
const RATIO_RANGE: (f64, f64) = (0.5, 3.0);

/// Measures the requests to one model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WindowGauge {
    /// Of the last request, everything included.
    estimate: u64,
    /// Counted tokens for an estimated one.
    ratio: Option<f64>,
    /// What the server counted of the last request, its answer included.
    used: u64,
    has_warned: bool,
}

impl WindowGauge {
    /// Returns how many estimated tokens of conversation fit into a request that needs `overhead` besides. Room for the
    /// answer is left; while nothing was counted, also room for the error of the estimate.
    pub fn budget(&self, window: Option<u64>, overhead: u64) -> u64 {
        let Some(window) = window else { return u64::MAX };
        let (whole, least) = match self.ratio {
            None => (window / 4 * 3, window / 4),
            Some(ratio) => (unscaled(window / 6 * 5, ratio), unscaled(window / 4, ratio)),
        };
        whole.saturating_sub(overhead).max(least)
    }

    /// Notes that a request of so many estimated tokens is sent.
    pub fn note_request(&mut self, estimate: u64) {
        self.estimate = estimate;
    }

    /// Notes what was counted of it.
    pub fn note_usage(&mut self, usage: Usage) {
        if usage.estimated || usage.input_tokens == 0 {
            return;
        }
        self.used = usage.total();
        if self.estimate >= MIN_MEASURED_TOKENS {
            let ratio = usage.input_tokens as f64 / self.estimate as f64;
            self.ratio = (RATIO_RANGE.0..=RATIO_RANGE.1).contains(&ratio).then_some(ratio);
        }
    }

    /// Returns how full the window is, in percent, once it is nearly full; again after it was less so.
    pub fn warning(&mut self, window: Option<u64>) -> Option<u64> {
        let percent = self.used.saturating_mul(100).checked_div(window?)?;
        if percent < WARNING_PERCENT {
            self.has_warned = false;
            return None;
        }
        (!std::mem::replace(&mut self.has_warned, true)).then_some(percent)
    }

    /// Earlier turns are no longer sent: what was counted holds no more, the ratio does.
    pub fn forget_used(&mut self) {
        (self.used, self.has_warned) = (0, false);
    }
}

fn unscaled(tokens: u64, ratio: f64) -> u64 {
    (tokens as f64 / ratio) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(input_tokens: u64) -> Usage {
        Usage { input_tokens, ..Usage::default() }
    }

    #[test]
    fn what_the_server_counts_sets_the_estimate_right() {
        let mut gauge = WindowGauge::default();
        assert_eq!(gauge.budget(None, 7), u64::MAX);
        assert_eq!(gauge.budget(Some(12_000), 1_000), 8_000);
        gauge.note_request(1_000);
        gauge.note_usage(counted(2_000));
        // Five sixths of the window are 10,000 tokens, which are estimated as half of that.
        assert_eq!(gauge.budget(Some(12_000), 1_000), 4_000);
        assert_eq!(gauge.budget(Some(12_000), 9_000), 1_500);
    }

    #[test]
    fn small_requests_guesses_and_counts_of_something_else_set_nothing() {
        let before = WindowGauge::default().budget(Some(12_000), 0);
        for (estimate, usage) in [
            (100, counted(200)),
            (1_000, counted(50_000)),
            (1_000, Usage { estimated: true, ..counted(2_000) }),
            (1_000, counted(0)),
        ] {
            let mut gauge = WindowGauge::default();
            gauge.note_request(estimate);
            gauge.note_usage(usage);
            assert_eq!(gauge.budget(Some(12_000), 0), before, "{estimate} {usage:?}");
        }
    }

    #[test]
    fn one_warning_is_given_from_four_fifths_on_until_it_is_less() {
        let mut gauge = WindowGauge::default();
        let mut warned = |tokens, window| {
            gauge.note_usage(counted(tokens));
            gauge.warning(window)
        };
        let window = Some(1_000);
        let told = [790, 800, 900, 500, 850].map(|tokens| warned(tokens, window));
        assert_eq!(told, [None, Some(80), None, None, Some(85)]);
        assert_eq!((warned(900, None), warned(900, Some(0))), (None, None));
    }
}
