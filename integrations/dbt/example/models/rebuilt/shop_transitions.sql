{{ pg_rfm.segmentation_model('transitions', reads=[ref('shop_facts'), ref('shop_status')]) }}
