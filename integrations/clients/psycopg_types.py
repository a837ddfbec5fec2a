"""The types of pg_rfm in psycopg 3: histories, policies, scenarios and models as dicts and lists."""

import json
from decimal import Decimal

import psycopg
from psycopg.types import TypeInfo

NAMES = ["purchase_history", "engagement_history", "contact_history", "membership_history", "segment_policy", "scenario",
         "purchase_model"]


class Document(psycopg.adapt.Loader):
    def load(self, data):
        return json.loads(bytes(data))


class ExactAmounts(psycopg.adapt.Loader):
    def load(self, data):
        return json.loads(bytes(data), parse_float=Decimal)


def register(connection, schema="rfm"):
    """Makes this connection return the types as Python values, alone and in arrays."""
    for name in NAMES:
        info = TypeInfo.fetch(connection, f"{schema}.{name}")
        info.register(connection)
        connection.adapters.register_loader(info.oid, ExactAmounts if name == "purchase_history" else Document)
