"""The folder through which stores and hub talk: what any kind of it must offer, and how one is opened.

A name appears only when its content is complete, and never changes afterwards (`head.json` and
acknowledgements apart): the other side takes whatever it sees.
"""

from __future__ import annotations

import builtins
import re
from typing import Protocol
from urllib.parse import urlsplit

from data_contracts.errors import ConfigurationError
from tasks import faults

PART_SUFFIX = ".part"
"""Ending of a file that is still being written; never listed."""

MARKER_NAME = ".tillbridge-exchange"
"""A file at the top that tells an exchange folder from the empty place where a share is to be mounted."""

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


def open_folder(url: str) -> Folder:
    """The exchange folder of a path; `ConfigurationError` for a kind that this version does not have."""
    # A drive such as `C:\exchange` looks like a scheme of one letter.
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", url):
        scheme = urlsplit(url).scheme.lower()
        raise ConfigurationError(
            f"The exchange over {scheme}:// is not available in this version of tillbridge.",
            next_step="set [exchange] url to a local folder or a mounted share",
            scheme=scheme,
        )
    from tasks.exchange.local import LocalFolder

    return LocalFolder(url)
