"""What an exchange folder asks of a server, whatever protocol it speaks; nothing here opens a connection."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, Protocol

from tasks.exchange.folder import PART_SUFFIX

CONNECT_SECONDS = 10.0
"""For the network to reach the server."""

LOGIN_SECONDS = 20.0
"""For each step from the server's greeting to the end of the login."""

ANSWER_SECONDS = 30.0
"""For the answer to each request."""

BEFORE_SUFFIX = f".before{PART_SUFFIX}"
"""Ending of what a file was before it was replaced, at servers that cannot replace by a rename."""


class Kind(Enum):
    """What a name stands for; links are followed where the server follows them."""

    FILE = "file"
    FOLDER = "folder"


class Entry(NamedTuple):
    """One name in a folder."""

    name: str
    is_file: bool


class Session(Protocol):
    """A connection that is logged in. Each request may be made twice without harm.

    The server's answers are OSErrors; whatever else is raised means a connection that broke, and so does
    an OSError of which `broken` says it.
    """

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """All that a request may raise."""

    @property
    def alive(self) -> bool:
        """Whether nothing is known to the contrary."""

    def close(self) -> None:
        """End it; never raises."""

    def broken(self, error: BaseException) -> bool:
        """Whether an error means that the connection is of no more use; else it was the server's answer."""

    def kind(self, place: str) -> Kind | None:
        """What is there; None if nothing is."""

    def modified(self, place: str) -> float | None:
        """When a file was changed last, in seconds on the server's clock; None if it does not say."""

    def entries(self, folder: str) -> list[Entry] | None:
        """All that lies in a folder, hidden or not where the server shows it; None if it is not there."""

    def read(self, place: str) -> bytes:
        """All of a file; FileNotFoundError."""

    def create(self, place: str, data: bytes) -> None:
        """Write a new file; FileNotFoundError if there is no folder for it."""

    def make_folder(self, place: str) -> None:
        """Make a folder, also if another one makes it at this moment."""

    def remove(self, place: str) -> None:
        """Delete a file, or what `rename` left behind."""

    def rename(self, source: str, target: str) -> None:
        """Rename without replacing, as far as the protocol can; OSError if the name is taken."""

    def renamed(self, target: str) -> None:
        """A rename is known to have happened whose end nobody saw: take away what it left behind."""

    def replace(self, source: str, target: str) -> None:
        """Rename in place of a file, in one step; OSError if the server cannot."""


class Server(Protocol):
    """Where a server is and how to log in to it; equal ones share connections."""

    @property
    def scheme(self) -> str:
        """`sftp`, `ftps` or `ftp`."""

    def __hash__(self) -> int: ...

    def connect(self) -> Session:
        """Log in. Raises `ConfigurationError` or `TransferInterrupted`."""
