-- One call makes what reports read. psql variables: as_of, and policy, a document. After new orders:
--   SELECT refresh_segmentation('shop');

SELECT create_segmentation('shop', orders => 'public.orders', policy => :'policy', as_of => :'as_of', schema => 'public');
