{{ pg_rfm.segmentation_model('histories', reads=[ref('orders')]) }}
