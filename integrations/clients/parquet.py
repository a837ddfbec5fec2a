#!/usr/bin/env python3
"""Writes what a query returns into a Parquet file: parquet.py "SELECT * FROM shop_customers" customers.parquet

Connects as psql does (PGHOST, PGDATABASE, ...). Amounts stay exact: numeric becomes a decimal, not a float.
"""

import sys

import psycopg
import pyarrow
import pyarrow.parquet


def write(connection, query, path):
    with connection.cursor() as cursor:
        cursor.execute(query)
        names = [column.name for column in cursor.description]
        columns = list(zip(*cursor.fetchall())) or [[] for _ in names]
        pyarrow.parquet.write_table(pyarrow.table([pyarrow.array(column) for column in columns], names=names), path)


if __name__ == "__main__":
    with psycopg.connect() as database:
        write(database, *sys.argv[1:])
