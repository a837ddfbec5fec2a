{{ pg_rfm.segmentation_model('movement', reads=[ref('shop_transitions')]) }}
