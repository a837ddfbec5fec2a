#!/usr/bin/env python3
"""Writes assets/, the dashboards as Superset exports them: dashboards.py [FOLDER]

A dashboard is the same charts over one segmentation, in its language; a chart or filter whose relation or column the
segmentation does not have is left out. Identifiers are digests of names, so that an import replaces what it brought before.
"""

import sys
import uuid
from pathlib import Path

import yaml

ASSETS = Path(__file__).resolve().parent / "assets"

# What a dashboard is of. `lang` is that of the segmentation: its labels are in the views.
DASHBOARDS = [
    {"slug": "worked-shop", "title": "Worked shop", "lang": "en", "database": "worked_shop", "schema": "segments",
     "segmentation": "shop", "tenant": "store", "attributes": ["acquired_by", "product"], "has": {"contacts", "model", "refreshes"}},
    {"slug": "worked-shop-ja", "title": "見本の店", "lang": "ja", "database": "worked_shop", "schema": "segments",
     "segmentation": "shop_ja", "tenant": "store", "attributes": ["acquired_by", "product"], "has": {"contacts", "model", "refreshes"}},
    {"slug": "demo", "title": "CDNOW", "lang": "en", "database": "demo", "schema": "public", "segmentation": "shop",
     "tenant": None, "attributes": [], "has": set()},
]

# What stands on the dashboards in English and Japanese.
WORDS = {
    "customers": ("Customers", "顧客数"),
    "revenue": ("Revenue", "売上"),
    "vips": ("VIPs", "優良顧客数"),
    "state": ("Lifecycle state", "顧客の状態"),
    "tier": ("VIP tier", "優良度"),
    "tenant": ("Store", "店舗"),
    "acquired_by": ("Acquired by", "獲得経路"),
    "product": ("First product", "初回購入商品"),
    "action": ("Next action", "次の一手"),
    "reason": ("Reason", "休眠理由"),
    "year": ("Year of dormancy", "休眠年数"),
    "recency": ("Recency (5: lately)", "最終購入（5＝最近）"),
    "frequency": ("Frequency (5: often)", "購入回数（5＝多い）"),
    "first_month": ("First purchase", "初回購入月"),
    "months_after": ("Months after it", "経過月数"),
    "active_share": ("Share that bought", "購入した割合"),
    "purchases": ("Purchases", "購入回数"),
    "low": ("at least", "下限"),
    "high": ("at most", "上限"),
    "from": ("Before", "前"),
    "to": ("Now", "今"),
    "of_states": ("Customers by lifecycle state", "状態別の顧客数"),
    "revenue_of_states": ("Revenue by lifecycle state", "状態別の売上"),
    "rfm": ("RFM: customers by recency (upwards) and frequency", "RFM：最終購入（縦）と回数（横）別の顧客数"),
    "moved": ("Who moved: the last three months", "状態の移動：直近三か月"),
    "cohorts": ("Cohorts: who bought again in which month", "コホート：再購入した割合"),
    "actions": ("Next actions", "次の一手"),
    "sleeping": ("The sleeping, by reason and year", "休眠顧客：理由と年数別"),
    "forecast": ("Expected in the next 90 days", "今後九十日の見込み"),
    "changes": ("Changes of the last refresh", "直近の更新で変わった顧客"),
}

# What columns are called, where they are called something.
COLUMNS = {
    "lifecycle_label": "state", "tier_label": "tier", "r_score": "recency", "f_score": "frequency", "action_title": "action",
    "reason_label": "reason", "dormant_year": "year", "month": "first_month", "months_after": "months_after",
    "from_label": "from", "to_label": "to", "acquired_by": "acquired_by", "product": "product",
}

# The datasets: what is selected, the columns that charts and filters ask for, and those of them that are days. {name} is the
# segmentation with its schema, {key} the key of a customer, and {attributes} those of the customer k, a comma before each. A filter
# reaches a dataset that has its column.
DATASETS = {
    # A state with its place before it, because bars are sorted by their names.
    "customers": ("SELECT c.*, c.lifecycle_order || ' ' || c.lifecycle_label AS state,"
                  " rfm.dormant_year(CASE WHEN c.lifecycle_state = 'dormant' THEN c.recency_days END, p.policy) AS dormant_year"
                  " FROM {name}_customers_today AS c CROSS JOIN {name}_status AS p",
                  ["customer_id", "state", "lifecycle_label", "lifecycle_order", "lifecycle_state", "tier_label", "r_score",
                   "f_score", "monetary", "vip_tier", "action_title", "action_order", "reason_label", "reason_order",
                   "dormant_year"], []),
    # The filter by state chooses who came into it.
    "moved": ("SELECT m.*, m.to_label AS lifecycle_label FROM {name}_movement AS m"
              " WHERE m.to_day > (SELECT max(to_day) - 85 FROM {name}_movement)",
              ["from_node", "to_node", "customers", "lifecycle_label", "to_day"], ["to_day"]),
    "cohorts": ("SELECT c.*, to_char(c.first_month, 'YYYY-MM') AS month FROM {name}_cohorts AS c"
                " WHERE c.first_month > (SELECT max(first_month) - interval '13 months' FROM {name}_cohorts)",
                ["month", "months_after", "customers", "active_customers", "first_month"], ["first_month"]),
    "forecast": ("SELECT * FROM {name}_forecast WHERE lifecycle_state <> ''",
                 ["lifecycle_label", "lifecycle_order", "customers", "expected_purchases", "purchases_low", "purchases_high",
                  "expected_value", "value_low", "value_high"], []),
    # Filters choose customers by what they are now.
    "changes": ("SELECT c.*, rfm.label(c.what, c.from_value, p.lang) AS from_label, rfm.label(c.what, c.to_value, p.lang) AS to_label,"
                " k.lifecycle_label, k.tier_label{attributes}"
                " FROM {name}_changes AS c LEFT JOIN {name}_customers AS k USING ({key}) CROSS JOIN {name}_status AS p"
                " WHERE c.changed_at = (SELECT max(changed_at) FROM {name}_changes) AND c.what <> 'next_action'",
                ["from_label", "to_label", "customer_id", "lifecycle_label", "tier_label", "changed_at"], ["changed_at"]),
}


def chart(viz, dataset, height, **params):
    return {"viz": viz, "dataset": dataset, "height": height, "params": params}


def bar(metric, expression):
    return chart("echarts_timeseries_bar", "customers", 40, x_axis="state", metrics=[(metric, expression)], groupby=[],
                 x_axis_sort_asc=True, xAxisLabelInterval="0", show_value=True, show_legend=False, y_axis_format="SMART_NUMBER", row_limit=100)


def heatmap(dataset, x, y, metric, expression, number_format, **params):
    return chart("heatmap_v2", dataset, 50, x_axis=x, groupby=y, metric=(metric, expression), normalize_across="heatmap",
                 sort_x_axis="alpha_asc", sort_y_axis="alpha_asc", show_values=True, show_legend=False, show_percentage=False,
                 linear_color_scheme="superset_seq_1", y_axis_format=number_format, value_bounds=[None, None],
                 row_limit=10000, **params)


def table(dataset, columns, metrics, order, ascending, **params):
    return chart("table", dataset, 50, query_mode="aggregate", groupby=columns, metrics=metrics,
                 timeseries_limit_metric=("order", order), order_desc=not ascending, show_cell_bars=True, row_limit=100, **params)


# The charts in their order. A metric is a word and what is computed.
CHARTS = {
    "customers": chart("big_number_total", "customers", 20, metric=("customers", "count(*)"), y_axis_format=",d"),
    "revenue": chart("big_number_total", "customers", 20, metric=("revenue", "sum(monetary)"), y_axis_format="SMART_NUMBER"),
    "vips": chart("big_number_total", "customers", 20, metric=("vips", "count(*) FILTER (WHERE vip_tier = 'vip')"),
                  y_axis_format=",d"),
    "of_states": bar("customers", "count(*)"),
    "revenue_of_states": bar("revenue", "sum(monetary)"),
    "rfm": heatmap("customers", "f_score", "r_score", "customers", "count(*)", "SMART_NUMBER", where="r_score IS NOT NULL"),
    "moved": chart("sankey_v2", "moved", 50, source="from_node", target="to_node", metric=("customers", "sum(customers)"),
                   row_limit=1000),
    "cohorts": heatmap("cohorts", "months_after", "month", "active_share",
                       "sum(active_customers)::float8 / nullif(sum(customers), 0)", ".0%", where="months_after > 0"),
    "actions": table("customers", ["action_title"], [("customers", "count(*)"), ("revenue", "sum(monetary)")],
                     "count(*)", False),
    "sleeping": heatmap("customers", "dormant_year", "reason_label", "customers", "count(*)", "SMART_NUMBER",
                        where="lifecycle_state = 'dormant'"),
    "forecast": table("forecast", ["lifecycle_label"],
                      [("customers", "sum(customers)"), ("purchases", "sum(expected_purchases)"), ("low", "sum(purchases_low)"),
                       ("high", "sum(purchases_high)")], "min(lifecycle_order)", True),
    "changes": table("changes", ["from_label", "to_label"], [("customers", "count(DISTINCT customer_id)")],
                     "count(*)", False),
}

# Which charts need what not every segmentation has, and the filters: a word and a column of the customers.
NEEDS = {"sleeping": "contacts", "forecast": "model", "changes": "refreshes"}
FILTERS = [("state", "lifecycle_label"), ("tier", "tier_label")]
LAYOUT = [["customers", "revenue", "vips"], ["of_states", "revenue_of_states"], ["rfm", "cohorts"], ["moved"],
          ["sleeping", "actions"], ["changes", "forecast"]]


def identifier(*names):
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(("pg_rfm", *names))))


class Dashboard:
    def __init__(self, slug, title, lang, database, schema, segmentation, tenant, attributes, has):
        self.slug, self.title, self.lang, self.database, self.schema = slug, title, lang, database, schema
        self.segmentation, self.tenant, self.attributes = segmentation, tenant, attributes
        self.charts = {name: what for name, what in CHARTS.items() if NEEDS.get(name) in has | {None}}
        self.datasets = {what["dataset"] for what in self.charts.values()}

    def word(self, name):
        return WORDS[name][self.lang == "ja"]

    def metric(self, name, expression):
        return {"expressionType": "SQL", "sqlExpression": expression, "label": self.word(name) if name in WORDS else name,
                "hasCustomLabel": True, "optionName": f"metric_{name}"}

    def dataset(self, name):
        query, columns, days = DATASETS[name]
        tenant = [self.tenant] * (self.tenant is not None)
        columns = columns + tenant + self.attributes * ("customer_id" in columns)
        query = query.format(name=f"{self.schema}.{self.segmentation}", key=", ".join([*tenant, "customer_id"]),
                             attributes="".join(f", k.{attribute}" for attribute in self.attributes))
        words = COLUMNS | {self.tenant: "tenant"}
        return {
            "table_name": f"{self.segmentation}_{name}", "schema": self.schema, "main_dttm_col": days[0] if days else None,
            "sql": query, "uuid": identifier(self.slug, "dataset", name),
            "database_uuid": identifier("database", self.database), "metrics": [], "version": "1.0.0",
            "columns": [{"column_name": column, "verbose_name": self.word(words[column]) if column in words else None,
                         "is_dttm": column in days, "groupby": True, "filterable": True} for column in columns],
        }

    def chart(self, name):
        what = self.charts[name]
        params = {"viz_type": what["viz"], "time_range": "No filter", "adhoc_filters": []}
        for key, value in what["params"].items():
            if key == "where":
                params["adhoc_filters"] = [{"clause": "WHERE", "expressionType": "SQL", "sqlExpression": value}]
            elif key == "metrics":
                params[key] = [self.metric(*one) for one in value]
            elif key in ("metric", "timeseries_limit_metric"):
                params[key] = self.metric(*value)
            else:
                params[key] = value
        # Bounds of two stores are not the bounds of both.
        if what["dataset"] == "forecast" and self.tenant:
            params["groupby"] = [self.tenant, *params["groupby"]]
        return {"slice_name": self.word(name), "viz_type": what["viz"], "params": params, "version": "1.0.0",
                "uuid": identifier(self.slug, "chart", name), "dataset_uuid": identifier(self.slug, "dataset", what["dataset"])}

    def filter(self, word, column):
        return {
            "id": f"NATIVE_FILTER-{column}", "type": "NATIVE_FILTER", "filterType": "filter_select", "name": self.word(word),
            "targets": [{"datasetUuid": identifier(self.slug, "dataset", "customers"), "column": {"name": column}}],
            "controlValues": {"multiSelect": True, "enableEmptyFilter": False, "defaultToFirstItem": False,
                              "inverseSelection": False, "searchAllOptions": False},
            "defaultDataMask": {"extraFormData": {}, "filterState": {}}, "cascadeParentIds": [],
            "scope": {"rootPath": ["ROOT_ID"], "excluded": []}, "description": "",
        }

    def dashboard(self):
        filters = FILTERS + [(name, name) for name in self.attributes] + [("tenant", self.tenant)] * (self.tenant is not None)
        return {
            "dashboard_title": self.title, "slug": self.slug, "uuid": identifier(self.slug), "published": True, "version": "1.0.0",
            "position": self.position(),
            "metadata": {"native_filter_configuration": [self.filter(*one) for one in filters], "cross_filters_enabled": False,
                         "color_scheme": "supersetColors", "refresh_frequency": 0},
        }

    def position(self):
        rows = [[name for name in row if name in self.charts] for row in LAYOUT]
        rows = [row for row in rows if row]
        boxes = {
            "DASHBOARD_VERSION_KEY": "v2",
            "ROOT_ID": {"id": "ROOT_ID", "type": "ROOT", "children": ["GRID_ID"]},
            "GRID_ID": {"id": "GRID_ID", "type": "GRID", "children": [f"ROW-{i}" for i in range(len(rows))],
                        "parents": ["ROOT_ID"]},
            "HEADER_ID": {"id": "HEADER_ID", "type": "HEADER", "meta": {"text": self.title}},
        }
        for i, row in enumerate(rows):
            boxes[f"ROW-{i}"] = {"id": f"ROW-{i}", "type": "ROW", "children": [f"CHART-{name}" for name in row],
                                 "meta": {"background": "BACKGROUND_TRANSPARENT"}, "parents": ["ROOT_ID", "GRID_ID"]}
            for name in row:
                boxes[f"CHART-{name}"] = {
                    "id": f"CHART-{name}", "type": "CHART", "children": [], "parents": ["ROOT_ID", "GRID_ID", f"ROW-{i}"],
                    "meta": {"uuid": identifier(self.slug, "chart", name), "chartId": 1 + list(CHARTS).index(name),
                             "sliceName": self.word(name), "width": 12 // len(row), "height": self.charts[name]["height"]},
                }
        return boxes


def database(name):
    # Where it is says the environment, as of psql: PGHOST, PGPORT.
    return {"database_name": name, "sqlalchemy_uri": f"postgresql+psycopg2://dashboard@/{name}", "uuid": identifier("database", name),
            "version": "1.0.0", "expose_in_sqllab": True, "allow_dml": False, "allow_ctas": False, "allow_cvas": False,
            "allow_run_async": False, "extra": {}}


def files():
    """The files of the import by their paths."""
    found = {"metadata.yaml": {"version": "1.0.0", "type": "assets", "timestamp": "2026-01-01T00:00:00+00:00"}}
    for one in (Dashboard(**what) for what in DASHBOARDS):
        found[f"databases/{one.database}.yaml"] = database(one.database)
        found[f"dashboards/{one.slug}.yaml"] = one.dashboard()
        found |= {f"datasets/{one.database}/{one.slug}_{name}.yaml": one.dataset(name) for name in sorted(one.datasets)}
        found |= {f"charts/{one.slug}_{name}.yaml": one.chart(name) for name in one.charts}
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if sys.argv[1:] else ASSETS
    for path, content in files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=120), encoding="utf-8")
