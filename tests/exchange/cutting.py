"""Operations on an exchange folder over a wire that is cut, and what may be seen afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from data_contracts.errors import TransferInterrupted
from tasks.exchange.connections import Pool
from tasks.exchange.folder import Folder
from tasks.exchange.remote import RemoteFolder
from tests.exchange.servers import Wire

A = "S1/orders/a.csv"
HEAD = "S1/orders/head.json"
LARGE = bytes(range(256)) * 500 + b"the end"


def prepared(root: Path) -> None:
    """What lies there before an operation begins."""
    for name, content in ((HEAD, b"old"), ("S1/orders/m.csv", LARGE), (".tillbridge-exchange", b"")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def shown(root: Path) -> dict[str, bytes]:
    """Every file that a reader may see, in full."""
    return {
        found.relative_to(root).as_posix(): found.read_bytes()
        for found in root.rglob("*")
        if found.is_file() and not found.name.endswith(".part") and found.name != ".tillbridge-exchange"
    }


BEFORE = {HEAD: b"old", "S1/orders/m.csv": LARGE}


class Operation(NamedTuple):
    """Something that is done to a folder, what it answers and what it leaves."""

    do: Callable[[Folder], object]
    answer: object
    after: dict[str, bytes]


OPERATIONS = {
    "publish": Operation(lambda folder: folder.publish(A, LARGE), None, {**BEFORE, A: LARGE}),
    "replace": Operation(
        lambda folder: folder.replace(HEAD, b"new" * 99), None, {**BEFORE, HEAD: b"new" * 99}
    ),
    "move": Operation(
        lambda folder: folder.move("S1/orders/m.csv", "S1/orders/archive/m.csv"),
        None,
        {HEAD: b"old", "S1/orders/archive/m.csv": LARGE},
    ),
    "read": Operation(lambda folder: folder.read("S1/orders/m.csv"), LARGE, BEFORE),
    "list": Operation(lambda folder: folder.list("S1/orders"), ["head.json", "m.csv"], BEFORE),
    "exists": Operation(lambda folder: folder.exists(HEAD), True, BEFORE),
}


def _attempt(operation: Operation, folder: Folder, root: Path) -> object:
    try:
        return operation.do(folder)
    except TransferInterrupted as error:
        assert shown(root) in (BEFORE, operation.after), "nothing half done is seen"
        return error


def cut_and_repeat(
    root: Path,
    reach: Any,
    remote: str,
    name: str,
    direction: str,
    part: float,
    times: int,
    *,
    laid: Callable[[Wire], None] = lambda wire: None,
) -> int:
    """One operation over a wire that breaks; done again until it ends. Returns how often it was done.

    `reach` is a server's address; `laid` learns of the wire before it is used.
    """
    operation = OPERATIONS[name]
    prepared(root)
    pool = Pool()
    with Wire(reach.port) as wire:
        laid(wire)
        folder = RemoteFolder(replace(reach, port=wire.port), remote, pool=pool)
        try:
            assert folder.list("S2") == []
            size = {"publish": 150_000, "read": 140_000}.get(name, 3_000)
            wire.break_after(direction, int(size * part), times=times)
            done, answer = 1, _attempt(operation, folder, root)
            while isinstance(answer, TransferInterrupted):
                done, answer = done + 1, _attempt(operation, folder, root)
            assert answer == operation.answer
            assert shown(root) == operation.after
        finally:
            folder.close()
            pool.close()
    return done
