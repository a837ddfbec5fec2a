{{ pg_rfm.segmentation_model('segments', reads=[ref('shop_customers')]) }}
