"""What organisers do about GPU hosts."""

import re

from django.db import transaction

from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.desk.acting import Act, Value
from leaderboard.desk.kinds import HOST, NEW_HOST
from leaderboard.hosts import registry
from leaderboard.journey import pipeline, stopping
from leaderboard.models import Host

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MOST_CHARACTERS = 60
TOKEN = "Its token, for REX_HOST_TOKEN there. It is not shown again."  # noqa: S105


def read_name(text: str) -> str:
    """The name of a host, as the broker's users have them. Raises Refused."""
    if not _NAME.fullmatch(text) or len(text) > _MOST_CHARACTERS:
        raise Refused("A name consists of small letters, digits and single hyphens, 60 at most.")
    return text


@transaction.atomic
def _end_draining(host: Host, *, by: Actor, why: str = "") -> None:
    registry.end_draining(host, by=by, why=why)
    transaction.on_commit(pipeline.fill_slots)


@transaction.atomic
def _let_serve(host: Host, *, which: Host.Serves, by: Actor, why: str = "") -> None:
    registry.let_serve(host, which, by=by, why=why)
    transaction.on_commit(pipeline.fill_slots)


def _add(_new: Host, *, name: str, by: Actor, why: str = "") -> str:
    return registry.add(name, by=by, why=why)


DRAIN = Act(
    "drain-host",
    "Drain",
    HOST,
    "It finishes what it has and gets nothing new: before it is updated, or switched off.",
    registry.drain,
    is_offered=lambda host: not host.draining and host.revoked_at is None,
)
END_DRAINING = Act(
    "end-draining",
    "Take work again",
    HOST,
    "It gets work from the next round on.",
    _end_draining,
    is_offered=lambda host: host.draining and host.revoked_at is None,
)
REVOKE = Act(
    "revoke-host",
    "Revoke",
    HOST,
    "Its next request is refused; what it has at work goes to other hosts within minutes. A new token lets it back in.",
    registry.revoke,
    needs_reason=True,
    is_offered=lambda host: host.revoked_at is None,
    is_grave=True,
)
STOP = Act(
    "stop-host",
    "Stop",
    HOST,
    "It gets nothing new, and what it runs is given back: that goes on elsewhere, from the cases that are reported. No "
    "run is charged, or counts a fault. Let it take work again when it is well.",
    stopping.stop,
    needs_reason=True,
    is_offered=lambda host: host.revoked_at is None,
    is_grave=True,
)
SERVE = Act(
    "serve",
    "Serve",
    HOST,
    "It gets programs of these phases alone; what it has at work goes on.",
    _let_serve,
    values=(Value("which", "Whose programs it runs", read=Host.Serves, choices=dict(Host.Serves.choices)),),
    is_offered=lambda host: host.revoked_at is None,
)
RENEW = Act(
    "renew-token",
    "New token",
    HOST,
    "Its old token is refused from now on. One that was revoked may come back with it.",
    registry.renew_token,
    needs_factor=True,
    is_grave=True,
    shows_once=TOKEN,
)
ADD = Act(
    "add-host",
    "Add a host",
    NEW_HOST,
    "The server keeps of its token only the hash. How a host is set up is in the operators' guide.",
    _add,
    values=(Value("name", "Name", "Small letters, digits, hyphens: as it has at the broker.", read_name),),
    needs_factor=True,
    shows_once=TOKEN,
)
ACTS = (DRAIN, END_DRAINING, REVOKE, STOP, SERVE, RENEW, ADD)
