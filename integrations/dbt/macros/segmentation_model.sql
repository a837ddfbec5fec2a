{# The SELECT of NAME_suffix, with the relations of dbt in the place of those that it reads. `reads` lists them, each a ref()
   or source() whose table is called as the segmentation calls it; schemas may differ. One that is missing is an error. #}
{% macro segmentation_model(suffix, reads, segmentation=var('pg_rfm_segmentation')) -%}
    {%- if execute -%}
        {%- set rows = run_query(
            "select s.query, r.name, (parse_ident(r.name))[array_upper(parse_ident(r.name), 1)] as identifier"
            ~ " from " ~ adapter.quote(var('pg_rfm_extension_schema')) ~ ".segmentation_sql("
            ~ pg_rfm._literal(segmentation) ~ ") as s left join unnest(s.reads) as r (name) on true"
            ~ " where (parse_ident(s.relation))[2] = " ~ pg_rfm._literal(segmentation ~ '_' ~ suffix)) -%}
        {%- if not rows -%}
            {{ exceptions.raise_compiler_error("segmentation " ~ segmentation ~ " has no query of " ~ suffix) }}
        {%- endif -%}
        {%- set model = namespace(query=rows[0]['query']) -%}
        {%- for row in rows if row['name'] -%}
            {%- set relation = namespace(found=none) -%}
            {%- for read in reads if read.identifier == row['identifier'] -%}
                {%- set relation.found = read -%}
            {%- endfor -%}
            {%- if not relation.found -%}
                {{ exceptions.raise_compiler_error(
                    suffix ~ " reads " ~ row['name'] ~ ": put ref('" ~ row['identifier'] ~ "') or its source among `reads`") }}
            {%- endif -%}
            {#- As a whole name: public.shop_customers is not public.shop_customers_today. -#}
            {%- set name = '(?<![a-z0-9_".])' ~ modules.re.escape(row['name']) ~ '(?![a-z0-9_"])' -%}
            {%- set model.query = modules.re.sub(name, (relation.found | string).replace('\\', '\\\\'), model.query) -%}
        {%- endfor -%}
        {{ model.query }}
    {%- endif -%}
{%- endmacro %}
