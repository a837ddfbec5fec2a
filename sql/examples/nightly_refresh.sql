-- The script for cron: psql -X -v ON_ERROR_STOP=1 -f nightly_refresh.sql
-- Runs on the database of `make demo`, which asks for 1998-06-30. A living shop gives no as_of: each refresh then asks for
-- today, by the segmentation's time zone. Readers of the views are never blocked, and see yesterday's rows until tonight's are
-- complete; rows for which nothing changed are not written.

SET client_min_messages = warning; -- or leave it, and read in cron's log how long each step took

SELECT refresh_segmentation('shop');

-- What was done, for the log.
SELECT as_of, customers, histories_written FROM shop_status;
SELECT lifecycle_state, sum(customers) AS customers FROM shop_segments GROUP BY lifecycle_state ORDER BY lifecycle_state;
