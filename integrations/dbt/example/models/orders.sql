-- The orders as the segmentation reads them. When they are made, the segmentation is brought up to date in the same
-- transaction: readers see the new orders and the new views together, or neither of them.
{{ config(materialized='table', post_hook="{{ pg_rfm.refresh_segmentation() if var('segmentation_exists', true) }}") }}

select customer_id, ordered_on, amount, discount > 0 as discounted
from {{ source('shop', 'raw_orders') }}
