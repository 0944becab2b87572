"""`make demo` from a fresh checkout, again, and after one that was killed."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
HOME = ROOT / ".demo"
COMMAND = [sys.executable, "-m", "deployments.demo"]
SERVER_GONE_SECONDS = 30

pytestmark = [pytest.mark.slow, pytest.mark.prefect_server]


@pytest.fixture(scope="module")
def first() -> str:
    """The output of a demo; `.demo/` is empty before it or was left by another one."""
    return told()


def told() -> str:
    """Run the demo to its end."""
    done = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def reconciliation(output: str) -> str:
    """The part of the story that has all figures."""
    return output[output.index("\n13. ") : output.index("\n14. ")]


def test_the_demo_ends_with_nothing_unexplained(first: str) -> None:
    assert first.rstrip().splitlines()[-1] == "0 unexplained"
    assert " 0 unexplained: " in " ".join(reconciliation(first).split())


def test_the_demo_names_the_ticket_with_the_unknown_sku_and_what_to_do(first: str) -> None:
    text = " ".join(first.split())

    number = re.search(r"Ticket (\d+) has the SKU TILL-NEW-1, which the hub does not know", text)
    assert number is not None
    assert f"LONDON/1/ticket/{number[1]}" in text
    assert "What to do: add the product" in text


def test_the_demo_works_its_quarantine_off_and_says_how(first: str) -> None:
    text = " ".join(first.split())

    assert "1 ticket leaves the quarantine by itself: TILL-NEW-1 is a product now." in text
    assert "Ann edited ticket_lines/1/sku from `TILL-NEW-2` to `15044C`" in text
    assert "0 in quarantine or pending" in text
    assert "apart: 15044C in LONDON, TILL-NEW-2 in LONDON. That is ticket 571: corrected in the hub" in text


def test_the_demo_sends_a_spoiled_batch_again_and_books_it_once(first: str) -> None:
    text = " ".join(first.split())

    assert re.search(r"LONDON/orders/000011-[0-9a-f]{12} is not as it was published", text)
    assert "What to do: run `tillbridge resend LONDON --batch 11` at the store." in text
    assert "which says that it replaces the spoiled one: 3 tickets are booked, once." in text


def test_the_demo_sells_a_new_product_and_a_new_price_on_the_same_day(first: str) -> None:
    chapter = first[first.index("\n9. ") : first.index("\n10. ")]

    assert re.search(r"LONDON +15044C +5\.91 +6\.41", chapter)
    assert re.search(r"LONDON +MUG-TILLBRIDGE +not there +7\.50", chapter)
    assert "on ticket 567 a customer buys two of them and one 15044C" in " ".join(chapter.split())


def test_the_demo_leaves_its_databases_and_its_exchange_folder(first: str) -> None:
    assert first
    assert (HOME / "hub.db").is_file()
    assert sorted(path.parent.name for path in HOME.glob("stores/*/rms.db")) == ["BOSTON", "LONDON"]
    for store in ("BOSTON", "LONDON"):
        assert list((HOME / "exchange" / store / "orders" / "archive").glob("*.manifest.json"))
        assert not list((HOME / "exchange" / store / "orders").glob("*.manifest.json"))


def test_a_demo_that_is_killed_takes_its_server_along_and_the_next_one_starts_fresh(first: str) -> None:
    killed = subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    port = 0
    try:
        assert killed.stdout is not None
        for line in killed.stdout:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                port = int(found[1])
            if line.startswith("6. "):
                break  # the shops trade: flows are running
    finally:
        killed.kill()
        killed.communicate()
    assert port
    assert answers_no_more(port)

    second = told()

    assert reconciliation(second) == reconciliation(first)


def answers_no_more(port: int) -> bool:
    """Whether nothing listens on the port within some seconds."""
    deadline = time.monotonic() + SERVER_GONE_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as client:
            client.settimeout(2)
            if client.connect_ex(("127.0.0.1", port)) != 0:
                return True
        time.sleep(0.2)
    return False
