//! What a warehouse that is paid by use was charged for each minute.

/// What each minute was charged for, of minutes in order: when it began, units times seconds it worked, and what was charged
/// in it.
///
/// A transaction is charged for when it ends, in one minute for all of its time; so a charge goes to the minutes since the one
/// before it by how much they worked. Together they are as much as was charged. Minutes that work and are not charged for
/// yet have no price yet.
pub fn charged(minutes: &[(i64, f64, f64)]) -> Vec<(i64, f64)> {
    let mut each: Vec<(i64, f64)> = minutes.iter().map(|(at, ..)| (*at, 0.0)).collect();
    let mut first = 0;
    for (nth, (_, _, charge)) in minutes.iter().enumerate().filter(|(_, (_, _, charge))| *charge > 0.0) {
        let since = || minutes.iter().enumerate().take(nth + 1).skip(first);
        let worked: f64 = since().map(|(_, (_, worked, _))| worked.max(0.0)).sum();
        for (place, (_, work, _)) in since() {
            let share = match worked > 0.0 {
                true => work.max(0.0) / worked,
                // Nothing says what it is for.
                false => f64::from(u8::from(place == nth)),
            };
            if let Some((_, sum)) = each.get_mut(place) {
                *sum += charge * share;
            }
        }
        first = nth + 1;
    }
    each
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_charge_is_for_the_minutes_since_the_one_before() {
        for (minutes, expected) in [
            (vec![], vec![]),
            (vec![(0, 480.0, 480.0)], vec![480.0]),
            // A transaction of three minutes, charged for at its end; then a minute at least for a second's work.
            (
                vec![(0, 100.0, 0.0), (1, 300.0, 0.0), (2, 80.0, 480.0), (3, 8.0, 480.0)],
                vec![100.0, 300.0, 80.0, 480.0],
            ),
            (vec![(0, 30.0, 0.0), (1, 10.0, 80.0)], vec![60.0, 20.0]),
            // Charged though nothing worked, and not yet charged for.
            (vec![(0, 0.0, 60.0), (1, 50.0, 0.0)], vec![60.0, 0.0]),
        ] {
            let found: Vec<f64> = charged(&minutes).into_iter().map(|(_, charge)| charge).collect();
            assert_eq!(found, expected, "{minutes:?}");
        }
    }

    proptest! {
        #[test]
        fn as_much_as_was_charged(minutes in proptest::collection::vec((0.0..1e4_f64, 0_u16..3), 0..200)) {
            let minutes: Vec<(i64, f64, f64)> = minutes
                .iter()
                .zip(0..)
                .map(|((worked, charge), at)| (at, *worked, f64::from(*charge) * 480.0))
                .collect();
            let paid: f64 = minutes.iter().map(|(_, _, charge)| charge).sum();
            let shared: f64 = charged(&minutes).iter().map(|(_, charge)| charge).sum();
            prop_assert!((paid - shared).abs() <= 1e-6 * paid.max(1.0), "{} of {}", shared, paid);
        }
    }
}
