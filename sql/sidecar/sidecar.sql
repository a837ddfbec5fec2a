-- In the sidecar's database (PostgreSQL 14 or later, for batch_size), as a superuser: the shop's tables as foreign
-- tables, and a role that owns the segmentation and has nothing else.
-- psql -v host=... -v port=... -v database=... -v password=... -f sql/sidecar/sidecar.sql
CREATE SCHEMA rfm;
CREATE EXTENSION pg_rfm SCHEMA rfm;
CREATE EXTENSION postgres_fdw;

CREATE SERVER shop FOREIGN DATA WRAPPER postgres_fdw
    OPTIONS (host :'host', port :'port', dbname :'database', fetch_size '10000', batch_size '1000');
CREATE ROLE segments;
GRANT USAGE ON SCHEMA rfm TO segments;
GRANT USAGE ON FOREIGN SERVER shop TO segments;
CREATE USER MAPPING FOR segments SERVER shop OPTIONS (user 'segments_reader', password :'password');
CREATE SCHEMA shop AUTHORIZATION segments;
CREATE SCHEMA reports AUTHORIZATION segments;

SET ROLE segments;
IMPORT FOREIGN SCHEMA public LIMIT TO (orders, customers, customer_segments) FROM SERVER shop INTO shop;
SET search_path = rfm;
SELECT create_segmentation('shop', orders => 'shop.orders', customers => 'shop.customers', schema => 'reports');
