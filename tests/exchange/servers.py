"""Servers for tests: OpenSSH's sshd, and a wire to any server that can be cut."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tasks.exchange.ssh import Address, read_pin

STARTED_WITHIN_SECONDS = 20.0


def address(
    port: int,
    *,
    user: str = "till",
    key_file: Path | None = None,
    password: str | None = None,
    pins: Sequence[str] = (),
    key_passphrase: str | None = None,
) -> Address:
    """A server on this machine."""
    return Address(
        "127.0.0.1", port, user, password, key_file, key_passphrase, tuple(read_pin(pin) for pin in pins)
    )


class OpenSsh:
    """OpenSSH's sshd with keys, a configuration and a port of its own."""

    def __init__(self, home: Path, *, subsystem: str = "internal-sftp", options: str = "") -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        for name, kind in (("client", "ed25519"), ("host_ed25519", "ed25519"), ("host_rsa", "rsa")):
            if not (home / name).exists():
                _keygen("-q", "-N", "", "-t", kind, "-f", str(home / name))
        shutil.copy(home / "client.pub", home / "authorized")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        (home / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {home}/host_ed25519\nHostKey {home}/host_rsa\n"
            f"AuthorizedKeysFile {home}/authorized\nPidFile none\nStrictModes no\nUsePAM no\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
            f"MaxStartups 100\nLogLevel VERBOSE\nSubsystem sftp {subsystem}\n{options}\n"
        )

    @property
    def log(self) -> str:
        """What it wrote."""
        return (self.home / "log").read_text()

    def line(self, name: str = "host_ed25519") -> str:
        """A public key, `ssh-ed25519 AAAA...`."""
        return (self.home / f"{name}.pub").read_text().strip()

    def fingerprint(self, name: str = "host_ed25519") -> str:
        """`256 SHA256:... comment (ED25519)`, as ssh-keygen prints it."""
        return _keygen("-lf", str(self.home / f"{name}.pub")).strip()

    def address(self, port: int | None = None) -> Address:
        """How to log in to it; through another port where there is a wire between."""
        return address(
            port or self.port, user=getpass.getuser(), key_file=self.home / "client", pins=[self.line()]
        )

    @contextmanager
    def running(self, preexec_fn: Callable[[], object] | None = None) -> Iterator[OpenSsh]:
        """Until the block ends."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # root's sshd wants it; a service would make it
        process = subprocess.Popen(
            [_sshd(), "-D", "-f", str(self.home / "sshd_config"), "-E", str(self.home / "log")],
            preexec_fn=preexec_fn,
            restore_signals=False,  # a limit on the size of files then fails a write and kills nobody
        )
        try:
            deadline = time.monotonic() + STARTED_WITHIN_SECONDS
            while True:
                with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"sshd did not start: {self.log}")
                time.sleep(0.05)
            yield self
        finally:
            process.terminate()
            process.wait()


def _sshd() -> str:
    found = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if found is None or shutil.which("ssh-keygen") is None:
        pytest.skip("OpenSSH's sshd is not installed")
    return found


def _keygen(*arguments: str) -> str:
    _sshd()
    return subprocess.run(["ssh-keygen", *arguments], check=True, capture_output=True, text=True).stdout


class Wire:
    """Passes bytes on to a port until it is told to break, `up` (to the server) or `down`."""

    def __init__(self, port: int) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._listeners: list[socket.socket] = []
        self.port = self.through(port)
        self.passed = {"up": 0, "down": 0}
        self._left: dict[str, int] = {}
        self._cuts = 0
        self.cuts_made = 0
        self.connections = 0

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        for listener in self._listeners:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()

    def through(self, target: int) -> int:
        """A port that leads to that one over this wire."""
        listener = socket.create_server(("127.0.0.1", 0))
        self._listeners.append(listener)
        threading.Thread(target=self._accept, args=(listener, target), daemon=True).start()
        return int(listener.getsockname()[1])

    def break_after(self, direction: str, count: int, *, times: int = 1) -> None:
        """Cut all connections after `count` more bytes that way; the next ones at once, `times` in all."""
        with self._lock:
            self._left, self._cuts, self.cuts_made = {direction: count}, times, 0

    def mend(self) -> None:
        """Pass on everything from here on."""
        with self._lock:
            self._left, self._cuts = {}, 0

    def cut(self) -> None:
        """Cut all connections now."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for end in sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self, listener: socket.socket, target: int) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", target))
            except OSError:
                near.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets += [near, far]
                self.connections += 1
            for direction, source, sink in (("up", near, far), ("down", far, near)):
                threading.Thread(target=self._pass_on, args=(direction, source, sink), daemon=True).start()

    def _pass_on(self, direction: str, source: socket.socket, sink: socket.socket) -> None:
        while True:
            try:
                data = source.recv(65_536)
                allowed = self._allowed(direction, len(data))
                sink.sendall(data[:allowed])
            except OSError:
                return
            if not data:
                with suppress(OSError):
                    sink.shutdown(socket.SHUT_RDWR)
                return
            if allowed < len(data):
                self.cut()
                return

    def _allowed(self, direction: str, count: int) -> int:
        with self._lock:
            left = self._left.get(direction)
            if left is None or count <= left:
                if left is not None:
                    self._left[direction] = left - count
                self.passed[direction] += count
                return count
            self._cuts -= 1
            self.cuts_made += 1
            # A connection that is made next gets no further than its greeting.
            self._left = {direction: 0} if self._cuts > 0 else {}
            return left
