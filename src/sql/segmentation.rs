//! Segmentations: tables, materialized views and triggers in a schema of the shop's, made and kept by SQL. All of it is
//! PL/pgSQL, because it is about relations and transactions:
//!
//! | file | what it holds |
//! |---|---|
//! | `settings.sql` | the row type of what was asked for, the list of arguments |
//! | `columns.sql` | the shop's tables and which of their columns is what, keys |
//! | `source.sql` | SELECTs over the shop's own tables |
//! | `views.sql` | SELECTs of the views |
//! | `responses.sql` | SELECTs of the views of who answers contacts |
//! | `kpis.sql`, `campaigns.sql` | SELECTs of the KPIs by month and of the results of campaigns |
//! | `predictions.sql` | the model in force, SELECTs of what it predicts |
//! | `differences.sql` | reports kept by difference: their parts, and what the noted customers contribute |
//! | `relations.sql` | the catalog of relations: which there are, why, and what they hold; comments |
//! | `registry.sql` | whose segmentations there are, locked and checked before they are read |
//! | `check.sql` | settings checked, with defaults and columns filled in |
//! | `citus.sql` | which tables Citus distributes, and what cannot be done with them |
//! | `shard_notes.sql` | notes and triggers on shards: where they lie, and whether they are all there |
//! | `tracking.sql` | triggers that note whose orders change |
//! | `view_rows.sql` | `refresh_rows`, which brings rows of any materialized view up to date |
//! | `changes.sql` | who changed: the rows of NAME_changes, and what is said of them on a channel |
//! | `refresh.sql` | bringing all of it up to date |
//! | `words.sql` | what a shop's own words mean |
//! | `audit_orders.sql`, `audit_sources.sql`, `audit.sql` | what is odd about the orders, about the other sources, and who is told |
//! | `build.sql` | making and dropping all of it |
//! | `create.sql` | what a DBA calls: `create_segmentation` and its like |

use pgrx::prelude::*;

extension_sql_file!(
    "segmentation/settings.sql",
    name = "segmentation_settings",
    requires = [
        "stored",
        "segment_customer",
        view_columns::view_columns,
        "channels",
        "notes",
        vocabulary::audit_text,
        vocabulary::label,
        vocabulary::label_order,
        vocabulary::rfm_segments,
        column_guess::source_columns,
        column_guess::choose_column,
        column_guess::is_called_like_order_number,
        column_guess::role_of_name,
        words::known_words,
        words::nearest_word,
        words::is_name,
    ]
);
extension_sql_file!("segmentation/columns.sql", name = "segmentation_columns", requires = ["segmentation_settings"]);
extension_sql_file!("segmentation/words.sql", name = "segmentation_words", requires = ["segmentation_columns"]);
extension_sql_file!("segmentation/source.sql", name = "segmentation_source", requires = ["segmentation_words"]);
extension_sql_file!("segmentation/views.sql", name = "segmentation_views", requires = ["segmentation_source"]);
extension_sql_file!("segmentation/responses.sql", name = "segmentation_responses", requires = ["segmentation_views"]);
extension_sql_file!("segmentation/kpis.sql", name = "segmentation_kpis", requires = ["segmentation_responses", "kpi"]);
extension_sql_file!(
    "segmentation/campaigns.sql",
    name = "segmentation_campaigns",
    requires = ["segmentation_kpis", "ab"]
);
extension_sql_file!(
    "segmentation/predictions.sql",
    name = "segmentation_predictions",
    requires = ["segmentation_campaigns", "prediction"]
);
extension_sql_file!(
    "segmentation/differences.sql",
    name = "segmentation_differences",
    requires = ["segmentation_predictions"]
);
extension_sql_file!(
    "segmentation/relations.sql",
    name = "segmentation_relations",
    requires = ["segmentation_differences"]
);
extension_sql_file!("segmentation/registry.sql", name = "segmentation_registry", requires = ["segmentation_relations"]);
extension_sql_file!("segmentation/check.sql", name = "segmentation_check", requires = ["segmentation_registry"]);
extension_sql_file!("segmentation/citus.sql", name = "segmentation_citus", requires = ["segmentation_check"]);
extension_sql_file!("segmentation/shards.sql", name = "segmentation_shards", requires = ["segmentation_citus"]);
extension_sql_file!(
    "segmentation/shard_notes.sql",
    name = "segmentation_shard_notes",
    requires = ["segmentation_shards"]
);
extension_sql_file!(
    "segmentation/tracking.sql",
    name = "segmentation_tracking",
    requires = ["segmentation_shard_notes"]
);
extension_sql_file!(
    "segmentation/view_rows.sql",
    name = "segmentation_view_rows",
    requires = ["segmentation_tracking", view_rows::lock_view, view_rows::query_columns, view_rows::write_view_rows]
);
extension_sql_file!(
    "segmentation/changes.sql",
    name = "segmentation_changes",
    requires = ["segmentation_view_rows", view_rows::write_watched_rows]
);
extension_sql_file!("segmentation/refresh.sql", name = "segmentation_refresh", requires = ["segmentation_changes"]);
extension_sql_file!(
    "segmentation/audit_orders.sql",
    name = "segmentation_audit_orders",
    requires = ["segmentation_refresh"]
);
extension_sql_file!(
    "segmentation/audit_sources.sql",
    name = "segmentation_audit_sources",
    requires = ["segmentation_audit_orders"]
);
extension_sql_file!("segmentation/audit.sql", name = "segmentation_audit", requires = ["segmentation_audit_sources"]);
extension_sql_file!("segmentation/build.sql", name = "segmentation_build", requires = ["segmentation_audit"]);
extension_sql_file!("segmentation/create.sql", name = "segmentation_create", requires = ["segmentation_build"]);
