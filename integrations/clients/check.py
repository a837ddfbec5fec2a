"""What docs/guide/clients.md says of each client. Connects as psql does; the worked shop is there."""

import asyncio
import json
import tempfile
from decimal import Decimal

import asyncpg
import pandas
import psycopg
import pyarrow.parquet
import sqlalchemy
from sqlalchemy.pool import NullPool

import asyncpg_types
import parquet
import psycopg_types
import sqlalchemy_types

HISTORY = "SELECT purchase_history(d, a) FROM (VALUES (date '2026-01-01', 100.5), ('2026-02-01', 12345678901234567.89)) AS v (d, a)"
EXPECTED = {
    "2026-01-01": {"orders": 1, "amount": Decimal("100.5")},
    "2026-02-01": {"orders": 1, "amount": Decimal("12345678901234567.89")},
}
# One value of each type, and what stands beside them in the views.
ALL = """SELECT purchase_history(date '2026-01-01', 1) AS purchase_history, preset_policy('replenishment') AS segment_policy,
    engagement_history('review', '2026-01-01') AS engagement_history, membership_history('paused', '2026-01-01') AS membership_history,
    contact_history('email', date '2026-01-01', 's', 't', 'g') AS contact_history, preset_scenario('vip_advocacy') AS scenario,
    '{"model": "bgnbd", "purchases": {"r": 0.243, "alpha": 30.898, "a": 0.793, "b": 2.426}}'::purchase_model AS purchase_model"""
TYPES = "SELECT typname FROM pg_type WHERE typnamespace = 'rfm'::regnamespace AND typtype = 'b' AND typcategory <> 'A'"
VIEW = "SELECT orders, monetary, first_purchase_on, lifecycle_state FROM shop_customers WHERE orders > 0 ORDER BY customer_id LIMIT 1"


def kinds(row):
    return [type(value).__name__ for value in row]


def check_psycopg():
    with psycopg.connect() as connection:
        assert set(kinds(connection.execute(ALL).fetchone())) == {"str"}
        assert kinds(connection.execute(VIEW).fetchone()) == ["int", "Decimal", "date", "str"]
        assert set(kinds(connection.cursor(binary=True).execute(ALL).fetchone())) == {"bytes"}
        composite = "SELECT s FROM shop_facts AS f CROSS JOIN segment_customer(f.history, f.as_of, f.policy) AS s LIMIT 1"
        assert kinds(connection.execute(composite).fetchone()) == ["str"]
        assert kinds(connection.execute(composite.replace("SELECT s", "SELECT s.*")).fetchone())[0] != "str"

        assert {name for (name,) in connection.execute(TYPES)} == set(psycopg_types.NAMES)
        psycopg_types.register(connection)
        assert connection.execute(HISTORY).fetchone() == (EXPECTED,)
        history, policy, engagement, memberships, contacts, scenario, model = connection.execute(ALL).fetchone()
        assert policy["lifecycle"]["dormant_after_days"] == 90
        assert engagement == {"review": {"2026-01-01": 1}} and memberships == {"2026-01-01": "paused"}
        assert model["purchases"]["alpha"] == 30.898
        assert contacts == [{"on": "2026-01-01", "channel": "email", "scenario": "s", "step": "t", "group": "g"}]
        scenarios = connection.execute("SELECT array_agg(preset_scenario(name)) FROM scenario_presets()").fetchone()[0]
        assert len(scenarios) == 20 and scenario in scenarios

        # There and back: the same value, by its text.
        policy["lifecycle"]["dormant_after_days"] = 120
        asked = "SELECT effective_policy(%s) #> '{lifecycle,dormant_after_days}'"
        assert connection.execute(asked, [json.dumps(policy)]).fetchone() == (120,)
        for name, value in zip(("engagement_history", "membership_history", "contact_history", "scenario", "purchase_model"),
                               (engagement, memberships, contacts, scenario, model)):
            same = f"SELECT %s::{name} = {name} FROM ({ALL}) AS a"
            assert connection.execute(same, [json.dumps(value)]).fetchone() == (True,), name
        try:
            connection.execute("SELECT %s::segment_policy", [json.dumps({"lifecycle": {"dormant_days": 1}})])
            raise AssertionError("a policy with an unknown key was taken")
        except psycopg.errors.InvalidTextRepresentation as error:
            assert error.diag.message_primary and error.diag.message_hint, error.diag


async def check_asyncpg():
    connection = await asyncpg.connect()
    row = await connection.fetchrow(ALL)
    assert set(kinds(row)) == {"str"}
    assert kinds(await connection.fetchrow(VIEW)) == ["int", "Decimal", "date", "str"]
    composite = await connection.fetchval("SELECT s FROM segment_customer(NULL, '2026-01-01') AS s")
    assert composite["lifecycle_state"] == "prospect"

    await asyncpg_types.register(connection)
    assert (await connection.fetchval("SELECT preset_policy('replenishment')"))["lifecycle"]["dormant_after_days"] == 90
    policy = {"lifecycle": {"dormant_after_days": 120}}
    assert await connection.fetchval("SELECT effective_policy($1) #>> '{lifecycle,dormant_after_days}'", policy) == "120"
    await connection.close()


def check_sqlalchemy(engine):
    Document = sqlalchemy_types.Document
    metadata = sqlalchemy.MetaData()
    policies = sqlalchemy.Table(
        "policies",
        metadata,
        sqlalchemy.Column("name", sqlalchemy.Text, primary_key=True),
        sqlalchemy.Column("policy", Document("segment_policy")),
    )
    with engine.connect() as connection:
        metadata.create_all(connection)
        policy = {"lifecycle": {"dormant_after_days": 120}}
        connection.execute(policies.insert(), [{"name": "ours", "policy": policy}, {"name": "none", "policy": None}])
        assert connection.scalar(sqlalchemy.select(policies.c.policy).where(policies.c.name == "ours")) == policy
        assert connection.scalar(sqlalchemy.select(policies.c.policy).where(policies.c.name == "none")) is None
        assert connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).where(policies.c.policy == policy)) == 1

        # Reflected, materialized views too; a warning, that a type is not recognized, would be an error.
        shop = sqlalchemy.MetaData()
        shop.reflect(connection, views=True)
        facts, customers = shop.tables["shop_facts"], shop.tables["shop_customers"]
        history = connection.scalar(sqlalchemy.select(facts.c.history).where(facts.c.history.is_not(None)).limit(1))
        assert all(day["orders"] >= 0 for day in history.values())
        at_risk = sqlalchemy.select(sqlalchemy.func.count()).where(customers.c.lifecycle_state == "at_risk")
        assert connection.scalar(at_risk) > 50


def check_pandas(engine):
    customers = "SELECT customer_id, lifecycle_state, monetary, last_purchase_on FROM shop_customers"
    with engine.connect() as connection:
        usual = pandas.read_sql(customers, connection)
        exact = pandas.read_sql(customers, connection, coerce_float=False, parse_dates=["last_purchase_on"])
        total = connection.scalar(sqlalchemy.text("SELECT sum(monetary) FROM shop_customers"))
    assert usual.monetary.dtype == "float64" and usual.last_purchase_on.dtype == object
    assert exact.monetary.sum() == total and isinstance(exact.monetary.sum(), Decimal)
    assert exact.last_purchase_on.dtype.kind == "M"


def check_parquet():
    query = "SELECT customer_id, lifecycle_state, monetary, value_score, last_purchase_on, wait_until FROM shop_customers"
    with psycopg.connect() as connection, tempfile.TemporaryDirectory() as folder:
        parquet.write(connection, query, f"{folder}/customers.parquet")
        written = pyarrow.parquet.read_table(f"{folder}/customers.parquet")
        rows = connection.execute(query).fetchall()
        assert [tuple(row.values()) for row in written.to_pylist()] == rows and len(rows) == 2000
        assert pyarrow.types.is_decimal(written.schema.field("monetary").type)
        parquet.write(connection, query + " WHERE false", f"{folder}/nobody.parquet")
        assert pyarrow.parquet.read_table(f"{folder}/nobody.parquet").num_rows == 0


check_psycopg()
asyncio.run(check_asyncpg())
ENGINE = sqlalchemy.create_engine("postgresql+psycopg://", poolclass=NullPool)
check_sqlalchemy(ENGINE)
check_pandas(ENGINE)
check_parquet()
