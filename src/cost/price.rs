//! List prices, each with its date and source. They are defaults: a region's, a reserved or a negotiated price goes into
//! the bill, as a figure of its own or as a discount.

/// One list price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListPrice {
    /// What is paid for: a node type, `RPU`, `Spectrum`, `Athena`.
    pub name: &'static str,
    /// USD for one of its unit.
    pub usd: f64,
    /// The unit: `node-hour`, `RPU-hour`, `TB`.
    pub unit: &'static str,
    /// The month it was read, `YYYY-MM`.
    pub read: &'static str,
    /// Where it stands.
    pub source: &'static str,
}

const REDSHIFT: &str = "https://aws.amazon.com/redshift/pricing/ (on demand, us-east-1)";

const fn node(name: &'static str, usd: f64) -> ListPrice {
    ListPrice { name, usd, unit: "node-hour", read: "2026-03", source: REDSHIFT }
}

/// Redshift provisioned: an hour of one node, on demand.
pub static NODE_HOURS: &[ListPrice] = &[
    node("dc2.large", 0.25),
    node("dc2.8xlarge", 4.80),
    node("ra3.large", 0.543),
    node("ra3.xlplus", 1.086),
    node("ra3.4xlarge", 3.26),
    node("ra3.16xlarge", 13.04),
    node("rg.xlarge", 0.7602),
];

/// Redshift Serverless: an hour of one RPU.
pub static RPU_HOUR: ListPrice = ListPrice {
    name: "RPU",
    usd: 0.375,
    unit: "RPU-hour",
    read: "2023-10",
    source: "https://docs.aws.amazon.com/redshift/latest/mgmt/serverless-billing.html (its example)",
};

/// Redshift Spectrum: a terabyte read from S3, at least [`SCANNED_MINIMUM_BYTES`] a query.
pub static SPECTRUM_TB: ListPrice =
    ListPrice { name: "Spectrum", usd: 5.0, unit: "TB", read: "2026-03", source: REDSHIFT };

/// Athena: a terabyte scanned, at least [`SCANNED_MINIMUM_BYTES`] a query.
pub static ATHENA_TB: ListPrice = ListPrice {
    name: "Athena",
    usd: 5.0,
    unit: "TB",
    read: "2026-05",
    source: "https://aws.amazon.com/athena/pricing/ (most regions)",
};

/// The bytes a query is charged for at least where scanned bytes are paid (<https://aws.amazon.com/athena/pricing/>).
pub const SCANNED_MINIMUM_BYTES: i64 = 10_000_000;

/// The bytes of a terabyte on a bill. AWS does not say whether it is 10¹² or 2⁴⁰; who is charged by 2⁴⁰ sets
/// `usd_per_tb` to 0.9095 of the list price.
pub const TERABYTE: f64 = 1e12;

/// How Redshift charges the clusters it adds for a crowd.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    /// Seconds of a day that cost nothing.
    pub free_seconds_a_day: f64,
    /// Seconds that days without a crowd save up, at most.
    pub free_seconds_at_most: f64,
    /// The month it was read.
    pub read: &'static str,
    /// Where it stands.
    pub source: &'static str,
}

/// Redshift concurrency scaling: a second of an added cluster costs what a second of the cluster costs, after the free
/// ones.
pub static CONCURRENCY_SCALING: Scaling = Scaling {
    free_seconds_a_day: 3_600.0,
    free_seconds_at_most: 108_000.0,
    read: "2026-03",
    source: "https://cur.vantage.sh/aws/amazonredshift",
};

/// The list price of a node type, whatever its case.
pub fn node_hour(node_type: &str) -> Option<&'static ListPrice> {
    NODE_HOURS.iter().find(|price| price.name.eq_ignore_ascii_case(node_type.trim()))
}
