-- depends_on: {{ ref('orders') }}
{{ pg_rfm.segmentation_model('status', reads=[]) }}
