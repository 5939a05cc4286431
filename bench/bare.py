"""The measure of the webhook's speed: a bare Flask app that checks the signature and commits one INSERT."""

import hashlib
import hmac
import re
import sqlite3
import threading
import time
from typing import Any

import psycopg
import sqlalchemy as sa
from flask import Flask, request

TABLE = """CREATE TABLE IF NOT EXISTS bare_events (
    id INTEGER PRIMARY KEY{auto}, fingerprint TEXT UNIQUE, received_at DOUBLE PRECISION, raw {bytes})"""
INSERT = "INSERT INTO bare_events (fingerprint, received_at, raw) VALUES ({0}, {0}, {0}) ON CONFLICT DO NOTHING"


def create_bare(url: str, secret: str) -> Flask:
    """One connection per thread, kept; SQLite with WAL and FULL, PostgreSQL as it comes."""
    app = Flask("bare")
    kept = threading.local()
    where = sa.make_url(url)
    is_sqlite = where.get_backend_name() == "sqlite"
    statement = INSERT.format("?" if is_sqlite else "%s")

    def connect() -> Any:
        if is_sqlite:
            connection = sqlite3.connect(str(where.database), timeout=5, isolation_level="IMMEDIATE")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            return connection
        return psycopg.connect(
            host=where.host,
            port=where.port,
            user=where.username,
            password=where.password,
            dbname=where.database,
        )

    first = connect()
    if not is_sqlite:  # IF NOT EXISTS still fails where two processes make the same table at once
        first.execute("SELECT pg_advisory_xact_lock(1)")
    first.execute(
        TABLE.format(auto="", bytes="BLOB")
        if is_sqlite
        else TABLE.format(auto=" GENERATED ALWAYS AS IDENTITY", bytes="BYTEA")
    )
    first.commit()
    first.close()

    @app.post("/api/zoom/webhook")
    def webhook() -> tuple[str, int]:
        raw = request.get_data()
        sent_at = request.headers.get("x-zm-request-timestamp", "")
        expected = hmac.new(secret.encode(), b"v0:" + sent_at.encode() + b":" + raw, hashlib.sha256).hexdigest()
        if not re.fullmatch("[0-9]{10}", sent_at) or abs(time.time() - int(sent_at)) > 7200:
            return "", 401
        if not hmac.compare_digest(b"v0=" + expected.encode(), request.headers["x-zm-signature"].encode()):
            return "", 401
        if not hasattr(kept, "connection"):
            kept.connection = connect()
        kept.connection.execute(statement, (hashlib.sha256(raw).hexdigest(), time.time(), raw))
        kept.connection.commit()
        return "", 200

    return app
