"""A million orders, and every question about them answered while somebody waits."""
import sqlite3
import time

import pytest

from flashgate.postgres import Postgres
from flashgate.programs import until

pytestmark = pytest.mark.full

ORDERS, FIRST_MS = 1_000_000, 1_790_000_000_000
PATIENCE = 1  # second; most take a few milliseconds
ORDER = (FIRST_MS + ORDERS // 2, f"1-00000001-{FIRST_MS + ORDERS // 2}-0")
# Twenty sales one after the other of a hundred SKUs each, a quarter of a million users, few orders that are not confirmed.
COLUMNS = f"""
    '1-00000001-' || ({FIRST_MS} + n) || '-0', 'sale-' || (n / 50000), 'sku-' || (n % 100), 'user-' || (n % 250000), 1,
    CASE WHEN n % 20011 = 0 THEN 'expired' WHEN n % 997 = 0 THEN 'held' ELSE 'confirmed' END,
    {FIRST_MS} + n, {FIRST_MS} + n, 0, NULL"""
QUESTIONS = [  # and how many orders the answer has
    ("", 100),
    ("sale=sale-3", 100),
    ("sale=sale-3&sku=sku-7", 100),
    ("sale=nothing", 0),
    ("sku=sku-7", 100),
    ("sku=nothing", 0),
    ("user=user-777", 4),
    ("user=user-777&status=expired", 0),
    ("status=confirmed", 100),
    ("status=expired", 50),
    ("status=cancelled", 0),
    ("sale=sale-3&status=expired", 2),
    ("sale=sale-3&status=cancelled", 0),
    ("since=2026-09-21T14:26:39Z&limit=1000", 1000),
    ("until=2026-09-21T14:13:21Z", 100),
    (f"after={ORDER[1]}", 100),
    (f"sale=sale-10&after={ORDER[1]}", 0),
    (f"sale=sale-9&status=confirmed&after={ORDER[1]}&limit=1000", 1000),
]


def fill_sqlite(database):
    with sqlite3.connect(database, timeout=60) as connection:
        connection.execute(f"INSERT INTO orders WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers"
                           f" WHERE n < {ORDERS} - 1) SELECT {COLUMNS} FROM numbers")
    connection.close()


def fill_postgres(postgres):
    postgres.rows(f"INSERT INTO flashgate.orders SELECT {COLUMNS} FROM generate_series(0::bigint, {ORDERS} - 1) AS n")
    postgres.rows("ANALYZE flashgate.orders")


def assert_answered_in_time(relay):
    took = {}
    for question, count in QUESTIONS:
        started = time.monotonic()
        answer = relay.admin("GET", "/orders?" + question)
        took[question] = time.monotonic() - started
        assert answer.status == 200, answer
        assert len(answer.json["orders"]) == count, question
    for question, seconds in sorted(took.items(), key=lambda row: row[1]):
        print(f"{1e3 * seconds:8.1f} ms  {question}")
    assert max(took.values()) < PATIENCE, took


def test_in_sqlite(stage):
    stage.gateway()
    relay = stage.relay()
    fill_sqlite(relay.database)
    assert_answered_in_time(relay)


def test_in_postgresql(stage):
    postgres = stage.program(Postgres()).start()
    stage.gateway()
    relay = stage.relay(sinks=[{"id": "warehouse", "type": "postgresql", "connect": postgres.connect}])
    until(lambda: postgres.rows("SELECT to_regclass('flashgate.orders')") != [(None,)], "the schema is there")
    fill_postgres(postgres)
    assert_answered_in_time(relay)
