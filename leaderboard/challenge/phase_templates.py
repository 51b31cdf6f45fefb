"""Phases as the challenge makes them: templates, as data. What is made of one, or copied, is a draft."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from leaderboard.challenge.phases import save_phase
from leaderboard.challenge.policies import POLICIES
from leaderboard.core import clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.models import CaseSet, Phase
from leaderboard.models.challenge import GIB

ONE_GPU: Mapping[str, Any] = {
    "gpus": 1,
    "cpus": 8,
    "memory_bytes": 32 * GIB,
    "case_seconds": 120,
    "startup_seconds": 300,
    "max_archive_bytes": 15 * 10**9,
    "max_unpacked_bytes": 40 * 10**9,
}


@dataclass(frozen=True)
class Template:
    """A kind of phase: what it is for, how long it usually takes, and the policies that make it what it is."""

    name: str
    title: str
    says: str
    length: timedelta
    policies: Mapping[str, Any] = field(default_factory=dict)


TEMPLATES: Mapping[str, Template] = {
    one.name: one
    for one in (
        Template(
            "development",
            "Development phase",
            "On the validation cases, whose masks are public: many runs, everything is shown. Both tracks.",
            timedelta(days=99),
            {
                "cases_are_public": True,
                "counting": Phase.Counting.BEST,
                "publication": Phase.Publication.EVERYTHING,
                "runs_per_day": 5,
                "runs_total": 100,
                "description": "Develop on the 200 validation cases, whose masks are public. Not ranked for awards.",
                **ONE_GPU,
            },
        ),
        Template(
            "test",
            "Test phase",
            "On the hidden test cases: few runs, half of the cases shown until the reveal. Both tracks.",
            timedelta(days=28),
            {
                "cases_are_public": False,
                "counting": Phase.Counting.LAST,
                "publication": Phase.Publication.HALF,
                "runs_per_day": 2,
                "runs_total": 10,
                "show_categories": False,
                "description": "The final submission, scored on the hidden test cases.",
                **ONE_GPU,
            },
        ),
    )
}
_OPENS_IN = timedelta(days=14)
_NOT_COPIED = frozenset(
    {"name", "opens_at", "closes_at", "revealed_at", "embargo_until", "is_draft"}
    | {"post_challenge_opens_at", "post_challenge_closes_at", "try_out_required_from"}
)


def make(template: Template, *, slug: str, name: str, cases: CaseSet, by: Actor, why: str = "") -> Phase:
    """A draft made of a template; on cases without categories one without ranks. Raises Refused."""
    phase = Phase(**template.policies, is_ranked=cases.is_ranked)
    return _made(phase, template.length, slug=slug, name=name, cases=cases, by=by, why=why)


def copy(source: Phase, *, slug: str, name: str, by: Actor, why: str = "") -> Phase:
    """A draft with the policies of another phase, on the same cases, but for its instants. Raises Refused."""
    found = {one: getattr(source, one) for one in POLICIES if one not in _NOT_COPIED}
    length = source.closes_at - source.opens_at
    return _made(Phase(**found), length, slug=slug, name=name, cases=source.case_set, by=by, why=why)


@transaction.atomic
def _made(phase: Phase, length: timedelta, *, slug: str, name: str, cases: CaseSet, by: Actor, why: str) -> Phase:
    if slug == "new":
        raise Refused("Another name in addresses, please: that one is the desk’s own.")
    opens = (clock.now() + _OPENS_IN).replace(hour=12, minute=0, second=0, microsecond=0)
    phase.slug, phase.name, phase.case_set, phase.is_draft = slug, name, cases, True
    phase.opens_at, phase.closes_at = opens, opens + length
    try:
        phase.full_clean()
    except ValidationError as invalid:
        raise Refused(" ".join(invalid.messages)) from invalid
    save_phase(phase, by=by, why=why)
    return phase
