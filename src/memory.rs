//! Memory that is freed: the program keeps it for a while, because the next question takes it again, and gives it back
//! where much of it was taken for one answer.

use std::sync::OnceLock;

/// Rows of an answer for which so much is taken that the next step has better not come on top of it.
pub const LARGE: usize = 100_000;

static GIVE_BACK: OnceLock<fn()> = OnceLock::new();

/// Sets how freed memory is given back to the system; without it, it stays with the allocator. The first caller counts.
pub fn returns_by(give_back: fn()) {
    let _ = GIVE_BACK.set(give_back);
}

/// Gives freed memory back to the system, which takes some milliseconds.
pub fn give_back() {
    if let Some(give_back) = GIVE_BACK.get() {
        give_back();
    }
}
