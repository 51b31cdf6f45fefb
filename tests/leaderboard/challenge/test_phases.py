"""What an organiser cannot save by mistake."""

from copy import copy
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from leaderboard.board import versions
from leaderboard.challenge.phases import announces_try_out, requires_try_out, save_phase, stretches
from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.models import AuditEntry, Phase
from leaderboard.people import approvals
from tests.leaderboard import cast
from tests.leaderboard.web.scene import scored

pytestmark = pytest.mark.django_db


def changed(phase: Phase, **fields: object) -> Phase:
    for name, value in fields.items():
        setattr(phase, name, value)
    return phase


def test_a_phase_in_order_is_accepted():
    cast.phase().full_clean()


def test_a_phase_cannot_show_the_cases_that_another_one_hides():
    cases = cast.case_set()
    hidden = cast.phase(cases, slug="test")
    with pytest.raises(ValidationError, match=f"The {hidden.name} uses the same cases and keeps them hidden"):
        changed(cast.phase(cases, slug="development"), cases_are_public=True).full_clean()


def test_public_cases_have_nothing_to_withhold():
    with pytest.raises(ValidationError, match="nothing to withhold"):
        changed(cast.phase(), cases_are_public=True, publication="half").full_clean()


def test_public_cases_have_no_embargo():
    with pytest.raises(ValidationError, match="leave the embargo empty"):
        changed(cast.phase(), cases_are_public=True, embargo_until=clock.now()).full_clean()


def test_a_published_phase_has_no_try_outs_on_the_cases_of_a_draft():
    development = cast.phase(slug="development", cases_are_public=True, is_draft=True)
    phase = cast.phase(cast.case_set(name="others"), slug="test")
    with pytest.raises(ValidationError, match="a draft, which nobody may know of"):
        changed(phase, try_outs_on=development).full_clean()
    changed(phase, is_draft=True).full_clean()
    phase.save()
    changed(development, is_draft=False).full_clean()
    development.save()
    changed(phase, is_draft=False).full_clean()
    phase.save()
    with pytest.raises(ValidationError, match="which is no draft, has its try-outs"):
        changed(development, is_draft=True).full_clean()


def to_come(**fields: Any) -> Phase:
    """A phase that opens tomorrow."""
    now = clock.now()
    return cast.phase(opens_at=now + timedelta(days=1), closes_at=now + timedelta(days=9), **fields)


def test_a_phase_can_become_a_draft_until_it_opens_or_a_team_has_something_in_it():
    phase = to_come(requires_approval=True)
    save_phase(changed(phase, is_draft=True), by=cast.OPERATOR)
    save_phase(changed(phase, is_draft=False), by=cast.OPERATOR)
    captain = cast.person("Alice")
    approvals.ask(captain, cast.team_of(captain), phase)
    with pytest.raises(Refused, match="Teams have drafts or approvals"):
        save_phase(changed(phase, is_draft=True), by=cast.OPERATOR)
    with pytest.raises(Refused, match="has opened"):
        save_phase(changed(cast.phase(phase.case_set, slug="open"), is_draft=True), by=cast.OPERATOR)
    assert not Phase.objects.filter(is_draft=True).exists()


@pytest.mark.parametrize(("before", "after"), [("half", "everything"), ("everything", "half")])
def test_boards_show_all_cases_or_half_of_them_until_the_reveal_and_not_the_one_after_the_other(before, after):
    """Two numbers of the same run, over half of the cases and over all, tell the withheld half's."""
    phase = cast.phase(cast.case_set(4), publication=before)
    save_phase(changed(phase, publication=after), by=cast.OPERATOR)
    save_phase(changed(phase, publication=before), by=cast.OPERATOR)
    scored(cast.team_of(cast.person("Alice")), phase)
    versions.make(phase.pk)
    cast.let_a_minute_pass()
    with pytest.raises(Refused, match="work out the withheld half"):
        save_phase(changed(phase, publication=after), by=cast.OPERATOR)
    save_phase(changed(phase, publication="nothing"), by=cast.OPERATOR)
    with pytest.raises(Refused, match="work out the withheld half"):
        save_phase(changed(phase, publication=after), by=cast.OPERATOR)
    now = clock.now()
    over = {"opens_at": now - timedelta(days=3), "closes_at": now - timedelta(days=1), "revealed_at": now}
    changed(phase, publication=before, **over).save()
    save_phase(changed(phase, publication=after), by=cast.OPERATOR)


@pytest.mark.parametrize(("one", "other"), [("half", "everything"), ("everything", "half")])
def test_nor_do_two_phases_on_the_same_cases_show_one_and_the_other(one, other):
    phase = cast.phase(cast.case_set(4), publication=one)
    with pytest.raises(Refused, match="work out the withheld half"):
        save_phase(phase_beside(phase, publication=other), by=cast.OPERATOR)
    save_phase(beside := phase_beside(phase, publication=one), by=cast.OPERATOR)
    with pytest.raises(Refused, match="The Phase test, on the same cases, shows numbers over"):
        save_phase(changed(beside, publication=other), by=cast.OPERATOR)
    save_phase(changed(beside, name="Another name", publication="nothing"), by=cast.OPERATOR)


def test_what_was_set_before_that_was_refused_can_go_on_to_be_edited():
    phase = cast.phase(cast.case_set(4), publication="half")
    beside = phase_beside(phase, publication="everything")
    beside.save()
    save_phase(changed(beside, name="Another name"), by=cast.OPERATOR)


def test_a_full_result_is_not_told_while_another_phase_withholds_half_of_the_same_cases():
    now = clock.now()
    phase = cast.phase(cast.case_set(4), publication="half")
    over = {"opens_at": now - timedelta(days=3), "closes_at": now - timedelta(hours=1)}
    beside = phase_beside(phase, publication="half", **over)
    with pytest.raises(Refused, match="choose a reveal at that instant or later"):
        save_phase(changed(beside, revealed_at=now), by=cast.OPERATOR)
    save_phase(changed(beside, revealed_at=phase.closes_at), by=cast.OPERATOR)
    with pytest.raises(Refused, match="Choose an earlier deadline"):
        save_phase(changed(phase, closes_at=phase.closes_at + timedelta(hours=1)), by=cast.OPERATOR)
    save_phase(changed(phase, closes_at=phase.closes_at - timedelta(hours=1)), by=cast.OPERATOR)


def phase_beside(phase: Phase, **fields: Any) -> Phase:
    """Another one on the same cases, which is not saved."""
    return changed(copy(phase), **{"pk": None, "name": "Beside", "slug": "beside", **fields})


def test_an_embargo_is_refused_once_a_board_has_shown_numbers():
    phase, soon = cast.phase(), clock.now() + timedelta(days=1)
    save_phase(changed(phase, embargo_until=soon), by=cast.OPERATOR)
    save_phase(changed(phase, embargo_until=soon + timedelta(days=1)), by=cast.OPERATOR)
    save_phase(changed(phase, embargo_until=None), by=cast.OPERATOR)
    scored(cast.team_of(cast.person("Alice")), phase)
    cast.let_a_minute_pass()
    with pytest.raises(Refused, match="an embargo comes too late"):
        save_phase(changed(phase, embargo_until=soon), by=cast.OPERATOR)
    assert Phase.objects.get().embargo_until is None


def test_names_that_were_told_are_not_taken_back():
    phase, now = cast.phase(), clock.now()
    scored(cast.team_of(cast.person("Alice")), phase)
    cast.let_a_minute_pass()
    with pytest.raises(Refused, match="names can't be taken back"):
        save_phase(changed(phase, anonymous_until_reveal=True), by=cast.OPERATOR)
    closed = {"closes_at": now - timedelta(hours=2), "revealed_at": now - timedelta(hours=1)}
    Phase.objects.update(anonymous_until_reveal=True, **closed)
    phase.refresh_from_db()
    with pytest.raises(Refused, match="names can't be taken back"):
        save_phase(changed(phase, revealed_at=None), by=cast.OPERATOR)


def test_whoever_handed_in_without_a_name_is_named_by_the_reveal_alone():
    phase = cast.phase(anonymous_until_reveal=True)
    save_phase(changed(phase, anonymous_until_reveal=False), by=cast.OPERATOR)
    save_phase(changed(phase, anonymous_until_reveal=True), by=cast.OPERATOR)
    cast.submit(cast.team_of(cast.person("Alice")), phase)
    with pytest.raises(Refused, match="named at the reveal"):
        save_phase(changed(phase, anonymous_until_reveal=False), by=cast.OPERATOR)
    closed = clock.now() - timedelta(minutes=1)
    Phase.objects.update(closes_at=closed, revealed_at=closed)
    save_phase(changed(Phase.objects.get(), anonymous_until_reveal=False), by=cast.OPERATOR)


def test_the_form_of_a_phase_says_what_can_not_be_taken_back_in_the_field(client):
    client.force_login(cast.person("Olga", is_staff=True, is_superuser=True))
    phase = cast.phase()
    address = f"/admin/leaderboard/phase/{phase.pk}/change/"
    asked = client.get(address).context["adminform"].form
    sent = {name: value for name in asked.fields if (value := asked[name].value()) is not None and value is not False}
    for name in ("opens_at", "closes_at"):
        instant = getattr(phase, name)
        sent |= {f"{name}_0": f"{instant:%Y-%m-%d}", f"{name}_1": f"{instant:%H:%M:%S}"}
    answer = client.post(address, {**sent, "is_draft": "on"})
    assert "it can't become a draft any more" in answer.context["adminform"].form.errors["is_draft"][0]


def test_what_keeps_a_phase_from_being_deleted_is_counted_and_not_listed(client, django_assert_max_num_queries):
    phase, team = cast.phase(runs_per_day=9), cast.team_of(cast.person("Alice"))
    client.force_login(cast.person("Olga", is_staff=True, is_superuser=True))
    for _ in range(9):
        cast.submit(team, phase)
    with django_assert_max_num_queries(8):
        shown = client.get(f"/admin/leaderboard/phase/{phase.pk}/delete/").content.decode()
    assert "9 submissions" in shown
    assert "Grounder" not in shown
    client.post(f"/admin/leaderboard/phase/{phase.pk}/delete/", {"post": "yes"})
    assert Phase.objects.get() == phase


@pytest.mark.parametrize("field", ["cpus", "batch_size", "runs_per_day", "case_seconds"])
def test_a_phase_in_which_nothing_could_run_is_refused(field):
    with pytest.raises(ValidationError, match="greater than or equal"):
        changed(cast.phase(), **{field: 0}).full_clean()


def test_a_phase_closes_after_it_opens():
    phase = cast.phase()
    with pytest.raises(ValidationError, match="close after it opens"):
        changed(phase, closes_at=phase.opens_at).full_clean()


class TestARequiredTryOut:
    @pytest.fixture
    def phase(self):
        phase = cast.phase(cases_are_public=True, closes_at=clock.now() + timedelta(days=60))
        return saved(phase, try_outs_on=phase)

    def test_it_is_told_two_weeks_ahead_and_recorded(self, phase):
        with pytest.raises(Refused, match="14 days ahead"):
            saved(phase, try_out_required_from=in_days(13.9))
        saved(phase, try_out_required_from=in_days(14.1))
        assert "try_out_required_from" in AuditEntry.objects.latest("pk").after

    def test_it_can_be_put_off_and_ended_at_any_time_but_not_brought_forward(self, phase):
        Phase.objects.update(try_out_required_from=in_days(3))
        phase.refresh_from_db()
        saved(phase, try_out_required_from=in_days(4))
        with pytest.raises(Refused, match="14 days ahead"):
            saved(phase, try_out_required_from=in_days(3.5))
        saved(Phase.objects.get(), try_out_required_from=None)

    def test_it_never_begins_in_the_last_48_hours(self, phase):
        with pytest.raises(Refused, match="last 48 hours"):
            saved(phase, try_out_required_from=in_days(58.1))

    def test_moving_the_deadline_in_its_last_48_hours_does_not_bring_it_back(self, phase):
        Phase.objects.update(try_out_required_from=in_days(-3), closes_at=in_days(1))
        phase.refresh_from_db()
        with pytest.raises(Refused, match="If you move the deadline"):
            saved(phase, closes_at=in_days(9))
        saved(Phase.objects.get(), closes_at=in_days(9), try_out_required_from=None)

    def test_it_needs_try_outs(self, phase):
        with pytest.raises(Refused, match="offers them"):
            saved(phase, try_outs_on=None, try_out_required_from=in_days(20))

    def test_the_administrations_form_says_so_too(self, phase, client):
        client.force_login(cast.person("Olga", is_staff=True, is_superuser=True))
        address = f"/admin/leaderboard/phase/{phase.pk}/change/"
        shown = client.get(address).context["adminform"].form.initial
        sent = {name: value for name, value in shown.items() if value is not None}
        for name in ("opens_at", "closes_at", "try_out_required_from", "revealed_at"):
            sent[f"{name}_0"] = sent[f"{name}_1"] = ""
        for name, at in (
            ("opens_at", shown["opens_at"]),
            ("closes_at", in_days(60)),
            ("try_out_required_from", in_days(1)),
        ):
            sent |= {f"{name}_0": f"{at:%Y-%m-%d}", f"{name}_1": f"{at:%H:%M:%S}"}
        assert "14 days ahead" in client.post(address, sent).content.decode()
        assert Phase.objects.get().try_out_required_from is None


class TestAReveal:
    @pytest.fixture
    def closed(self):
        return cast.phase(opens_at=in_days(-9), closes_at=in_days(-2))

    def test_it_is_not_before_the_deadline(self, closed):
        with pytest.raises(Refused, match="once the phase has closed"):
            saved(closed, revealed_at=closed.closes_at - timedelta(microseconds=1))
        saved(Phase.objects.get(), revealed_at=closed.closes_at)

    def test_a_phase_is_not_made_with_one_before_its_deadline(self, closed):
        new = Phase(name="New", slug="new", case_set=closed.case_set, opens_at=in_days(0), closes_at=in_days(2))
        with pytest.raises(Refused, match="once the phase has closed"):
            saved(new, revealed_at=in_days(1))

    def test_the_deadline_is_not_moved_past_it(self, closed):
        saved(closed, revealed_at=in_days(1))
        with pytest.raises(Refused, match="a deadline not after the reveal"):
            saved(Phase.objects.get(), closes_at=in_days(2))
        saved(Phase.objects.get(), closes_at=in_days(2), revealed_at=in_days(3))  # it was still to come

    @pytest.mark.parametrize("revealed_at", [None, 3])
    def test_once_it_is_out_the_deadline_stays_before_it_also_if_it_is_taken_back(self, closed, revealed_at):
        saved(closed, revealed_at=in_days(-1))
        with pytest.raises(Refused, match="The full result is out"):
            saved(Phase.objects.get(), closes_at=in_days(2), revealed_at=revealed_at and in_days(revealed_at))
        saved(Phase.objects.get(), closes_at=in_days(-1.5))

    def test_the_administrations_form_says_so_at_the_reveal(self, client):
        phase = cast.phase()
        client.force_login(cast.person("Olga", is_staff=True, is_superuser=True))
        address = f"/admin/leaderboard/phase/{phase.pk}/change/"
        shown = client.get(address).context["adminform"].form.initial
        sent = {name: value for name, value in shown.items() if value is not None}
        for name in ("try_out_required_from", "post_challenge_opens_at", "post_challenge_closes_at"):
            sent[f"{name}_0"] = sent[f"{name}_1"] = ""
        dates = {"opens_at": phase.opens_at, "closes_at": phase.closes_at, "revealed_at": phase.opens_at}
        for name, at in dates.items():
            sent |= {f"{name}_0": f"{at:%Y-%m-%d}", f"{name}_1": f"{at:%H:%M:%S}"}
        form = client.post(address, sent).context["adminform"].form
        assert [*form.errors] == ["revealed_at"]
        assert Phase.objects.get().revealed_at is None


def test_try_outs_are_made_on_public_cases_alone():
    hidden = cast.phase(slug="hidden")
    with pytest.raises(ValidationError, match="choose a phase whose cases are public"):
        changed(cast.phase(cast.case_set(name="more")), try_outs_on=hidden).full_clean()
    public = cast.phase(cast.case_set(name="public"), slug="public", cases_are_public=True)
    changed(hidden, try_outs_on=public).full_clean()
    hidden.save()
    with pytest.raises(ValidationError, match="has its try-outs on these cases"):
        changed(public, cases_are_public=False).full_clean()


def test_post_challenge_runs_begin_after_the_deadline():
    phase = cast.phase()
    with pytest.raises(ValidationError, match="cannot begin before the deadline"):
        changed(phase, post_challenge_opens_at=clock.now()).full_clean()
    changed(phase, post_challenge_opens_at=phase.closes_at).full_clean()


def saved(phase: Phase, **fields: object) -> Phase:
    save_phase(changed(phase, **fields), by=cast.OPERATOR)
    return phase


def in_days(days: float) -> datetime:
    return clock.now() + timedelta(days=days)


def test_what_is_open_is_known_ahead_for_pages_that_stay_open():
    now = clock.now()
    first, second = (
        Phase(name=name, opens_at=in_days(opens), closes_at=in_days(closes))
        for name, opens, closes in (("first", -1, 1), ("second", 2, 3))
    )
    found = stretches([first, second], now)
    assert [one.since for one in found] == [now, first.closes_at, second.opens_at, second.closes_at]
    assert [[phase.name for phase in one.open] for one in found] == [["first"], [], ["second"], []]
    assert [one.next and one.next.name for one in found] == ["second", "second", None, None]
    assert [one.closed and one.closed.name for one in found] == [None, "first", "first", "second"]
    assert found[-1].until is None


def test_a_try_out_is_announced_until_48_hours_before_the_deadline():
    public = Phase(cases_are_public=True)
    phase = Phase(try_outs_on=public, closes_at=in_days(10), try_out_required_from=in_days(1))
    assert (announces_try_out(phase, in_days(0)), requires_try_out(phase, in_days(0))) == (True, False)
    assert (announces_try_out(phase, in_days(2)), requires_try_out(phase, in_days(2))) == (True, True)
    assert (announces_try_out(phase, in_days(8.5)), requires_try_out(phase, in_days(8.5))) == (False, False)
    phase.try_out_required_from = in_days(9)
    assert not announces_try_out(phase, in_days(0)), "it never holds"
