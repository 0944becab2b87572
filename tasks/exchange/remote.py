"""What is asked of an SFTP server, one file at a time; each may be done twice without harm.

Errors are paramiko's own: the server's answers as OSError, a connection that broke as anything else.
"""

from __future__ import annotations

import posixpath
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from tasks.exchange.folder import PART_SUFFIX, taken

if TYPE_CHECKING:
    import paramiko

CHUNK_BYTES = 32_768
"""What any server takes in one request."""

READ_AHEADS = 16
"""Requests for names that are under way at a time; a server answers each with some hundred."""

BEFORE_SUFFIX = f".before{PART_SUFFIX}"
"""Ending of what a file was before it was replaced, at servers that cannot replace by a rename."""


def attributes(client: paramiko.SFTPClient, place: str) -> paramiko.SFTPAttributes | None:
    """What the server says of a file or folder; None if there is none."""
    try:
        return client.stat(place)
    except FileNotFoundError:
        return None


def is_file(found: paramiko.SFTPAttributes) -> bool:
    """Whether it is a file, links followed where the server did."""
    # A server that does not tell the kind of a file has nothing but files for us.
    return found.st_mode is None or stat.S_ISREG(found.st_mode)


def stands(client: paramiko.SFTPClient, place: str) -> bool:
    """Whether there is a file of that name."""
    found = attributes(client, place)
    return found is not None and is_file(found)


def entries(client: paramiko.SFTPClient, folder: str) -> list[paramiko.SFTPAttributes] | None:
    """All that lies in a folder, in one pass without a question per file; None if it is not there."""
    try:
        return list(client.listdir_iter(folder, read_aheads=READ_AHEADS))
    except FileNotFoundError:
        return None


def read(client: paramiko.SFTPClient, place: str) -> bytes:
    """All of a file; FileNotFoundError, EOFError if the connection broke meanwhile."""
    # Not prefetched: paramiko does that in a thread that fails aloud, or hangs, when the connection breaks.
    parts = []
    with client.open(place, "rb") as file:
        while True:
            parts.append(file.read(CHUNK_BYTES))
            if len(parts[-1]) < CHUNK_BYTES:  # paramiko reads on until it has all of it or the file ends
                break
    channel = client.get_channel()
    if channel is None or channel.closed:  # which paramiko may take for the end of the file
        raise EOFError("the connection was closed")
    return b"".join(parts)


def write(file: paramiko.SFTPFile, data: bytes) -> None:
    """Send all of it before asking how it went; OSError for what the server says of any part."""
    last = max(0, (len(data) - 1) // CHUNK_BYTES * CHUNK_BYTES)
    file.set_pipelined(True)
    file.write(data[:last])
    # paramiko forgets what is answered to pipelined writes; a last plain one reads all the answers.
    file.set_pipelined(False)
    file.write(data[last:])


def make_folder(client: paramiko.SFTPClient, place: str) -> None:
    """Make a folder, also if another one makes it at this moment."""
    try:
        client.mkdir(place)
    except TimeoutError:
        raise
    except OSError:
        if attributes(client, place) is None:  # another one may have been faster
            raise


def forget(client: paramiko.SFTPClient, place: str) -> None:
    """Delete a file if that can be done."""
    with suppress(OSError):
        client.remove(place)


def settle(client: paramiko.SFTPClient, source: str, target: str, path: str, data: bytes | None) -> None:
    """Let `target` be what `source` is, whether or not an earlier try came so far; FileNotFoundError.

    `data` is the content, None if it has to be read. Asks before it renames, because some servers replace
    without a word; OpenSSH refuses. `BatchAltered` if the name has other content.
    """
    if not stands(client, target):
        try:
            client.rename(source, target)
        except TimeoutError:
            raise
        except OSError:
            if not stands(client, target):
                raise
        else:
            return
    if data is None:
        try:
            data = read(client, source)
        except FileNotFoundError:
            return  # an earlier try came so far
    if read(client, target) != data:
        raise taken(path)
    with suppress(FileNotFoundError):
        client.remove(source)


def replace(client: paramiko.SFTPClient, part: str, place: str, data: bytes) -> None:
    """Let `place` be what `part` is, in one step where the server can do that."""
    try:
        client.posix_rename(part, place)
    except (TimeoutError, PermissionError):
        raise
    except OSError:
        if not stands(client, part):
            if read(client, place) != data:
                raise
            return  # an earlier try came so far
        # `posix-rename@openssh.com` is not to be had. Who looks while the name is not there reads what
        # was there before, and so does everybody after a run that is killed here.
        if stands(client, place):
            with suppress(FileNotFoundError):
                client.remove(before(place))
            client.rename(place, before(place))
        client.rename(part, place)


def before(place: str) -> str:
    """Where a file is kept while it is replaced in steps."""
    folder, name = posixpath.split(place)
    return posixpath.join(folder, f".{name}{BEFORE_SUFFIX}")
