{{ config(materialized='view') }}
{{ pg_rfm.segmentation_model('customers_today', reads=[ref('shop_customers'), ref('shop_status')]) }}
