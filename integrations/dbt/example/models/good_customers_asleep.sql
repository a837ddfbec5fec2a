-- A model over the views. It names the orders so that it is made after them.
-- depends_on: {{ ref('orders') }}
select customer_id, last_tier, monetary, dormancy_reason, recency_days
from {{ source('pg_rfm', 'customers_today') }}
where lifecycle_state = 'dormant' and last_tier in ('vip', 'candidate')
