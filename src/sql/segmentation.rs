//! Segmentations: tables, materialized views and triggers in a schema of the shop's, made and kept by SQL. All of it is
//! PL/pgSQL, because it is about relations and transactions:
//!
//! | file | what it holds |
//! |---|---|
//! | `settings.sql` | what was asked for, checked; columns found by name, keys |
//! | `registry.sql` | whose segmentations there are, opened by their owner alone |
//! | `source.sql` | SELECTs over the shop's own tables |
//! | `views.sql`, `columns.sql` | SELECTs of the views, comments on their columns |
//! | `refresh.sql` | bringing all of it up to date |
//! | `tracking.sql` | triggers that note whose orders change |
//! | `audit.sql` | what is odd about the orders |
//! | `build.sql` | making and dropping all of it |
//! | `create.sql` | what a DBA calls: `create_segmentation` and its like |

use pgrx::prelude::*;

extension_sql_file!(
    "segmentation/settings.sql",
    name = "segmentation_settings",
    requires = ["stored", "segment_customer", "channels", "notes"]
);
extension_sql_file!("segmentation/registry.sql", name = "segmentation_registry", requires = ["segmentation_settings"]);
extension_sql_file!("segmentation/source.sql", name = "segmentation_source", requires = ["segmentation_registry"]);
extension_sql_file!("segmentation/views.sql", name = "segmentation_views", requires = ["segmentation_source"]);
extension_sql_file!("segmentation/columns.sql", name = "segmentation_columns", requires = ["segmentation_views"]);
extension_sql_file!("segmentation/tracking.sql", name = "segmentation_tracking", requires = ["segmentation_columns"]);
extension_sql_file!("segmentation/refresh.sql", name = "segmentation_refresh", requires = ["segmentation_tracking"]);
extension_sql_file!("segmentation/audit.sql", name = "segmentation_audit", requires = ["segmentation_refresh"]);
extension_sql_file!("segmentation/build.sql", name = "segmentation_build", requires = ["segmentation_audit"]);
extension_sql_file!("segmentation/create.sql", name = "segmentation_create", requires = ["segmentation_build"]);
