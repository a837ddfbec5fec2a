#!/usr/bin/env python3
"""Tells another system who changed, each change once: follow_changes.py shop_changes https://mailer.example/changes

Connects as psql does. A change is remembered after it was delivered, so that none is missed, and one that a crash repeats
has the same Idempotency-Key, so that the receiver takes none twice. How to begin: docs/guide/exports.md.
"""
import json
import sys
import urllib.request
import psycopg
from psycopg.rows import dict_row

LAST = "SELECT change_id FROM followed WHERE changes = %s AND receiver = %s FOR UPDATE"
NEXT = "SELECT *, (SELECT min(change_id) FROM {0}) AS first_kept FROM {0} WHERE change_id > %s ORDER BY change_id LIMIT 1"
REMEMBER = "UPDATE followed SET change_id = %s WHERE changes = %s AND receiver = %s"


def deliver(change, changes, receiver):
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"{changes}-{change['change_id']}"}
    body = json.dumps(change, default=str).encode()
    urllib.request.urlopen(urllib.request.Request(receiver, body, headers), timeout=60).close()  # or an error: try again


def deliver_next(connection, changes, receiver):
    """Delivers the change after the last one that is remembered; returns whether there was one."""
    with connection.transaction():
        (last,) = connection.execute(LAST, [changes, receiver]).fetchone()  # and keeps a second follower waiting
        change = connection.cursor(row_factory=dict_row).execute(NEXT.format(changes), [last]).fetchone()
        if change and change.pop("first_kept") > last + 1:
            sys.exit(f"{changes}: what came after {last} was deleted before it was delivered: begin anew")
        if change:
            deliver(change, changes, receiver)
            connection.execute(REMEMBER, [change["change_id"], changes, receiver])
        return change is not None


if __name__ == "__main__":
    with psycopg.connect(autocommit=True) as database:
        while deliver_next(database, *sys.argv[1:]):
            pass
