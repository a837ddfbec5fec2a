{{ pg_rfm.segmentation_model('actions', reads=[ref('shop_customers'), ref('shop_status')]) }}
