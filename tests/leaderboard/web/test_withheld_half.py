"""Before the reveal every answer is the same, to a byte, whatever was reached on the withheld half of the cases.

The addresses are those of `tests.bench.addresses`, which are all there are, as visitors, teams and rivals ask them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.conf import settings
from django.core import signing
from django.db import connection, transaction
from django.test import override_settings
from django.utils import timezone

from leaderboard.core import clock
from leaderboard.models import BoardRow, BoardVersion, ListedRun, Phase, Run, RunCase
from leaderboard.scores.aggregates import aggregate
from tests.bench.addresses import Address
from tests.leaderboard.web.test_phase_visibility import PAGES, Walk, at

pytestmark = pytest.mark.django_db
READERS = ("nobody", "captain", "rival")
#: What a rival asks: at pages that are somebody's own they are answered as at none (`test_rivals`).
OPEN_TO_ALL = [one for one in PAGES if one.who == "public"]
OF_REQUEST = ("csrfmiddlewaretoken", "X-CSRFToken", "RateLimit", "Expires")


@pytest.fixture
def walk(db, store) -> Iterator[Walk]:
    unlimited: dict[str, Any] = {"API_REQUESTS_PER_MINUTE": 10**6, "MFA_RATE_LIMITS": {}}
    unlimited |= {"ACCOUNT_RATE_LIMITS": dict.fromkeys(settings.ACCOUNT_RATE_LIMITS)}
    with override_settings(**unlimited), transaction.atomic(), pytest.MonkeyPatch.context() as patch:
        now, stamp = clock.now(), signing.TimestampSigner().timestamp()
        for module in (clock, timezone):  # that of Django is allauth's
            patch.setattr(module, "now", lambda: now)
        patch.setattr(signing.TimestampSigner, "timestamp", lambda _self: stamp)  # of signed keys
        walk = Walk()
        for who in READERS[1:]:
            walk.site.client(walk.readers[who]).get("/account/sessions/")  # is listed there as of now
        yield walk
        transaction.set_rollback(True)


def reach(phase: Phase, dice: float, *, in_public_half: bool) -> None:
    """As if all runs of the phase had reached this in each finding of one half of the cases."""
    cases = RunCase.objects.filter(run__submission__phase=phase, result__isnull=False)
    for one in cases.filter(case__in_public_half=in_public_half):
        result: Any = one.result
        findings = [{**found, "dice": dice} for found in result["findings"]]
        RunCase.objects.filter(pk=one.pk).update(result={**result, "dice": dice, "findings": findings})
    for run in Run.objects.filter(submission__phase=phase, state="scored"):
        aggregate(run)


def answers(
    walk: Walk, readers: Sequence[str] = READERS, pages: Sequence[Address] | None = None
) -> dict[tuple[str, str], Any]:
    with connection.cursor() as cursor:  # keys of rows stand in ETags
        for table in (one._meta.db_table for one in (BoardVersion, BoardRow, ListedRun)):
            cursor.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), 1000000)", [table])
    walk.make_boards_anew()
    found = {}
    for who in readers:
        for page in pages or (OPEN_TO_ALL if who == "rival" else PAGES):
            status, said = walk.ask(page, who)
            lines = [line for line in said.splitlines() if not any(each in line for each in OF_REQUEST)]
            found[who, page.name] = status, lines
    return found


def differing(one: dict[tuple[str, str], Any], other: dict[tuple[str, str], Any]) -> set[tuple[str, str]]:
    return {where for where in one if one[where] != other[where]}


def test_no_answer_tells_what_was_reached_on_the_withheld_half(walk):
    phase = walk.phase("hidden")
    assert phase.publication == Phase.Publication.HALF
    reach(phase, 0.3, in_public_half=True)
    reach(phase, 0.1, in_public_half=False)
    before = answers(walk)
    reach(phase, 0.9, in_public_half=False)
    assert differing(before, answers(walk)) == set()
    # Of the other half everything tells: what would be found, is found.
    reach(phase, 0.4, in_public_half=True)
    boards = at("/", "/leaderboard/{hidden_phase}/")
    after = answers(walk, ["nobody"], boards)
    assert len(after) >= 2
    assert all(before[where] != said for where, said in after.items())
