{{ pg_rfm.segmentation_model('profiles', reads=[source('shop', 'customers')]) }}
