"""What a start refuses: a site with an https address starts only when it is safe to, and web with its static files."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

import evaluation

MIN_SECRET_CHARACTERS = 40
OWN_STATIC_FILES = Path(__file__).parent / "static"


def unsafe() -> Iterator[str]:
    """Each reason why this process must not serve the public, with what to do about it."""
    if not settings.IS_HTTPS:
        return
    if lacks := evaluation.isolation_lacks():
        yield f"Masks cannot be scored in isolation: this system has no {', '.join(lacks)}. Use Linux 5.3 or newer."
    secret = settings.SECRET_KEY
    if len(secret) < MIN_SECRET_CHARACTERS or len(set(secret)) < 10 or "change" in secret.lower():
        make = "python3 -c 'import secrets; print(secrets.token_urlsafe(50))'"
        yield f"SECRET_KEY is a default or too short. Make one: {make}"
    if settings.DEBUG:
        yield "DEBUG is on. Remove it from the environment: it shows settings to strangers."
    if _delivers_nowhere():
        yield (
            "No mail can be sent: nobody could confirm an address, so nobody could take part. "
            "Set EMAIL_HOST (and EMAIL_PORT, EMAIL_USE_TLS, EMAIL_HOST_USER, EMAIL_HOST_PASSWORD, EMAIL_FROM)."
        )
    store = Path(settings.STORE_DIR)
    if store.exists() and store.stat().st_mode & stat.S_IRWXO:
        yield f"The case store {store} is open to every user of this machine. Close it: chmod o-rwx {store}"


def _delivers_nowhere() -> bool:
    """Whether messages end in a log, a file or nowhere. A back end of somebody else's knows its server by itself."""
    own = settings.EMAIL_TRANSPORT.removeprefix("django.core.mail.backends.")
    if own == "smtp.EmailBackend":
        return not settings.EMAIL_HOST
    return own != settings.EMAIL_TRANSPORT


def stop_if_unsafe() -> None:
    """End this process, saying why, if it must not serve the public."""
    _stop_for(list(unsafe()))


def uncollected() -> Iterator[str]:
    """Why pages would link static files that are missing or another version's, with what to do about it."""
    if settings.STATIC_ROOT is None or settings.DEBUG:
        return
    root = Path(settings.STATIC_ROOT)
    ours = sorted(path.relative_to(OWN_STATIC_FILES) for path in OWN_STATIC_FILES.rglob("*") if path.is_file())
    stale = [str(name) for name in ours if not _is_same(OWN_STATIC_FILES / name, root / name)]
    if not (root / "staticfiles.json").exists():
        stale.insert(0, "staticfiles.json")
    if stale:
        yield (
            f"The static files in {root} are not those of this version ({stale[0]} is missing or differs). "
            "Collect them: python manage.py collectstatic --no-input"
        )


def _is_same(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()


@register("web", deploy=True)
def static_files_are_collected(**_options: Any) -> list[CheckMessage]:
    """For `manage.py check --deploy --tag web`, which asks before a web server starts or reloads."""
    return [Error(reason, id="rexg.E001") for reason in uncollected()]


def stop_if_uncollected() -> None:
    """End this web process, saying why, rather than answer each page with an error."""
    _stop_for(list(uncollected()))


def _stop_for(reasons: list[str]) -> None:
    if reasons:
        raise SystemExit("Refusing to start:\n" + "\n".join(f"- {reason}" for reason in reasons))
