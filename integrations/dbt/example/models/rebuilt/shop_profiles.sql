-- depends_on: {{ ref('orders') }}
{{ pg_rfm.segmentation_model('profiles', reads=[source('shop', 'customers')]) }}
