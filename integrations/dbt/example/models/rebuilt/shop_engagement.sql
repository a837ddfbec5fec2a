-- depends_on: {{ ref('orders') }}
{{ pg_rfm.segmentation_model('engagement', reads=[source('shop', 'events')]) }}
