"""Structured logs: what a line is about (store, stream, sequence, batch id) travels beside its text.

`about(...)` names it for everything logged inside, whichever module logs; `configure` writes lines for
people or JSON objects for machines. Under Prefect its own handlers take the text, which names the batch.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_about: ContextVar[dict[str, object] | None] = ContextVar("tillbridge_log_fields", default=None)

FIELDS = ("store", "stream", "sequence", "batch_id")


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Everything logged inside is about these fields; inner ones add to the outer."""
    token = _about.set({**(_about.get() or {}), **fields})
    try:
        yield
    finally:
        _about.reset(token)


class _AddFields(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.about = _about.get() or {}
        return True


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message and what it is about."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON; a traceback goes into `error`."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "about", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(level: int, *, as_json: bool = False) -> None:
    """Send our own log lines to standard error from here on; those of libraries only from WARNING."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_AddFields())
    handler.setFormatter(JsonLines() if as_json else logging.Formatter("%(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("data_contracts", "tasks", "flows", "deployments"):
        logging.getLogger(name).setLevel(level)
