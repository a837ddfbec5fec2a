-- The script for cron: psql -X -v ON_ERROR_STOP=1 -f nightly_refresh.sql
-- Runs on the database of `make demo`, whose last day is 1998-06-30. Of a living shop ask for yesterday, by its own clock:
--   psql -v as_of="$(TZ=Asia/Tokyo date -d yesterday +%F)" ...
-- Readers of the view are never blocked, and see yesterday's rows until tonight's are complete.

\if :{?as_of}
\else
  \set as_of 1998-06-30
\endif

-- One day for the whole view, and on record. Running it twice changes nothing.
UPDATE segmentation SET as_of = :'as_of';

REFRESH MATERIALIZED VIEW CONCURRENTLY customer_segments;
ANALYZE customer_segments;

-- What was done, for the log.
SELECT as_of, count(*) AS customers,
       count(*) FILTER (WHERE lifecycle_state = 'dormant') AS dormant,
       count(*) FILTER (WHERE next_action = 'wait') AS waiting
FROM segmentation CROSS JOIN customer_segments
GROUP BY as_of;
