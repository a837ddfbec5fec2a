-- The report by segments counts every customer once, on the day that the status names.
select c.customers, s.customers as customers_of_segments, t.customers as customers_of_status
from (select count(*) as customers from {{ source('pg_rfm', 'customers') }}) as c
cross join (select coalesce(sum(customers), 0) as customers from {{ source('pg_rfm', 'segments') }}) as s
cross join {{ source('pg_rfm', 'status') }} as t
where c.customers <> s.customers or c.customers <> t.customers
