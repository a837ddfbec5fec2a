-- One call makes what reports read. psql variables: as_of; policy, a document; learn, whether more is learned over it from
-- these customers. After new orders:
--   SELECT refresh_segmentation('shop');

SELECT create_segmentation('shop', orders => 'public.orders', order_id => 'order_id', policy => :'policy', as_of => :'as_of',
                           schema => 'public');
\if :learn
SELECT alter_segmentation('shop', policy => 'learn') \g /dev/null
\endif
