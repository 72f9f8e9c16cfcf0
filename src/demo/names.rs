//! The company's names as data: Larkspur, an online shop for garden and house. All of it is made up.

/// Database of every table.
pub(super) const DATABASE: &str = "analytics";

/// Given and family names; the mail is `given.family@example.com`. The last ones have left and ask nothing.
pub(super) const PEOPLE: &[(&str, &str)] = &[
    ("ottilie", "marsh"),
    ("bram", "quillfeather"),
    ("ines", "halloway"),
    ("tomas", "birkwood"),
    ("yara", "fennick"),
    ("piet", "larkin"),
    ("sunniva", "oakes"),
    ("dario", "penhallow"),
    ("maud", "thistle"),
    ("kofi", "brandt"),
    ("linnea", "crowe"),
    ("rafe", "underhill"),
    ("noor", "ashby"),
    ("jonas", "wetherby"),
    ("priya", "lowell"),
    ("anselm", "hart"),
    ("greta", "sorrel"),
    ("milo", "vance"),
    ("chiara", "stroud"),
    ("emre", "holt"),
    ("freya", "dunmore"),
    ("hugo", "pemberly"),
    ("isla", "rook"),
    ("joost", "tamsin"),
    ("katja", "merrow"),
    ("leon", "swale"),
    ("marta", "ferris"),
    ("nils", "garrow"),
    ("odette", "brill"),
    ("pavel", "thorne"),
    ("quentin", "ives"),
    ("rosa", "willet"),
    ("selma", "kestrel"),
    ("teo", "bramble"),
    ("ursula", "finch"),
    ("wim", "calder"),
    ("xenia", "moss"),
    ("zoltan", "reeve"),
];

/// How many of [`PEOPLE`] still ask.
pub(super) const ASKING: usize = 36;

/// What tools and loaders fill: schema, name, rows at the start, rows a day, bytes a row, columns (its key, its time,
/// what it is grouped by, what is summed).
pub(super) type Raw = (&'static str, &'static str, i64, i64, i64, &'static [&'static str]);

/// Tables as they are loaded.
#[rustfmt::skip]
pub(super) const RAW: &[Raw] = &[
    ("public", "orders", 18_400_000, 21_000, 148, &["order_id", "ordered_at", "customer_id", "channel", "status", "currency", "total"]),
    ("public", "order_items", 52_700_000, 61_000, 96, &["order_item_id", "created_at", "order_id", "product_id", "warehouse_code", "quantity"]),
    ("public", "customers", 4_150_000, 3_900, 212, &["customer_id", "registered_at", "country", "segment", "language", "lifetime_orders"]),
    ("public", "addresses", 5_320_000, 4_800, 184, &["address_id", "created_at", "customer_id", "country", "city", "deliveries"]),
    ("public", "products", 84_000, 45, 640, &["product_id", "listed_at", "category_id", "brand", "colour", "list_price"]),
    ("public", "categories", 1_240, 1, 120, &["category_id", "created_at", "department", "season", "sort_order"]),
    ("public", "price_history", 10_000_000, 400, 56, &["product_id", "valid_from", "currency", "reason", "price"]),
    ("public", "inventory_levels", 31_000_000, 118_000, 64, &["inventory_id", "measured_at", "product_id", "warehouse_code", "on_hand"]),
    ("public", "stock_moves", 74_000_000, 96_000, 72, &["move_id", "moved_at", "product_id", "warehouse_code", "reason", "quantity"]),
    ("public", "suppliers", 2_900, 2, 310, &["supplier_id", "onboarded_at", "country", "tier", "lead_time_days"]),
    ("public", "purchase_orders", 610_000, 720, 132, &["purchase_order_id", "placed_at", "supplier_id", "status", "currency", "amount"]),
    ("public", "shipments", 16_900_000, 19_800, 118, &["shipment_id", "shipped_at", "order_id", "carrier_id", "service", "weight_grams"]),
    ("public", "shipment_events", 98_000_000, 128_000, 84, &["event_id", "happened_at", "shipment_id", "event_type", "depot", "delay_minutes"]),
    ("public", "carriers", 48, 0, 200, &["carrier_id", "contracted_at", "country", "service_level", "base_cost"]),
    ("public", "payments", 19_100_000, 21_800, 110, &["payment_id", "paid_at", "order_id", "method", "status", "amount"]),
    ("public", "refunds", 1_240_000, 1_700, 102, &["refund_id", "refunded_at", "order_id", "reason", "amount"]),
    ("public", "returns", 1_510_000, 2_050, 98, &["return_id", "returned_at", "order_id", "reason", "condition", "items"]),
    ("public", "coupons", 38_000, 60, 156, &["coupon_id", "issued_at", "campaign_id", "kind", "discount"]),
    ("public", "coupon_redemptions", 2_850_000, 3_600, 72, &["redemption_id", "redeemed_at", "coupon_id", "channel", "discount"]),
    ("public", "reviews", 3_700_000, 4_100, 420, &["review_id", "written_at", "product_id", "language", "verified", "stars"]),
    ("public", "carts", 61_000_000, 88_000, 88, &["cart_id", "opened_at", "customer_id", "channel", "state", "value"]),
    ("public", "wishlists", 7_900_000, 6_900, 60, &["wishlist_id", "added_at", "customer_id", "device", "items"]),
    ("web", "page_views", 412_000_000, 1_450_000, 132, &["view_id", "viewed_at", "session_id", "page_type", "device", "country", "duration_ms"]),
    ("web", "sessions", 88_000_000, 310_000, 156, &["session_id", "started_at", "customer_id", "source", "medium", "device", "pages"]),
    ("web", "clicks", 265_000_000, 940_000, 96, &["click_id", "clicked_at", "session_id", "element", "device", "position"]),
    ("web", "searches", 54_000_000, 176_000, 104, &["search_id", "searched_at", "session_id", "language", "device", "results"]),
    ("web", "experiments", 640, 1, 260, &["experiment_id", "began_at", "owner", "surface", "share"]),
    ("web", "experiment_exposures", 71_000_000, 240_000, 68, &["exposure_id", "exposed_at", "experiment_id", "variant", "device", "converted"]),
    ("crm", "contacts", 4_420_000, 4_100, 240, &["contact_id", "created_at", "customer_id", "origin", "language", "score"]),
    ("crm", "tickets", 1_930_000, 2_300, 330, &["ticket_id", "opened_at", "customer_id", "topic", "priority", "first_reply_minutes"]),
    ("crm", "ticket_events", 11_800_000, 14_500, 118, &["event_id", "happened_at", "ticket_id", "kind", "agent_group", "minutes"]),
    ("crm", "email_sends", 142_000_000, 380_000, 76, &["send_id", "sent_at", "contact_id", "campaign_id", "template", "attempts"]),
    ("crm", "email_opens", 39_000_000, 97_000, 64, &["open_id", "opened_at", "send_id", "device", "country", "seconds"]),
    ("ads", "campaigns", 5_800, 6, 280, &["campaign_id", "launched_at", "network", "objective", "country", "budget"]),
    ("ads", "ad_groups", 41_000, 38, 190, &["ad_group_id", "created_at", "campaign_id", "audience", "device", "bid"]),
    ("ads", "ad_spend", 9_600_000, 12_400, 92, &["spend_id", "spent_at", "ad_group_id", "network", "device", "cost"]),
    ("ads", "attribution_touches", 127_000_000, 415_000, 108, &["touch_id", "touched_at", "customer_id", "campaign_id", "network", "position", "weight"]),
    ("billing", "invoices", 15_200_000, 18_100, 126, &["invoice_id", "issued_at", "order_id", "country", "state", "gross"]),
    ("billing", "invoice_lines", 46_800_000, 55_000, 88, &["line_id", "issued_at", "invoice_id", "tax_code", "kind", "net"]),
    ("billing", "payouts", 212_000, 260, 104, &["payout_id", "paid_at", "supplier_id", "bank", "currency", "amount"]),
    ("billing", "ledger_entries", 63_000_000, 74_000, 94, &["entry_id", "posted_at", "invoice_id", "account", "currency", "amount"]),
    ("billing", "fx_rates", 148_000, 34, 40, &["rate_id", "quoted_at", "base", "quote", "rate"]),
    ("lake", "clickstream", 2_300_000_000, 6_800_000, 210, &["event_id", "event_time", "session_id", "event_name", "app_version", "payload_bytes"]),
    ("lake", "server_logs", 5_900_000_000, 14_000_000, 180, &["request_id", "request_time", "host", "route", "status", "duration_ms"]),
];

/// What Airflow computes, in the form of [`RAW`].
#[rustfmt::skip]
pub(super) const AGGREGATES: &[Raw] = &[
    ("agg", "daily_sales", 9_800_000, 12_500, 88, &["product_id", "day", "channel", "country", "orders", "revenue"]),
    ("agg", "hourly_traffic", 2_600_000, 3_300, 72, &["hour_id", "hour", "source", "device", "country", "views"]),
    ("agg", "search_terms_daily", 21_000_000, 26_000, 90, &["term_id", "day", "language", "device", "clicks", "searches"]),
    ("agg", "refund_rates", 1_900_000, 2_400, 64, &["product_id", "day", "reason", "refunds", "rate"]),
    ("agg", "product_views", 26_000_000, 33_000, 60, &["product_id", "day", "device", "country", "views"]),
    ("agg", "product_prices", 7_400_000, 9_100, 70, &["product_id", "day", "currency", "country", "price"]),
    ("agg", "product_costs", 6_900_000, 8_700, 66, &["product_id", "day", "supplier_id", "currency", "cost"]),
    ("agg", "product_margins", 7_100_000, 8_900, 92, &["product_id", "day", "channel", "country", "margin"]),
    ("agg", "shipping_costs", 5_300_000, 6_400, 74, &["order_id", "day", "carrier_id", "country", "cost"]),
    ("agg", "inventory_forecast", 3_900_000, 84_000, 58, &["product_id", "day", "warehouse_code", "model", "expected"]),
    ("agg", "delivery_sla", 1_450_000, 1_900, 62, &["carrier_id", "day", "service", "country", "late"]),
    ("agg", "ticket_backlog", 96_000, 130, 54, &["topic_id", "day", "topic", "priority", "open_tickets"]),
    ("agg", "email_engagement", 810_000, 1_050, 66, &["campaign_id", "day", "template", "device", "opens"]),
    ("agg", "campaign_roi", 690_000, 880, 70, &["campaign_id", "day", "network", "country", "roi"]),
    ("agg", "customer_scores", 4_150_000, 3_900, 84, &["customer_id", "day", "segment", "model", "score"]),
    ("agg", "fraud_scores", 19_100_000, 21_800, 60, &["payment_id", "scored_at", "method", "model", "score"]),
    ("agg", "experiment_results", 42_000, 55, 110, &["experiment_id", "day", "variant", "metric", "uplift"]),
    ("agg", "sessionised_views", 88_000_000, 310_000, 102, &["session_id", "started_at", "source", "device", "pages"]),
];

/// Tables nobody touches any more, in the form of [`RAW`].
#[rustfmt::skip]
pub(super) const ARCHIVE: &[Raw] = &[
    ("archive", "orders_2019", 6_200_000, 0, 148, &["order_id", "ordered_at", "channel", "total"]),
    ("archive", "page_views_2020", 690_000_000, 0, 120, &["view_id", "viewed_at", "device", "duration_ms"]),
    ("archive", "customers_before_merge", 2_800_000, 0, 230, &["customer_id", "registered_at", "country", "score"]),
    ("archive", "email_sends_2021", 210_000_000, 0, 76, &["send_id", "sent_at", "template", "attempts"]),
    ("scratch", "price_test_copy", 9_400_000, 0, 56, &["product_id", "valid_from", "currency", "price"]),
    ("scratch", "churn_features_v1", 4_000_000, 0, 310, &["customer_id", "built_at", "segment", "score"]),
];

/// What the statements of a task do with its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    /// `copy` from S3.
    Copy,
    /// `delete` of the period, then `insert … select`.
    Refill,
    /// The same within `begin` and `commit`.
    Swap,
    /// `insert … select` alone.
    Insert,
    /// `update … from`.
    Update,
    /// `unload` to S3.
    Unload,
    /// A `select` that checks the table.
    Check,
    /// `analyze`.
    Analyze,
}

/// A task: its name, what it does, the table, what it reads, typical milliseconds of the main statement.
pub(super) type Task = (&'static str, Job, &'static str, &'static [&'static str], i64);

/// A DAG: its name, owner, minute of the day of the (first) run, most runs a day, its tasks one after the other.
pub(super) type Dag = (&'static str, &'static str, i64, u64, &'static [Task]);

/// The DAGs. The first is the one of the incident: it runs once a day, in a queue of its own, and nothing else in it moves.
#[rustfmt::skip]
pub(super) const DAGS: &[Dag] = &[
    ("margin_report", "finance", 370, 1, &[
        ("extract_costs", Job::Refill, "agg.product_costs", &["public.purchase_orders", "public.products"], 214_000),
        ("load_purchase_prices", Job::Copy, "public.purchase_orders", &[], 96_000),
        ("price_products", Job::Swap, "agg.product_prices", &["public.price_history", "public.products"], 10_000),
        ("allocate_shipping", Job::Refill, "agg.shipping_costs", &["public.shipments", "public.carriers"], 187_000),
        ("compute_margins", Job::Refill, "agg.product_margins", &["agg.product_prices", "agg.product_costs", "agg.shipping_costs"], 198_000),
        ("publish_margins", Job::Unload, "agg.product_margins", &[], 61_000),
    ]),
    ("orders_ingest", "platform", 12, 24, &[
        ("load_orders", Job::Copy, "public.orders", &[], 21_000),
        ("load_order_items", Job::Copy, "public.order_items", &[], 34_000),
        ("load_payments", Job::Copy, "public.payments", &[], 18_000),
        ("load_refunds", Job::Copy, "public.refunds", &[], 6_000),
        ("check_orders", Job::Check, "public.orders", &["public.payments"], 9_000),
    ]),
    ("web_ingest", "platform", 26, 24, &[
        ("load_page_views", Job::Copy, "web.page_views", &[], 74_000),
        ("load_sessions", Job::Copy, "web.sessions", &[], 28_000),
        ("load_clicks", Job::Copy, "web.clicks", &[], 52_000),
        ("load_searches", Job::Copy, "web.searches", &[], 16_000),
        ("sessionise", Job::Insert, "agg.sessionised_views", &["web.page_views", "web.sessions"], 95_000),
    ]),
    ("inventory_sync", "supply", 65, 6, &[
        ("load_inventory_levels", Job::Copy, "public.inventory_levels", &[], 26_000),
        ("load_stock_moves", Job::Copy, "public.stock_moves", &[], 31_000),
        ("load_suppliers", Job::Copy, "public.suppliers", &[], 3_000),
        ("forecast_inventory", Job::Refill, "agg.inventory_forecast", &["public.inventory_levels", "public.stock_moves"], 142_000),
        ("publish_reorders", Job::Unload, "agg.inventory_forecast", &[], 12_000),
    ]),
    ("shipping_sync", "supply", 95, 6, &[
        ("load_shipments", Job::Copy, "public.shipments", &[], 19_000),
        ("load_shipment_events", Job::Copy, "public.shipment_events", &[], 44_000),
        ("load_carriers", Job::Copy, "public.carriers", &[], 1_200),
        ("delivery_sla", Job::Refill, "agg.delivery_sla", &["public.shipments", "public.shipment_events"], 117_000),
    ]),
    ("crm_sync", "service", 125, 4, &[
        ("load_contacts", Job::Copy, "crm.contacts", &[], 14_000),
        ("load_tickets", Job::Copy, "crm.tickets", &[], 17_000),
        ("load_ticket_events", Job::Copy, "crm.ticket_events", &[], 23_000),
        ("ticket_backlog", Job::Refill, "agg.ticket_backlog", &["crm.tickets", "crm.ticket_events"], 38_000),
    ]),
    ("email_engagement", "marketing", 270, 1, &[
        ("load_email_sends", Job::Copy, "crm.email_sends", &[], 61_000),
        ("load_email_opens", Job::Copy, "crm.email_opens", &[], 33_000),
        ("engagement_by_campaign", Job::Refill, "agg.email_engagement", &["crm.email_sends", "crm.email_opens"], 128_000),
        ("suppress_bounced", Job::Update, "crm.contacts", &["crm.email_sends"], 41_000),
    ]),
    ("ads_attribution", "marketing", 155, 4, &[
        ("load_campaigns", Job::Copy, "ads.campaigns", &[], 2_400),
        ("load_ad_groups", Job::Copy, "ads.ad_groups", &[], 3_100),
        ("load_ad_spend", Job::Copy, "ads.ad_spend", &[], 12_000),
        ("attribute_touches", Job::Insert, "ads.attribution_touches", &["web.sessions", "public.orders"], 236_000),
        ("campaign_roi", Job::Swap, "agg.campaign_roi", &["ads.attribution_touches", "ads.ad_spend"], 84_000),
    ]),
    ("ledger_close", "finance", 220, 1, &[
        ("load_invoices", Job::Copy, "billing.invoices", &[], 36_000),
        ("load_invoice_lines", Job::Copy, "billing.invoice_lines", &[], 58_000),
        ("load_payouts", Job::Copy, "billing.payouts", &[], 4_800),
        ("load_fx_rates", Job::Copy, "billing.fx_rates", &[], 2_100),
        ("post_ledger", Job::Swap, "billing.ledger_entries", &["billing.invoices", "billing.invoice_lines", "billing.fx_rates"], 173_000),
        ("unload_ledger", Job::Unload, "billing.ledger_entries", &[], 47_000),
    ]),
    ("daily_aggregations", "analytics", 170, 1, &[
        ("daily_sales", Job::Refill, "agg.daily_sales", &["public.orders", "public.order_items"], 151_000),
        ("hourly_traffic", Job::Refill, "agg.hourly_traffic", &["web.page_views"], 205_000),
        ("search_terms", Job::Refill, "agg.search_terms_daily", &["web.searches"], 83_000),
        ("refund_rates", Job::Refill, "agg.refund_rates", &["public.refunds", "public.order_items"], 46_000),
        ("product_views", Job::Refill, "agg.product_views", &["web.page_views"], 189_000),
    ]),
    ("customer_scores", "data_science", 300, 1, &[
        ("order_features", Job::Check, "public.orders", &["public.customers"], 92_000),
        ("churn_scores", Job::Insert, "agg.customer_scores", &["public.customers", "public.orders"], 164_000),
        ("customer_ltv", Job::Update, "agg.customer_scores", &["public.orders"], 138_000),
        ("unload_scores", Job::Unload, "agg.customer_scores", &[], 29_000),
    ]),
    ("fraud_checks", "data_science", 41, 24, &[
        ("payment_features", Job::Check, "public.payments", &["public.orders"], 17_000),
        ("fraud_scores", Job::Insert, "agg.fraud_scores", &["public.payments", "public.orders"], 33_000),
        ("unload_alerts", Job::Unload, "agg.fraud_scores", &[], 6_500),
    ]),
    ("catalogue_sync", "supply", 185, 4, &[
        ("load_products", Job::Copy, "public.products", &[], 5_200),
        ("load_categories", Job::Copy, "public.categories", &[], 900),
        ("load_prices", Job::Copy, "public.price_history", &[], 7_400),
        ("load_reviews", Job::Copy, "public.reviews", &[], 13_000),
    ]),
    ("experiments_rollup", "analytics", 190, 1, &[
        ("load_exposures", Job::Copy, "web.experiment_exposures", &[], 42_000),
        ("experiment_results", Job::Refill, "agg.experiment_results", &["web.experiment_exposures", "public.orders"], 131_000),
        ("publish_experiments", Job::Unload, "agg.experiment_results", &[], 3_600),
    ]),
    ("housekeeping", "platform", 1270, 1, &[
        ("unload_carts", Job::Unload, "public.carts", &[], 66_000),
        ("load_carts", Job::Copy, "public.carts", &[], 39_000),
        ("analyze_orders", Job::Analyze, "public.orders", &[], 12_000),
        ("analyze_page_views", Job::Analyze, "web.page_views", &[], 31_000),
        ("load_clickstream", Job::Check, "lake.clickstream", &["web.sessions"], 88_000),
    ]),
];

/// Tables dbt reads one to one: each has a model `stg_<name>`, by its schema and name.
#[rustfmt::skip]
pub(super) const STAGED: &[&str] = &[
    "public.orders", "public.order_items", "public.customers", "public.addresses", "public.products",
    "public.categories", "public.inventory_levels", "public.stock_moves", "public.suppliers",
    "public.purchase_orders", "public.shipments", "public.shipment_events", "public.carriers", "public.payments",
    "public.refunds", "public.returns", "public.coupons", "public.coupon_redemptions", "public.reviews",
    "public.carts", "public.wishlists", "web.page_views", "web.sessions", "web.clicks", "web.searches",
    "web.experiment_exposures", "crm.contacts", "crm.tickets", "crm.email_sends", "crm.email_opens",
    "ads.campaigns", "ads.ad_spend", "ads.attribution_touches", "billing.invoices", "billing.invoice_lines",
    "billing.payouts", "billing.ledger_entries", "billing.fx_rates",
];

/// Further models: name, of the finance project, incremental, parents (the first gives it its columns).
pub(super) type Model = (&'static str, bool, bool, &'static [&'static str]);

/// Models on models.
#[rustfmt::skip]
pub(super) const MODELS: &[Model] = &[
    ("int_orders_paid", false, false, &["stg_orders", "stg_payments"]),
    ("int_orders_refunded", false, false, &["stg_orders", "stg_refunds"]),
    ("int_order_items_priced", false, false, &["stg_order_items", "stg_products"]),
    ("int_customers_located", false, false, &["stg_customers", "stg_addresses"]),
    ("int_sessions_enriched", false, true, &["stg_sessions", "stg_page_views"]),
    ("int_clicks_by_session", false, true, &["stg_clicks", "stg_sessions"]),
    ("int_searches_clicked", false, true, &["stg_searches", "stg_clicks"]),
    ("int_shipments_tracked", false, true, &["stg_shipments", "stg_shipment_events"]),
    ("int_stock_positions", false, false, &["stg_inventory_levels", "stg_stock_moves"]),
    ("int_carts_abandoned", false, true, &["stg_carts", "stg_orders"]),
    ("int_campaign_touches", false, true, &["stg_attribution_touches", "stg_campaigns"]),
    ("int_tickets_answered", false, false, &["stg_tickets", "stg_contacts"]),
    ("int_invoices_posted", true, false, &["stg_invoices", "stg_ledger_entries"]),
    ("int_invoice_taxes", true, false, &["stg_invoice_lines", "stg_invoices"]),
    ("int_fx_daily", true, false, &["stg_fx_rates"]),
    ("dim_customers", false, false, &["int_customers_located"]),
    ("dim_products", false, false, &["stg_products", "stg_categories"]),
    ("dim_suppliers", false, false, &["stg_suppliers"]),
    ("dim_carriers", false, false, &["stg_carriers"]),
    ("dim_campaigns", false, false, &["stg_campaigns"]),
    ("fct_orders", false, false, &["int_orders_paid", "int_orders_refunded", "dim_customers"]),
    ("fct_order_items", false, true, &["int_order_items_priced", "dim_products"]),
    ("fct_sessions", false, true, &["int_sessions_enriched", "dim_customers"]),
    ("fct_page_views", false, true, &["stg_page_views", "int_sessions_enriched"]),
    ("fct_searches", false, true, &["int_searches_clicked"]),
    ("fct_shipments", false, true, &["int_shipments_tracked", "dim_carriers"]),
    ("fct_returns", false, false, &["stg_returns", "fct_orders"]),
    ("fct_stock_daily", false, false, &["int_stock_positions", "dim_products"]),
    ("fct_carts", false, true, &["int_carts_abandoned"]),
    ("fct_reviews", false, false, &["stg_reviews", "dim_products"]),
    ("fct_coupons", false, false, &["stg_coupon_redemptions", "stg_coupons"]),
    ("fct_email", false, true, &["stg_email_sends", "stg_email_opens"]),
    ("fct_ad_spend", false, false, &["stg_ad_spend", "dim_campaigns"]),
    ("fct_attribution", false, true, &["int_campaign_touches", "fct_orders"]),
    ("fct_tickets", false, false, &["int_tickets_answered"]),
    ("fct_exposures", false, true, &["stg_experiment_exposures"]),
    ("fct_invoices", true, false, &["int_invoices_posted", "int_fx_daily"]),
    ("fct_taxes", true, false, &["int_invoice_taxes"]),
    ("fct_payouts", true, false, &["stg_payouts", "int_fx_daily"]),
    ("fct_ledger", true, true, &["stg_ledger_entries", "int_fx_daily"]),
    ("mart_revenue", true, false, &["fct_orders", "fct_invoices"]),
    ("mart_profit", true, false, &["fct_order_items", "fct_ledger"]),
    ("mart_customer_value", false, false, &["fct_orders", "dim_customers"]),
    ("mart_conversion", false, false, &["fct_sessions", "fct_orders"]),
];

/// Tools whose dashboards say which they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Metabase,
    Chartio,
    Periscope,
    Looker,
    Mode,
    Redash,
    Tableau,
    /// DBeaver and psql under a login of one's own.
    Console,
}

/// Dashboards: tool and title. The last of each of Metabase, Chartio and Periscope are opened by nobody: see [`ABANDONED`].
pub(super) const DASHBOARDS: &[(Tool, &str)] = &[
    (Tool::Metabase, "Orders today"),
    (Tool::Metabase, "Shop at a glance"),
    (Tool::Metabase, "Conversion"),
    (Tool::Metabase, "Customer service"),
    (Tool::Metabase, "Stock by warehouse"),
    (Tool::Metabase, "Delivery promises"),
    (Tool::Metabase, "Payments and fraud"),
    (Tool::Metabase, "Search quality"),
    (Tool::Metabase, "Returns"),
    (Tool::Metabase, "New customers"),
    (Tool::Metabase, "Coupons"),
    (Tool::Metabase, "Experiments"),
    (Tool::Metabase, "Reviews"),
    (Tool::Metabase, "App versions"),
    (Tool::Metabase, "Wishlists"),
    (Tool::Metabase, "Catalogue health"),
    (Tool::Metabase, "Christmas 2023"),
    (Tool::Metabase, "Warehouse move"),
    (Tool::Chartio, "Revenue"),
    (Tool::Chartio, "Gross margin"),
    (Tool::Chartio, "Ad spend"),
    (Tool::Chartio, "Campaign return"),
    (Tool::Chartio, "Board pack"),
    (Tool::Chartio, "Regional sales"),
    (Tool::Chartio, "Weekly trading"),
    (Tool::Chartio, "Supplier scorecard"),
    (Tool::Chartio, "Purchase orders"),
    (Tool::Chartio, "Payouts"),
    (Tool::Chartio, "Tax by country"),
    (Tool::Chartio, "Open invoices"),
    (Tool::Chartio, "Email results"),
    (Tool::Chartio, "Attribution"),
    (Tool::Chartio, "Old revenue"),
    (Tool::Chartio, "Pilot Austria"),
    (Tool::Periscope, "Traffic by hour"),
    (Tool::Periscope, "Session depth"),
    (Tool::Periscope, "Checkout funnel"),
    (Tool::Periscope, "Carts left behind"),
    (Tool::Periscope, "Click maps"),
    (Tool::Periscope, "Page speed"),
    (Tool::Periscope, "Cohorts"),
    (Tool::Periscope, "Churn watch"),
    (Tool::Periscope, "Lifetime value"),
    (Tool::Periscope, "Price changes"),
    (Tool::Periscope, "Forecast against stock"),
    (Tool::Periscope, "Ticket backlog"),
    (Tool::Periscope, "Server routes"),
    (Tool::Periscope, "Relaunch 2022"),
];

/// Dashboards nobody opens: true = somebody did once, on the first day.
pub(super) const ABANDONED: &[(&str, bool)] = &[
    ("Christmas 2023", false),
    ("Warehouse move", true),
    ("Old revenue", true),
    ("Pilot Austria", false),
    ("Relaunch 2022", false),
];

/// Mode reports.
pub(super) const REPORTS: usize = 10;
/// Looker explores with their usual fields.
pub(super) const EXPLORES: usize = 60;
/// Queries saved in Redash.
pub(super) const SAVED: usize = 48;
/// Tableau worksheets.
pub(super) const SHEETS: usize = 24;
/// What is asked by hand.
pub(super) const BY_HAND: usize = 40;

/// Values columns are compared with.
#[rustfmt::skip]
pub(super) const VALUES: &[&str] = &[
    "web", "app", "store", "marketplace", "de", "fr", "nl", "at", "new", "returning", "vip", "mobile", "desktop",
    "tablet", "standard", "express", "open", "closed", "pending", "card", "invoice", "search", "social", "direct",
];
