"""What a production start refuses: a site with an https address starts only when it is safe to."""

import stat
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

MIN_SECRET_CHARACTERS = 40


def unsafe() -> Iterator[str]:
    """Each reason why this process must not serve the public, with what to do about it."""
    if not settings.IS_HTTPS:
        return
    secret = settings.SECRET_KEY
    if len(secret) < MIN_SECRET_CHARACTERS or len(set(secret)) < 10 or "change" in secret.lower():
        make = "python3 -c 'import secrets; print(secrets.token_urlsafe(50))'"
        yield f"SECRET_KEY is a default or too short. Make one: {make}"
    if settings.DEBUG:
        yield "DEBUG is on. Remove it from the environment: it shows settings to strangers."
    store = Path(settings.STORE_DIR)
    if store.exists() and store.stat().st_mode & stat.S_IRWXO:
        yield f"The case store {store} is open to every user of this machine. Close it: chmod o-rwx {store}"


def stop_if_unsafe() -> None:
    """End this process, saying why, if it must not serve the public."""
    if reasons := list(unsafe()):
        raise SystemExit("Refusing to start:\n" + "\n".join(f"- {reason}" for reason in reasons))
