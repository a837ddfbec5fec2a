{{ pg_rfm.segmentation_model('status', reads=[]) }}
