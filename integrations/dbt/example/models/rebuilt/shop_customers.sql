{{ config(indexes=[{'columns': ['customer_id'], 'unique': true}]) }}
{{ pg_rfm.segmentation_model('customers', reads=[ref('shop_facts'), ref('shop_status')]) }}
