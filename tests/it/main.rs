//! The tests that look at LakeAPM from outside, in one program because each would link the engine again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod answers;
mod aws;
mod cli;
mod collected;
mod compact;
mod cost;
mod double;
mod flight;
mod golden;
mod history;
mod hostile;
mod judge;
mod layers;
mod limits;
mod once;
mod plugin;
mod rate;
mod readme;
mod redshift;
mod rollups;
mod seam;
mod settings;
mod store;
mod wire;
mod world;
