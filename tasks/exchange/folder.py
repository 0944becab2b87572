"""The folder through which stores and hub talk: what any kind of it must offer, and how one is opened.

A name appears only when its content is complete, and never changes afterwards (`head.json` and
acknowledgements apart): the other side takes whatever it sees.
"""

from __future__ import annotations

import builtins
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Protocol

from data_contracts.errors import BatchAltered, ConfigurationError, TransferInterrupted
from tasks import faults
from tasks.settings import Settings

if TYPE_CHECKING:
    from tasks.exchange.sessions import Server

PART_SUFFIX = ".part"
"""Ending of a file that is still being written; never listed."""

LEFTOVER_SECONDS = 3600
"""A part file that much older than ours belongs to a run that was killed."""

MARKER_NAME = ".tillbridge-exchange"
"""A file at the top that tells an exchange folder from the empty place where a share is to be mounted."""

MARKER_TEXT = b"An exchange folder of tillbridge. Without this file it would pass for an unmounted share.\n"

UNSAFE = (
    "ftp:// encrypts nothing: whoever is on the way reads the password and every ticket, and may alter them; "
    "use ftps:// or sftp://"
)
"""What is said where `ftp://` is asked for by name."""

faults.declare(
    "exchange.mark",
    "exchange.marked",
    "exchange.write",
    "exchange.written",
    "exchange.publish",
    "exchange.published",
    "exchange.replace",
    "exchange.replaced",
    "exchange.move",
    "exchange.moved",
    "exchange.remove",
    "exchange.removed",
)


class Folder(Protocol):
    """A tree of files. Paths are relative and separated by `/`: `S1/orders/000412-....manifest.json`.

    Every method raises `TransferInterrupted` where trying again may help and `ConfigurationError`
    where it cannot (no permission, read-only).
    """

    def take_into_use(self) -> None:
        """Make this the exchange folder, also if it is empty: for the first baseline alone.

        To everything else an empty folder is an unmounted share, `TransferInterrupted`.
        """

    def list(self, path: str) -> builtins.list[str]:
        """Names of the files directly in a folder, sorted; none if the folder does not exist."""

    def read(self, path: str) -> bytes:
        """All of a file; FileNotFoundError if there is none."""

    def exists(self, path: str) -> bool:
        """Whether there is a file of that name."""

    def publish(self, path: str, data: bytes) -> None:
        """Let a complete file appear under a name that nobody has taken.

        Written aside, flushed to the disk, read back (size and SHA-256), then renamed without
        replacing. The same content under that name counts as done; `BatchAltered` for any other.
        """

    def replace(self, path: str, data: bytes) -> None:
        """Let a complete file appear in place of the old one, atomically."""

    def move(self, path: str, to: str) -> None:
        """Rename without replacing; done if it was done before.

        FileNotFoundError if neither name exists; `BatchAltered` if both do with other content.
        """

    def remove(self, path: str) -> None:
        """Let a file be gone; done if it is not there."""


@contextmanager
def open_folder(settings: Settings) -> Iterator[Folder]:
    """The exchange folder of the settings, until the block ends; for the thread that opened it.

    Nothing is connected before the first use. `ConfigurationError` for an address that is none.
    """
    url = settings.exchange_url
    # A drive such as `C:\exchange` looks like a scheme of one letter.
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", url)
    scheme = found[1].lower() if found else ""
    if scheme:
        from tasks.exchange.remote import RemoteFolder

        with RemoteFolder(*_server(scheme, settings)) as folder:
            yield folder
        return
    from tasks.exchange.local import LocalFolder

    yield LocalFolder(url)


def _server(scheme: str, settings: Settings) -> tuple[Server, str]:
    if scheme == "sftp":
        from tasks.exchange.ssh import read_address

        return read_address(settings)
    from tasks.exchange import ftp_login

    return ftp_login.read_address(settings)


def steps_of(path: str) -> tuple[str, ...]:
    """The names a path goes through; `ConfigurationError` if it leads out of the folder."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or any(p == ".." or "\\" in p or ":" in p for p in parts):
        raise ConfigurationError(
            f"`{path}` is not a path inside the exchange folder. Retrying cannot clear this.",
            next_step="correct the name; names in the exchange come from manifests and settings",
            path=path,
        )
    return parts


def part_name(name: str) -> str:
    """What a file is called while it is written: a name that is nobody else's."""
    return f".{name}.{secrets.token_hex(4)}{PART_SUFFIX}"


def taken(path: str) -> BatchAltered:
    """The name is in use, with other content."""
    return BatchAltered(
        f"`{path}` already exists in the exchange folder with other content. Retrying cannot clear this; "
        "nothing was overwritten.",
        next_step="see who else writes into this stream, then export again: a new batch takes a new name",
        path=path,
    )


def unmounted(folder: str) -> TransferInterrupted:
    """An empty folder without the mark."""
    return TransferInterrupted(
        f"The exchange folder {folder} is empty and bears no mark: it looks like an unmounted "
        "share. Nothing was read or written; retrying may help.",
        next_step="mount the share; a folder that is really new is taken into use by `tillbridge baseline`",
        folder=folder,
    )


def not_there(folder: str) -> TransferInterrupted:
    """Neither the folder nor the one that would hold it."""
    return TransferInterrupted(
        f"The exchange folder {folder} is not there, nor is the folder above it.",
        next_step="mount the share, or correct [exchange] url in tillbridge.toml",
        folder=folder,
    )


def reads_back_otherwise(path: str, read: int, written: int) -> TransferInterrupted:
    """What was written is not what lies there, in bytes."""
    return TransferInterrupted(
        f"`{path}` reads back as {read:,} bytes that are not the {written:,} written. "
        "Nothing was published; retrying may help.",
        next_step="check the disk or share that holds the exchange folder",
        path=path,
    )


def refused(action: str, path: str, folder: str, reason: str) -> ConfigurationError:
    """This account may not."""
    return ConfigurationError(
        f"{action.capitalize()} `{path}` in the exchange folder {folder} is refused: {reason}. "
        "Retrying cannot clear this.",
        next_step=f"give this account the right to read and write {folder}",
        path=path,
    )


def failed(action: str, path: str, folder: str, reason: str, next_step: str) -> TransferInterrupted:
    """It did not work this time."""
    return TransferInterrupted(
        f"{action.capitalize()} `{path}` in the exchange folder {folder} failed: {reason}. "
        "Retrying may help.",
        next_step=next_step,
        path=path,
    )
