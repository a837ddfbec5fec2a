{# The statement that brings the views up to date, for a hook: behind the model of the orders it runs in the transaction
   that puts the new orders in their place. -#}
{% macro refresh_segmentation(segmentation=var('pg_rfm_segmentation')) -%}
    select {{ adapter.quote(var('pg_rfm_extension_schema')) }}.refresh_segmentation({{ pg_rfm._literal(segmentation) }})
{%- endmacro %}

{# The same as an operation, for a shop whose orders are not made by dbt: dbt run-operation refresh #}
{% macro refresh(segmentation=var('pg_rfm_segmentation')) -%}
    {%- do run_query('begin') -%}
    {%- do run_query(pg_rfm.refresh_segmentation(segmentation)) -%}
    {%- do run_query('commit') -%}
{%- endmacro %}

{% macro _literal(text) -%}
    '{{ text | replace("'", "''") }}'
{%- endmacro %}
