"""Before the reveal no address tells which cases are the public half, by anything but the numbers over it.

The halves of a run change places that give the same numbers: then every answer has to stay what it was, to a byte.
"""

from collections.abc import Iterable
from datetime import timedelta

import pytest

from leaderboard.core import clock, minutes
from leaderboard.models import BoardRow, BoardVersion, Case, CaseSet, Run, Standing
from leaderboard.notices import runs
from leaderboard.people import tokens
from leaderboard.scores.aggregates import aggregate
from tests.leaderboard import cast, gpu_host, masks
from tests.leaderboard.web.test_hidden_minute import Where, differing, everything

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def half_phase():
    """A phase that shows half of four cases, which is committed to."""
    phase = cast.phase(cast.draw_half(cast.case_set(4)), publication="half", runs_per_day=9)
    masks.give_references(masks.cube())
    return phase


def run_with_two_lost_cases(people, phase) -> Run:
    host = cast.host()
    run = cast.submit_checked(people.team, phase, user=people.alice).runs.get()
    for lost in (set(), {1}, {0}):
        order = gpu_host.claim(host, gpu_host.waiting(run))
        mask = masks.nifti(masks.cube())
        lines = [
            gpu_host.lost(order, n, "missing", "missing") if n in lost else gpu_host.finished(order, n, mask)
            for n in range(len(order["cases"]))
        ]
        gpu_host.report(host, order, lines)
        gpu_host.score_reported(run)
    run.refresh_from_db()
    assert run.state == "scored"
    return run


def make_public(run: Run, cases: list[Case]) -> None:
    """As if these had been drawn: with numbers, and boards, of before anybody looked."""
    Case.objects.update(in_public_half=False)
    Case.objects.filter(pk__in=[case.pk for case in cases]).update(in_public_half=True)
    Standing.objects.filter(run=run).delete()
    aggregate(run)
    BoardVersion.objects.all().delete()
    BoardRow.objects.all().delete()
    minutes._kept.clear()


def test_no_address_tells_which_cases_are_public_nor_the_secret_nor_the_digest(
    people, half_phase, settings, monkeypatch
):
    settings.API_REQUESTS_PER_MINUTE = 10_000
    run = run_with_two_lost_cases(people, half_phase)
    cast.let_a_minute_pass()
    people.tokens = {
        one.name: tokens.issue(one, name="a program", scopes=["read"])[1] for one in (people.alice, people.charlie)
    }
    lost, found = (
        [one.case for one in run.cases.filter(result__status=status).order_by("case__name").select_related("case")]
        for status in ("missing", "scored")
    )
    assert (len(lost), len(found)) == (2, 2)
    still = clock.now().replace(second=30) + timedelta(minutes=1)
    monkeypatch.setattr(clock, "now", lambda: still)

    def answers(cases: list[Case], at: Iterable[Where] = ()):
        make_public(run, cases)
        return everything(people, [run.submission], at)

    runs.write_due()
    before = answers([lost[0], found[0]])
    board = before["nobody", "/leaderboard/test/"][2].decode()
    assert half_phase.case_set.half_commitment in board
    assert "2 of 4 cases feed these numbers" in " ".join(board.split())
    assert differing(before, answers([lost[1], found[1]])) == []
    # Were they numbers of all cases, nothing could have changed either: of another half they do change.
    of_public = ("nobody", "/leaderboard/test/")
    assert of_public in differing(before, answers(lost, [of_public]))
    cases = CaseSet.objects.get()
    for told in (cases.half_secret.secret, cases.digest.removeprefix("sha256:")):
        assert [where for where, answer in before.items() if told in repr(answer)] == []
