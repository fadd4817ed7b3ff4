//! PURE. When to try again.

use std::time::Duration;

use crate::event::Millis;

const INITIAL_DELAY: Duration = Duration::from_millis(500);
const MAX_DELAY: Duration = Duration::from_secs(30);
/// Servers that ask for a longer wait than this are not waited for: the person is told instead.
const MAX_SERVER_DELAY: Duration = Duration::from_mins(1);

/// The same where nobody sits and waits: a stream that is watched goes on by itself.
const MAX_WATCH_DELAY: Duration = Duration::from_hours(1);

/// Like [`retry_delay`] for a stream that is watched: however long the server asks for, it is waited for, an hour at
/// most.
pub fn watch_delay(attempt: u32, asked: Option<Millis>, noise: u64) -> Duration {
    let asked = asked.map(|asked| asked.min(MAX_WATCH_DELAY.into()));
    // Never none below the limit, and that is taken care of.
    retry_delay(attempt, asked.filter(|asked| Duration::from(*asked) <= MAX_SERVER_DELAY), noise)
        .unwrap_or(MAX_DELAY)
        .max(asked.unwrap_or_default().into())
}

/// Returns the pause before try `attempt + 1`, `attempt` being the number of tries that failed; none when the server
/// asked for more time than a person would sit out. Doubles each time; `noise` (any number) takes off up to a half, so
/// that many clients don't return at once, or adds up to a tenth where the server named the time.
pub fn retry_delay(attempt: u32, asked: Option<Millis>, noise: u64) -> Option<Duration> {
    let share = f64::from(u32::try_from(mix_bits(noise) >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    if let Some(asked) = asked {
        let asked = Duration::from(asked);
        return (asked <= MAX_SERVER_DELAY).then(|| asked.max(INITIAL_DELAY).mul_f64(1.0 + share / 10.0));
    }
    let doubled = INITIAL_DELAY.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(MAX_DELAY);
    Some(doubled.mul_f64(1.0 - share / 2.0))
}

/// Spreads a number over all bits (splitmix64's last step).
fn mix_bits(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        for noise in 0..100 {
            for (attempt, millis) in [(1, 500), (2, 1000), (3, 2000), (4, 4000), (7, 30_000), (u32::MAX, 30_000)] {
                let pause = retry_delay(attempt, None, noise).unwrap();
                assert!(
                    pause <= Duration::from_millis(millis) && pause >= Duration::from_millis(millis / 2),
                    "{pause:?}"
                );
            }
        }
    }

    #[test]
    fn noise_spreads_the_pauses() {
        assert_ne!(retry_delay(3, None, 1), retry_delay(3, None, 2));
        assert_eq!(retry_delay(3, None, 1), retry_delay(3, None, 1));
    }

    #[test]
    fn the_server_is_given_at_least_the_time_it_asks_for() {
        let asked = retry_delay(1, Some(Millis(7000)), 5).unwrap();
        assert!(asked >= Duration::from_secs(7) && asked < Duration::from_secs(8));
        assert!(retry_delay(1, Some(Millis(0)), 5).unwrap() >= INITIAL_DELAY);
        assert_eq!(retry_delay(1, Some(Millis(61_000)), 5), None);
    }

    #[test]
    fn a_watched_stream_waits_as_long_as_the_server_asks_up_to_an_hour() {
        let wait = |asked: u64| watch_delay(1, Some(Millis(asked)), 5);
        assert_eq!(wait(61_000), Duration::from_secs(61));
        assert_eq!(wait(600_000), Duration::from_mins(10));
        assert_eq!(wait(86_400_000), Duration::from_hours(1));
        assert!(wait(7000) >= Duration::from_secs(7) && wait(7000) < Duration::from_secs(8));
        assert!(watch_delay(1, None, 5) < Duration::from_secs(1));
    }
}
