"""That follow_changes.py misses and doubles no change, whenever it is killed. Connects as psql does; the worked shop is there."""

import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

import psycopg

FOLLOW = os.path.join(os.path.dirname(os.path.abspath(__file__)), "follow_changes.py")
WATCHED = ["lifecycle_state", "rfm_segment", "vip_tier", "next_action"]


class Receiver(ThreadingHTTPServer):
    """The other system: takes each Idempotency-Key once. `crashes` says at which deliveries the follower is killed."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Delivery)
        self.url = f"http://127.0.0.1:{self.server_port}/changes"
        self.taken, self.deliveries, self.repeated = {}, 0, 0
        self.crashes, self.follower = {}, None
        self.lock = Lock()
        Thread(target=self.serve_forever, daemon=True).start()

    def take(self, key, change):
        if key in self.taken:
            assert self.taken[key] == change, f"{key} is another change than before"
            self.repeated += 1
        self.taken[key] = change

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # of a follower that was killed
            super().handle_error(request, client_address)


class Delivery(BaseHTTPRequestHandler):
    def do_POST(self):
        change = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.deliveries += 1
            crash = self.server.crashes.get(self.server.deliveries)
            if crash not in ("before it is taken", "it is refused"):
                self.server.take(self.headers["Idempotency-Key"], change)
            if crash == "before it is remembered":
                self.crash_while_it_remembers()
            elif crash in ("before it is taken", "before it is answered"):
                self.server.follower.kill()
            else:
                self.answer(503 if crash == "it is refused" else 204)

    def crash_while_it_remembers(self):
        """Kills the follower when it has the answer: it waits for this lock to write down what it delivered."""
        waits = "SELECT FROM pg_locks WHERE relation = 'followed'::regclass AND NOT granted"
        with psycopg.connect() as connection:
            connection.execute("LOCK TABLE followed IN SHARE MODE")
            self.answer(204)
            while connection.execute(waits).fetchone() is None:
                time.sleep(0.01)
            self.server.follower.kill()
            self.server.follower.wait()

    def answer(self, status):
        self.send_response(status)
        self.end_headers()
        self.wfile.flush()

    def log_message(self, *ignored):
        pass


def follow(receiver):
    command = [sys.executable, FOLLOW, "shop_changes", receiver.url]
    receiver.follower = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    said = receiver.follower.communicate(timeout=120)[1]
    return receiver.follower.returncode, said


def begin(connection, receiver):
    connection.execute("DELETE FROM followed")
    connection.execute("INSERT INTO followed SELECT 'shop_changes', %s, coalesce(max(change_id), 0) FROM shop_changes",
                       [receiver.url])


def feed(connection):
    return [number for (number,) in connection.execute("SELECT change_id FROM shop_changes ORDER BY change_id")]


def delivered(receiver):
    """Numbers in the order in which they were first taken."""
    return [change["change_id"] for change in receiver.taken.values()]


def present(connection):
    rows = connection.execute(f"SELECT customer_id, {', '.join(WATCHED)} FROM shop_customers")
    return {customer: dict(zip(WATCHED, values)) for customer, *values in rows}


def check(connection):
    connection.execute("CREATE TABLE followed (changes text, receiver text, change_id bigint NOT NULL,"
                       " PRIMARY KEY (changes, receiver))")
    receiver = Receiver()
    begin(connection, receiver)
    copy = present(connection)
    for day in ("2026-07-01", "2026-07-05", "2026-07-09"):
        connection.execute("SELECT refresh_segmentation('shop', as_of => %s)", [day])
    expected = feed(connection)
    assert len(expected) > 100, expected

    # kill -9 at each place, twice: it is run again, and that is all.
    receiver.crashes = {1: "before it is taken", 2: "before it is answered", 30: "before it is remembered",
                        31: "before it is answered", 50: "it is refused", 70: "before it is taken",
                        90: "before it is remembered"}
    statuses = []
    while not statuses or statuses[-1] != 0:
        statuses.append(follow(receiver)[0])
    assert statuses == [-9, -9, -9, -9, 1, -9, -9, 0], statuses
    assert delivered(receiver) == expected, "a change was missed, doubled or out of its order"
    # What was taken and not remembered came again, and was known by its number.
    assert receiver.repeated == 4 and receiver.deliveries == len(expected) + len(receiver.crashes)
    for change in receiver.taken.values():
        copy.setdefault(change["customer_id"], {})[change["what"]] = change["to_value"]
    assert copy == present(connection), "what was copied and what was delivered are not the present"

    # Two at once deliver each change once.
    receiver.crashes = {}
    connection.execute("SELECT refresh_segmentation('shop', as_of => '2026-07-20')")
    command = [sys.executable, FOLLOW, "shop_changes", receiver.url]
    assert [one.wait(timeout=120) for one in [subprocess.Popen(command) for _ in range(2)]] == [0, 0]
    expected = feed(connection)
    assert delivered(receiver) == expected and receiver.repeated == 4

    # What was deleted before it was delivered is an error until somebody begins anew.
    connection.execute("SELECT refresh_segmentation('shop', as_of => '2026-08-10')")
    connection.execute("DELETE FROM shop_changes WHERE change_id <= %s", [max(expected) + 1])
    status, said = follow(receiver)
    assert status == 1 and "begin anew" in said and delivered(receiver) == expected, said
    begin(connection, receiver)
    assert follow(receiver)[0] == 0 and delivered(receiver) == expected
    receiver.shutdown()
    receiver.server_close()


with psycopg.connect(autocommit=True) as database:
    check(database)
