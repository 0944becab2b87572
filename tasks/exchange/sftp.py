"""What is asked of an SFTP server, one file at a time.

Errors are paramiko's own: the server's answers as OSError, a connection that broke as anything else.
"""

from __future__ import annotations

import errno
import stat
from typing import TYPE_CHECKING

from tasks.exchange.sessions import Entry, Kind

if TYPE_CHECKING:
    import paramiko

CHUNK_BYTES = 32_768
"""What any server takes in one request."""

READ_AHEADS = 16
"""Requests for names that are under way at a time; a server answers each with some hundred."""

_GONE = {errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EBADF}


class SftpSession:
    """A connection with SFTP started on it: a `Session`."""

    def __init__(self, transport: paramiko.Transport, client: paramiko.SFTPClient) -> None:
        self._transport = transport
        self._client = client

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """All that a request may raise."""
        import paramiko

        return (OSError, EOFError, ValueError, paramiko.SSHException, paramiko.SFTPError)

    @property
    def alive(self) -> bool:
        """Whether nothing is known to the contrary."""
        channel = self._client.get_channel()
        # In a process that was forked its thread is not alive, and both would write into one stream.
        running = self._transport.is_active() and self._transport.is_alive()
        return running and channel is not None and not channel.closed

    def close(self) -> None:
        """End it; never raises."""
        self._transport.close()

    def broken(self, error: BaseException) -> bool:
        """Whether the connection is of no more use; else it was the server's answer."""
        if isinstance(error, UnicodeDecodeError):
            return False
        if not isinstance(error, OSError) or isinstance(error, TimeoutError) or error.errno in _GONE:
            return True
        return not self.alive

    def kind(self, place: str) -> Kind | None:
        """What is there; None if nothing is."""
        try:
            found = self._client.stat(place)
        except FileNotFoundError:
            return None
        return Kind.FILE if _is_file(found) else Kind.FOLDER

    def modified(self, place: str) -> float | None:
        """When a file was changed last, on the server's clock."""
        try:
            return self._client.stat(place).st_mtime
        except FileNotFoundError:  # another one was faster
            return None

    def entries(self, folder: str) -> list[Entry] | None:
        """All that lies in a folder, in one pass without a question per file; None if it is not there."""
        try:
            found = list(self._client.listdir_iter(folder, read_aheads=READ_AHEADS))
        except FileNotFoundError:
            return None
        return [Entry(one.filename, _is_file(one)) for one in found]

    def read(self, place: str) -> bytes:
        """All of a file; FileNotFoundError, EOFError if the connection broke meanwhile."""
        # Not prefetched: paramiko does that in a thread that fails aloud, or hangs, when the connection
        # breaks.
        parts = []
        with self._client.open(place, "rb") as file:
            while True:
                parts.append(file.read(CHUNK_BYTES))
                if len(parts[-1]) < CHUNK_BYTES:  # paramiko reads on until it has it or the file ends
                    break
        channel = self._client.get_channel()
        if channel is None or channel.closed:  # which paramiko may take for the end of the file
            raise EOFError("the connection was closed")
        return b"".join(parts)

    def create(self, place: str, data: bytes) -> None:
        """Write a new file, all of it before asking how it went; OSError if the name is taken."""
        last = max(0, (len(data) - 1) // CHUNK_BYTES * CHUNK_BYTES)
        with self._client.open(place, "wx") as file:
            file.set_pipelined(True)
            file.write(data[:last])
            # paramiko forgets what is answered to pipelined writes; a last plain one reads all the answers.
            file.set_pipelined(False)
            file.write(data[last:])

    def make_folder(self, place: str) -> None:
        """Make a folder, also if another one makes it at this moment."""
        try:
            self._client.mkdir(place)
        except TimeoutError:
            raise
        except OSError:
            if self.kind(place) is None:  # another one may have been faster
                raise

    def remove(self, place: str) -> None:
        """Delete a file."""
        self._client.remove(place)

    def rename(self, source: str, target: str) -> None:
        """Rename; OpenSSH refuses to replace, some servers do it without a word."""
        self._client.rename(source, target)

    def renamed(self, target: str) -> None:
        """A rename leaves nothing behind."""

    def replace(self, source: str, target: str) -> None:
        """Replace by `posix-rename@openssh.com`; OSError where that is not to be had."""
        self._client.posix_rename(source, target)


def _is_file(found: paramiko.SFTPAttributes) -> bool:
    # A server that does not tell the kind of a file has nothing but files for us.
    return found.st_mode is None or stat.S_ISREG(found.st_mode)
