"""A login, and settings that name a server: for the tests of whom we talk to."""

from __future__ import annotations

from pathlib import Path

from tasks.exchange.connections import Pool
from tasks.exchange.remote import RemoteFolder
from tasks.exchange.sessions import Server
from tasks.settings import Settings, load_settings


def logged_in(reach: Server, pool: Pool) -> None:
    """Log in to a server, by something that is done there."""
    with RemoteFolder(reach, "/", pool=pool) as folder:
        folder.take_into_use()


def settings_of(folder: Path, exchange: str) -> Settings:
    """Settings with these lines under [exchange]."""
    file = folder / "tillbridge.toml"
    file.write_text(f"[exchange]\n{exchange}\n", encoding="utf-8")
    return load_settings(file)
