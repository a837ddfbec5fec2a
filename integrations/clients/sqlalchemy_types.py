"""The types of pg_rfm in SQLAlchemy 2, for tables that are declared and for those that are reflected."""

import json
from functools import partial

from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import UserDefinedType

from psycopg_types import NAMES


class Document(UserDefinedType):
    """One of the types, by its name: Document("segment_policy")."""

    cache_ok = True

    def __init__(self, name, schema="rfm"):
        self.name, self.schema = name, schema

    def get_col_spec(self, **options):
        return f"{self.schema}.{self.name}"

    def bind_processor(self, dialect):
        return lambda value: None if value is None else json.dumps(value)

    def result_processor(self, dialect, column_type):
        return lambda value: None if value is None else json.loads(value)


# Reflection asks by the name as the search path shows it.
ischema_names.update({f"{schema}{name}": partial(Document, name) for name in NAMES for schema in ("", "rfm.")})
