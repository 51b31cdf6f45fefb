"""Which GPU hosts there are: their tokens (of which the server keeps the hash), and what organisers decide of them."""

import hashlib
import secrets

from django.db import IntegrityError, transaction

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


def add(name: str, *, by: Actor, why: str = "") -> str:
    """Make a host and return its token, which cannot be read again. Raises Refused when there is one of this name."""
    token = secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            host = Host.objects.create(name=name, token_hash=hash_token(token))
            audit.record(by, "add host", host, before={"name": ""}, after={"name": name}, why=why)
    except IntegrityError:
        raise Refused(f"There is a host called {name}. Give that a new token (--renew).") from None
    return token


@transaction.atomic
def renew_token(host: Host, *, by: Actor, why: str = "") -> str:
    """Make the host's old token useless and return a new one; a host that was revoked may come back with it."""
    host = _locked(host)
    token = secrets.token_urlsafe(32)
    before = audit.state_of(host, ["revoked_at"])
    Host.objects.filter(pk=host.pk).update(token_hash=hash_token(token), revoked_at=None)
    audit.record(by, "renew token", host, before=before, after={"revoked_at": None}, why=why)
    return token


def drain(host: Host, *, by: Actor, why: str = "") -> None:
    """Let the host finish what it has and give it nothing new: before it is updated or switched off."""
    _set_draining(host, "drain", draining=True, by=by, why=why)


def end_draining(host: Host, *, by: Actor, why: str = "") -> None:
    """Let the host take work again; the next round of scheduling finds its slots."""
    _set_draining(host, "end draining", draining=False, by=by, why=why)


@transaction.atomic
def _set_draining(host: Host, action: str, *, draining: bool, by: Actor, why: str) -> None:
    host = _locked(host)
    if host.draining != draining:
        Host.objects.filter(pk=host.pk).update(draining=draining)
        audit.record(by, action, host, before={"draining": host.draining}, after={"draining": draining}, why=why)


@transaction.atomic
def let_serve(host: Host, which: Host.Serves, *, by: Actor, why: str = "") -> None:
    """Give the host programs of these phases alone; what it has at work goes on."""
    host = _locked(host)
    if host.serves != which:
        Host.objects.filter(pk=host.pk).update(serves=which)
        audit.record(by, "set phases", host, before={"serves": host.serves}, after={"serves": which}, why=why)


@transaction.atomic
def revoke(host: Host, *, by: Actor, why: str = "") -> None:
    """Refuse the host's next request; its batches go to other hosts when their leases end."""
    host = _locked(host)
    if host.revoked_at is None:
        after = {"revoked_at": clock.now()}
        Host.objects.filter(pk=host.pk).update(**after)
        audit.record(by, "revoke token", host, before={"revoked_at": None}, after=after, why=why)


def _locked(host: Host) -> Host:
    """The host's row, locked against other decisions; batches may be claimed meanwhile."""
    return Host.objects.select_for_update(no_key=True).get(pk=host.pk)
