"""Which GPU hosts there are: their tokens (of which the server keeps the hash), and what organisers decide of them."""

import hashlib
import secrets

from django.db import transaction

from leaderboard.core import audit, clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.models import Host


def hash_token(token: str) -> str:
    """What the server keeps of a host's token: its sha256, hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def host_with_token(token: str) -> Host | None:
    """The host that this token belongs to, unless it is revoked."""
    return Host.objects.filter(token_hash=hash_token(token), revoked_at=None).first()


@transaction.atomic
def add(name: str, *, by: Actor, renew: bool = False) -> str:
    """Make a host and return its token, which cannot be read again; `renew` gives a known host a new one.

    Raises Refused for a known host without `renew`.
    """
    known = Host.objects.select_for_update().filter(name=name).first()
    if known and not renew:
        raise Refused(f"There is a host called {name}. Use --renew to give it a new token.")
    token = secrets.token_urlsafe(32)
    host, _ = Host.objects.update_or_create(name=name, defaults={"token_hash": hash_token(token), "revoked_at": None})
    audit.record(by, "renew token" if known else "add host", host)
    return token


def drain(host: Host, *, by: Actor, why: str = "") -> None:
    """Let the host finish what it has and give it nothing new: before it is updated or switched off."""
    _decide(host, "drain", {"draining": True}, by=by, why=why)


def take_work(host: Host, *, by: Actor, why: str = "") -> None:
    """The end of draining. The caller fills the slots."""
    _decide(host, "take work", {"draining": False}, by=by, why=why)


def revoke(host: Host, *, by: Actor, why: str = "") -> None:
    """Refuse the host's next request; its batches go to other hosts when their leases end."""
    _decide(host, "revoke token", {"revoked_at": clock.now()}, by=by, why=why)


@transaction.atomic
def _decide(host: Host, action: str, change: dict[str, object], *, by: Actor, why: str) -> None:
    host = Host.objects.select_for_update().get(pk=host.pk)
    before = {name: getattr(host, name) for name in change}
    if before == change:
        return
    Host.objects.filter(pk=host.pk).update(**change)
    audit.record(by, action, host, before=before, after=change, why=why)
