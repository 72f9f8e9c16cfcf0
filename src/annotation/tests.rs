//! The corpus, and what holds for every text.
