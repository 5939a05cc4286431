"""Baseline for the webhook: a minimal Flask app that verifies the signature and commits one INSERT."""

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
    """One persistent connection per thread; SQLite with WAL and FULL, PostgreSQL with its defaults."""
    app = Flask("bare")
    thread_local = threading.local()
    database_url = sa.make_url(url)
    is_sqlite = database_url.get_backend_name() == "sqlite"
    statement = INSERT.format("?" if is_sqlite else "%s")

    def connect() -> Any:
        if is_sqlite:
            connection = sqlite3.connect(str(database_url.database), timeout=5, isolation_level="IMMEDIATE")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            return connection
        return psycopg.connect(
            host=database_url.host,
            port=database_url.port,
            user=database_url.username,
            password=database_url.password,
            dbname=database_url.database,
        )

    connection = connect()
    if not is_sqlite:  # IF NOT EXISTS fails if two processes create the same table at once
        connection.execute("SELECT pg_advisory_xact_lock(1)")
    connection.execute(
        TABLE.format(auto="", bytes="BLOB")
        if is_sqlite
        else TABLE.format(auto=" GENERATED ALWAYS AS IDENTITY", bytes="BYTEA")
    )
    connection.commit()
    connection.close()

    @app.post("/api/zoom/webhook")
    def webhook() -> tuple[str, int]:
        raw = request.get_data()
        sent_at = request.headers.get("x-zm-request-timestamp", "")
        expected = hmac.new(secret.encode(), b"v0:" + sent_at.encode() + b":" + raw, hashlib.sha256).hexdigest()
        if not re.fullmatch("[0-9]{10}", sent_at) or abs(time.time() - int(sent_at)) > 7200:
            return "", 401
        if not hmac.compare_digest(b"v0=" + expected.encode(), request.headers["x-zm-signature"].encode()):
            return "", 401
        if not hasattr(thread_local, "connection"):
            thread_local.connection = connect()
        thread_local.connection.execute(statement, (hashlib.sha256(raw).hexdigest(), time.time(), raw))
        thread_local.connection.commit()
        return "", 200

    return app
