//! What a warehouse costs: list prices, the dated bill, and how a query weighs in it.
//!
//! Every hour of a [`Bill`] is shared by the queries active in it. What counts as active and what a query weighs is said
//! once, by [`Work`], because settling and reading have to agree on it to the microsecond.

mod bill;
mod price;
mod usage;
mod work;

pub use bill::{Bill, Charge, Error, Period, Price};
pub use price::{
    ATHENA_TB, CONCURRENCY_SCALING, ListPrice, NODE_HOURS, RPU_HOUR, SCANNED_MINIMUM_BYTES, SPECTRUM_TB, Scaling,
    TERABYTE, node_hour,
};
pub use usage::charged;
pub use work::{LONGEST_US, MINUTE_US, Weight, Work};
