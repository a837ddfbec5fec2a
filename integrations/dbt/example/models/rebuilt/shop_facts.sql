{{ config(materialized='view') }}
{{ pg_rfm.segmentation_model('facts', reads=[ref('shop_histories'), ref('shop_engagement'), ref('shop_profiles'), ref('shop_status')]) }}
