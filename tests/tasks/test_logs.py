"""A log line says what it is about, for people and for machines."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from tasks import logs


@pytest.fixture
def captured() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger of its own with our filter and format."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(logs._AddFields())
    handler.setFormatter(logs.JsonLines())
    logger = logging.getLogger("tests.logs")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield logger, stream
    logger.removeHandler(handler)


def test_every_line_inside_names_store_stream_sequence_and_batch(
    captured: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, stream = captured

    with logs.about(store="S1", stream="orders"), logs.about(sequence=412, batch_id="9f2c51d07ab3"):
        logger.info("imported %s", "S1/orders/000412-9f2c51d07ab3")
    logger.info("done")

    inside, outside = (json.loads(line) for line in stream.getvalue().splitlines())
    assert {name: inside[name] for name in logs.FIELDS} == {
        "store": "S1",
        "stream": "orders",
        "sequence": 412,
        "batch_id": "9f2c51d07ab3",
    }
    assert inside["message"] == "imported S1/orders/000412-9f2c51d07ab3"
    assert "store" not in outside


def test_a_line_break_or_quote_in_a_message_stays_one_line(
    captured: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, stream = captured

    logger.warning('two\nlines and a "quote"')

    assert json.loads(stream.getvalue())["message"] == 'two\nlines and a "quote"'
    assert stream.getvalue().count("\n") == 1
