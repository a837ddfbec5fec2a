{{ pg_rfm.segmentation_model('cohorts', reads=[ref('shop_customers'), ref('shop_facts'), ref('shop_status')]) }}
