"""Changes of a phase as people write them; drafts of changes."""

from datetime import timedelta

import pytest

from leaderboard.challenge import changing, phase_templates
from leaderboard.core import clock
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.models import AuditEntry, CaseSet, Phase, PhaseChanges
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def olga():
    return cast.person("Olga")


def test_a_change_needs_a_reason_and_is_recorded():
    phase = cast.phase()
    with pytest.raises(Refused, match="Say why"):
        changing.change(phase, {"runs_per_day": "3"}, by=cast.OPERATOR, why=" ")
    changing.change(phase, {"runs_per_day": "3", "memory_bytes": "16 GiB"}, by=cast.OPERATOR, why="More machines.")
    entry = AuditEntry.objects.get(action="change phase")
    assert entry.after == {"runs_per_day": 3, "memory_bytes": 16 << 30}
    assert entry.why == "More machines."


def test_everything_that_stands_against_a_change_is_said_at_once():
    phase = cast.phase()
    sooner = clock.now() + timedelta(hours=1)
    with pytest.raises(changing.Unfit) as found:
        changing.change(
            phase,
            {"runs_per_day": "0", "closes_at": f"{sooner:%Y-%m-%d %H:%M}", "cases_are_public": "yes"},
            by=cast.OPERATOR,
            why="x",
        )
    assert set(found.value.problems) == {"runs_per_day", "closes_at", "cases_are_public"}
    with pytest.raises(changing.Unfit, match="no policy “colour”"):
        changing.changed(phase, {"colour": "red"})
    with pytest.raises(changing.Unfit) as unread:
        changing.changed(phase, {"memory_bytes": "much", "pids": "many"})
    assert set(unread.value.problems) == {"memory_bytes", "pids"}


def test_a_draft_holds_what_differs_and_is_applied_in_part(olga):
    phase = cast.phase(runs_per_day=2, case_seconds=120)
    draft = changing.keep(phase, {"runs_per_day": "3", "case_seconds": "2 min"}, by=olga)
    assert draft is not None
    assert draft.written == {"runs_per_day": "3"}
    changing.keep(phase, {"case_seconds": "90"}, by=olga)
    draft.refresh_from_db()
    assert draft.written == {"runs_per_day": "3", "case_seconds": "90 s"}
    assert Phase.objects.get().runs_per_day == 2
    with pytest.raises(Refused, match="nothing to apply"):
        changing.apply(draft, ["pids"], by=Actor.person(olga), why="x")
    changing.apply(draft, ["runs_per_day"], by=Actor.person(olga), why="More machines.")
    draft.refresh_from_db()
    assert (draft.written, draft.ended_at) == ({"case_seconds": "90 s"}, None)
    changing.apply(draft, ["case_seconds"], by=Actor.person(olga), why="It is enough.")
    draft.refresh_from_db()
    assert draft.end == PhaseChanges.End.APPLIED
    assert (Phase.objects.get().runs_per_day, Phase.objects.get().case_seconds) == (3, 90)
    with pytest.raises(Refused, match="nothing to apply"):
        changing.apply(draft, ["case_seconds"], by=Actor.person(olga), why="Again.")


def test_a_draft_is_one_persons_and_ends_when_nothing_differs(olga):
    phase = cast.phase(runs_per_day=2)
    changing.keep(phase, {"runs_per_day": "3"}, by=olga)
    assert changing.draft_of(phase, cast.person("Oscar")) is None
    assert changing.keep(phase, {"runs_per_day": "2"}, by=olga) is None
    assert PhaseChanges.objects.get().end == PhaseChanges.End.DROPPED
    again = changing.keep(phase, {"runs_per_day": "4"}, by=olga)
    assert again is not None
    changing.drop(again)
    assert changing.draft_of(phase, olga) is None
    assert changing.keep(phase, {}, by=olga) is None


@pytest.mark.parametrize("template", phase_templates.TEMPLATES.values(), ids=phase_templates.TEMPLATES)
def test_what_is_made_of_a_template_is_a_draft_in_order(template):
    made = phase_templates.make(template, slug="one", name="One", cases=cast.case_set(), by=cast.OPERATOR)
    assert made.is_ranked
    assert made.is_draft
    assert made.opens_at > clock.now()
    made.full_clean()
    assert AuditEntry.objects.get(action="add phase").after["slug"] == "one"


def test_on_cases_without_categories_it_ranks_nobody():
    cases = cast.case_set()
    CaseSet.objects.update(is_ranked=False)
    cases.refresh_from_db()
    made = phase_templates.make(
        phase_templates.TEMPLATES["test"], slug="one", name="One", cases=cases, by=cast.OPERATOR
    )
    assert not made.is_ranked


def test_a_copy_has_the_policies_and_none_of_the_instants():
    source = cast.phase(counting="best", case_seconds=77, revealed_at=clock.now() + timedelta(days=9))
    made = phase_templates.copy(source, slug="again", name="Again", by=cast.OPERATOR)
    assert (made.counting, made.case_seconds, made.case_set) == ("best", 77, source.case_set)
    assert made.is_draft
    assert made.revealed_at is None
    for slug, match in (("again", "already exists"), ("new", "desk’s own")):
        with pytest.raises(Refused, match=match):
            phase_templates.copy(source, slug=slug, name="X", by=cast.OPERATOR)
