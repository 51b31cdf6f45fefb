"""Passwords and keys of one clone's stack: drawn once, kept in its state folder, private to its owner."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, fields

from deploy.local.paths import State, read_json, write_json


@dataclass(frozen=True)
class Credentials:
    """The secrets of one clone's stack, made once."""

    secret_key: str
    postgres: str
    broker_server: str
    broker_host: str


def load_credentials(state: State) -> Credentials:
    """The clone's credentials, completed and stored on first use."""
    path = state.root / "credentials.json"
    known = read_json(path)
    names = [field.name for field in fields(Credentials)]
    credentials = Credentials(**{name: known.get(name) or secrets.token_hex(32) for name in names})
    if asdict(credentials) != known:
        write_json(path, asdict(credentials))
    return credentials
