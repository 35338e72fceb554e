"""The tables of the state file, as the scripts that made them, one after the other."""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE sources (
        source TEXT PRIMARY KEY,
        next_due TEXT,              -- when to poll next
        attempt_pid INTEGER,        -- worker that is polling it now
        asked_as TEXT,              -- fingerprint of the question at the last attempt
        stored_as TEXT,             -- … at the last success
        last_attempt TEXT,
        last_success TEXT,
        failed_reason TEXT,         -- null while the last poll succeeded
        failed_message TEXT,
        failed_hint TEXT,
        failures_in_row INTEGER NOT NULL DEFAULT 0,
        poll_seconds REAL,
        rows INTEGER NOT NULL DEFAULT 0,
        estimated TEXT NOT NULL DEFAULT '[]',      -- days the provider still calls an estimate
        restated TEXT NOT NULL DEFAULT '{}',       -- currency → change of settled days at the last poll
        unattributed TEXT NOT NULL DEFAULT '{}',   -- currency → provider's total − Σ rows
        notes TEXT NOT NULL DEFAULT '{}'           -- subject → sentence
    );
    CREATE TABLE counters (
        name TEXT, source TEXT, label TEXT, value TEXT NOT NULL,
        PRIMARY KEY (name, source, label)
    );
    CREATE TABLE accounts (
        provider TEXT, account TEXT, name TEXT NOT NULL,
        PRIMARY KEY (provider, account)
    );
    """,
    """
    ALTER TABLE sources ADD COLUMN folded INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE shown (            -- lines of a source that are not folded into `other`
        source TEXT, provider TEXT, account TEXT, service TEXT, region TEXT,
        PRIMARY KEY (source, provider, account, service, region)
    )
    """,
    """
    CREATE TABLE pages (            -- raw answers that were paid for, compressed with zlib
        key TEXT PRIMARY KEY,       -- hash of source, its question and the request
        source TEXT NOT NULL,
        fresh_until TEXT NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX pages_by_source ON pages (source)
    """,
    """
    ALTER TABLE sources ADD COLUMN observed_settling REAL;   -- seconds, or null while too little was seen
    CREATE TABLE vintages (         -- totals of recent days, as polls saw them change
        source TEXT, day TEXT, currency TEXT, seen TEXT, billed TEXT NOT NULL,
        PRIMARY KEY (source, day, currency, seen)
    )
    """,
    """
    CREATE TABLE spending (         -- what asking cost, by UTC month of the business clock
        source TEXT, month TEXT, operation TEXT, currency TEXT,
        requests INTEGER NOT NULL, charge TEXT NOT NULL, units TEXT NOT NULL,
        PRIMARY KEY (source, month, operation, currency)
    );
    CREATE TABLE answers (          -- how large answers were, for each number of days that was asked for
        source TEXT, asked_as TEXT, operation TEXT, grain TEXT, days INTEGER,
        questions INTEGER NOT NULL, pages INTEGER NOT NULL, charge TEXT NOT NULL, currency TEXT NOT NULL,
        units TEXT NOT NULL,
        PRIMARY KEY (source, operation, grain, days)
    );
    CREATE TABLE paces (            -- what a source spends at its regular interval
        source TEXT PRIMARY KEY, usd_per_day TEXT NOT NULL
    );
    CREATE TABLE backfills (        -- months that an unfinished back-fill has done
        source TEXT, asked_as TEXT, window TEXT, month TEXT,
        PRIMARY KEY (source, month)
    )
    """,
    "ALTER TABLE sources ADD COLUMN open_months TEXT",  # billing months not final yet; null where nobody says
    "ALTER TABLE sources ADD COLUMN history_as TEXT",  # fingerprint of the question that all history was read for
    "ALTER TABLE sources ADD COLUMN rates TEXT NOT NULL DEFAULT '{}'",  # currency → [billing month, USD a unit]
    """
    CREATE TABLE memory (           -- what a judgement said last, for its next look
        kind TEXT, name TEXT, body TEXT NOT NULL,
        PRIMARY KEY (kind, name)
    )
    """,
    """
    CREATE TABLE outbox (           -- one row for each message and channel
        id INTEGER PRIMARY KEY AUTOINCREMENT,      -- the order in which they go out
        key TEXT NOT NULL,          -- names the message, the same at every try
        channel TEXT NOT NULL,
        body TEXT NOT NULL,         -- the message as JSON
        urgent INTEGER NOT NULL,    -- quiet hours may let it pass
        state TEXT NOT NULL DEFAULT 'waiting',     -- or sent, bundled, dead
        made TEXT NOT NULL,
        due TEXT NOT NULL,          -- when to try next
        held INTEGER NOT NULL DEFAULT 0,           -- quiet hours keep it
        attempts INTEGER NOT NULL DEFAULT 0,
        ended TEXT,                 -- when it stopped waiting
        reason TEXT, said TEXT,     -- of the last try that failed
        done TEXT NOT NULL DEFAULT '',             -- recipients that have it already, a line each
        UNIQUE (key, channel)
    );
    CREATE INDEX outbox_by_channel ON outbox (state, channel, id);
    CREATE TABLE told (             -- what people were told last, by fingerprint of what it is about
        fingerprint TEXT PRIMARY KEY, status TEXT NOT NULL, mark TEXT NOT NULL, at TEXT NOT NULL
    )
    """,
)
"""One script per schema version, forward only; the number applied is SQLite's `user_version`."""
