-- In the sidecar's database, every night: refresh, and put the answers into the shop's own table. One transaction on
-- both sides: readers in the shop see the answers of yesterday until it commits.
SET ROLE segments;
BEGIN;
SELECT rfm.refresh_segmentation('shop');
DELETE FROM shop.customer_segments;
INSERT INTO shop.customer_segments
SELECT customer_id, as_of, rfm_score, lifecycle_state, vip_tier, next_action
FROM reports.shop_customers, reports.shop_status;
COMMIT;
