"""The types of pg_rfm in asyncpg."""

import json

from psycopg_types import NAMES


async def register(connection, schema="rfm"):
    """Makes this connection take and return the types as Python values."""
    for name in NAMES:
        await connection.set_type_codec(name, schema=schema, encoder=json.dumps, decoder=json.loads, format="text")
