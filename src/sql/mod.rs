//! The SQL binding: turns the core into types, aggregates and functions of PostgreSQL.
//!
//! | file | what it holds |
//! |---|---|
//! | `error.rs` | core errors as PostgreSQL errors |
//! | `memory.rs` | the allocator with a reserve, what ends a call that is cancelled or without memory |
//! | `datum.rs`, `numeric.rs` | core values to and from datums |
//! | `types.rs`, `types.sql` | the types, their operators and casts |
//! | `orders.rs`, `events.rs`, `aggregates.sql` | the aggregates over order rows, events and contacts |
//! | `buffer.rs`, `question.rs`, `zone.rs` | what these stand on: memory that PostgreSQL counts, the day and policy asked for, days in the session's time zone |
//! | `tallies.rs` | what aggregates stand on that count rows of many customers together |
//! | `call.rs` | the arguments of a call, what a function keeps between calls, the rows it returns |
//! | `set.rs`, `row_types.sql` | functions that return a set of rows of a named type |
//! | `history.rs` | accessors of a purchase history |
//! | `customer.rs` | functions of one customer's histories, `segment_customer` |
//! | `learn.rs`, `learn.sql` | learning a policy from all customers, the chance that they come back |
//! | `fit.rs`, `forecast.rs`, `prediction.rs`, `prediction.sql` | models of purchases: fits and backtests, totals of a group, what they say of one customer |
//! | `channels.rs`, `channels.sql` | over which channels a customer can be reached |
//! | `scenario.rs`, `scenario.sql` | step scenarios, when a customer may be contacted |
//! | `response.rs` | who answers over which channel, and in which order the dormant are expected to |
//! | `membership.rs` | memberships over time, and who ends a subscription |
//! | `timeline.rs` | the lifecycle of one customer over time |
//! | `movement.rs`, `movement.sql` | what became of a customer from step to step, and of all of them counted |
//! | `cohort.rs`, `cohort.sql` | what the customers of a month of first purchase do after it |
//! | `kpi.rs`, `kpi.sql` | what KPIs are made of: questions about a history, the aggregate `proportion` |
//! | `ab.rs`, `ab.sql` | A/B tests: groups, results, comparison, sample size |
//! | `from_numbers.rs` | the same from plain numbers, without a history |
//! | `explain.rs` | why the answers of one customer are what they are |
//! | `policy.rs` | policies and lists of labels |
//! | `vocabulary.rs` | what values of the closed lists are called, and their order |
//! | `stored.rs`, `stored.sql` | the tables of named policies and models |
//! | `column_guess.rs` | which column of a shop's table is what |
//! | `words.rs` | which words of a shop's are known, and what the others may mean |
//! | `notes.rs`, `notes.sql` | notes of changed customers, as triggers write them |
//! | `view_columns.rs` | what the columns of a segmentation's relations say |
//! | `collect_histories.rs`, `partitions.rs`, `key_column.rs` | the histories of all customers in one pass, the partitions in which it is made, keys as words |
//! | `repeated_rows.rs` | whether rows of a query repeat each other |
//! | `cursor.rs` | runs a query and hands over its rows |
//! | `view_rows.rs` | writes single rows of a materialized view |
//! | `row_writer.rs`, `changes.rs`, `transition_tables.rs` | what it stands on: rows written below the level of SQL, who changed, the rows for a query |
//! | `segmentation.rs`, `segmentation/` | tables, materialized views and triggers for a shop's reports, made by one call |
//! | `version.rs`, `version.sql` | the version of the library, which a script compares with its own |
//! | `rows.sql` | how many rows each list has, for the planner |
//! | `comments.sql` | a comment on every object |

mod ab;
mod buffer;
mod call;
mod changes;
mod channels;
mod cohort;
mod collect_histories;
mod column_guess;
mod cursor;
mod customer;
mod datum;
mod error;
mod events;
mod explain;
mod fit;
mod forecast;
mod from_numbers;
mod history;
mod key_column;
mod kpi;
mod learn;
mod membership;
mod memory;
mod movement;
mod notes;
mod numeric;
mod orders;
mod partitions;
mod policy;
mod prediction;
mod question;
mod repeated_rows;
mod response;
mod row_writer;
mod scenario;
mod segmentation;
mod set;
mod stored;
mod tallies;
mod timeline;
mod transition_tables;
mod types;
mod version;
mod view_columns;
mod view_rows;
mod vocabulary;
mod words;
mod zone;

use pgrx::prelude::*;

extension_sql_file!("bootstrap.sql", name = "bootstrap", bootstrap);
extension_sql_file!(
    "rows.sql",
    name = "rows",
    requires = [
        policy::lifecycle_states,
        policy::purchase_stages,
        policy::vip_tiers,
        policy::memberships,
        membership::membership_moments,
        membership::membership_periods,
        membership::subscription_months,
        membership::subscription_cycles,
        policy::dormancy_categories,
        policy::dormancy_reasons,
        policy::policy_presets,
        policy::next_actions,
        vocabulary::labels,
        vocabulary::rfm_segments,
        customer::customer_columns,
        view_columns::view_columns,
        column_guess::source_columns,
        scenario::scenario_presets,
        scenario::message_keys,
        scenario::due_step_reasons,
        response::channel_responses,
        response::dormant_responses,
        response::dormant_response_order,
        prediction::churn_bands,
        prediction::check_model,
        ab::ab_verdicts,
        ab::ab_factors,
        kpi::kpis,
        kpi::customer_months,
    ]
);
extension_sql_file!("comments.sql", name = "comments", finalize);
