"""When numbers of single hidden cases are published, what keeps them from it, and what they keep others from."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from leaderboard.challenge import published_cases
from leaderboard.challenge.phases import save_phase
from leaderboard.core import clock
from leaderboard.core.refusal import Refused
from leaderboard.models import AuditEntry, CaseNumberSecret, Phase
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
NAMES = [f"case_{number}" for number in range(200)]


def over(**fields) -> Phase:
    """A phase on hidden cases that was closed two hours ago, and revealed an hour ago."""
    now = clock.now()
    cases = fields.pop("case_set", None)
    instants = {"opens_at": now - 9 * HOUR, "closes_at": now - 2 * HOUR, "revealed_at": now - HOUR}
    return cast.phase(cases, **{**instants, **fields})


def publish(phase: Phase, **fields) -> None:
    published_cases.publish(phase, by=cast.OPERATOR, **{"why": "For the paper.", **fields})


def changed(phase: Phase, **fields: object) -> Phase:
    for name, value in fields.items():
        setattr(phase, name, value)
    return phase


def test_it_is_recorded_with_its_reason():
    phase = over()
    publish(phase)
    entry = AuditEntry.objects.get(action="publish cases")
    assert (entry.why, entry.by, entry.before["cases_published_at"]) == ("For the paper.", cast.OPERATOR.name, None)
    assert entry.after["cases_published_at"] is not None
    assert entry.after["findings_published_at"] is None
    assert phase.case_number_secret.secret not in json.dumps(entry.after)


def test_findings_can_follow_later_and_nothing_is_published_twice():
    phase = over()
    publish(phase)
    since = phase.cases_published_at
    with pytest.raises(Refused, match="They are published since"):
        publish(phase)
    publish(phase, findings=True)
    assert (phase.cases_published_at, phase.findings_published_at is not None) == (since, True)
    with pytest.raises(Refused, match="They are published since"):
        publish(phase, findings=True)
    assert CaseNumberSecret.objects.count() == 1


def test_it_needs_a_reason():
    with pytest.raises(Refused, match="Say why"):
        publish(over(), why=" ")


def test_public_cases_need_nobody_to_publish_them():
    with pytest.raises(Refused, match="are public: the numbers of each are shown already"):
        publish(cast.phase(cases_are_public=True))


def refuses(phase: Phase, why: str) -> None:
    with pytest.raises(Refused, match=why):
        publish(phase)
    phase.refresh_from_db()
    assert phase.cases_published_at is None
    assert not CaseNumberSecret.objects.exists()


@pytest.mark.parametrize("revealed_at", [None, HOUR])
def test_it_waits_for_the_reveal(revealed_at):
    at = clock.now() + revealed_at if revealed_at else None
    refuses(over(revealed_at=at), "Phase test stands in the way: its full result is not revealed")


@pytest.mark.parametrize(("opens", "closes"), [(-1, None), (-1, 1), (1, None), (1, 2)])
def test_it_waits_until_no_post_challenge_run_is_or_will_be_taken(opens, closes):
    now = clock.now()
    until = now + closes * HOUR if closes else None
    refuses(
        over(post_challenge_opens_at=now + opens * HOUR, post_challenge_closes_at=until),
        "its post-challenge runs have not ended",
    )


def test_it_waits_for_every_phase_on_any_of_these_volumes():
    phase = over()
    others = cast.case_set(1, name="others")
    assert set(others.cases.values_list("volume")) <= set(phase.case_set.cases.values_list("volume"))
    other = cast.phase(others, slug="final")
    refuses(phase, "The Phase final stands in the way: its deadline is not over")
    now = clock.now()
    Phase.objects.filter(pk=other.pk).update(opens_at=now - 3 * HOUR, closes_at=now - HOUR, revealed_at=now - HOUR)
    publish(phase)
    other.refresh_from_db()
    assert other.cases_published_at is None


def test_it_does_not_wait_for_phases_on_other_volumes():
    others = cast.case_set(name="others")
    others.cases.update(volume="sha256:" + "7" * 64)
    cast.phase(others, slug="final")
    phase = over()
    publish(phase)
    assert phase.cases_published_at


def test_post_challenge_runs_that_have_ended_stand_in_nobodys_way():
    now = clock.now()
    phase = over(post_challenge_opens_at=now - 2 * HOUR, post_challenge_closes_at=now - HOUR)
    publish(phase)
    assert phase.cases_published_at


@pytest.mark.parametrize("closes", [None, 2])
def test_afterwards_no_post_challenge_runs_can_be_opened(closes):
    phase = over()
    publish(phase)
    now = clock.now()
    until = now + closes * HOUR if closes else None
    told = {"post_challenge_opens_at": now - HOUR, "post_challenge_closes_at": until}
    with pytest.raises(Refused, match=r"nothing more can be handed in on these cases.*post-challenge runs have not"):
        save_phase(changed(phase, **told), by=cast.OPERATOR)
    with pytest.raises(IntegrityError), transaction.atomic():
        Phase.objects.update(**told)


def test_afterwards_the_reveal_stays():
    phase = over()
    publish(phase)
    for instant in (None, clock.now()):
        with pytest.raises(Refused, match="its full result is not revealed"):
            save_phase(changed(phase, revealed_at=instant), by=cast.OPERATOR)
    with pytest.raises(IntegrityError), transaction.atomic():
        Phase.objects.update(revealed_at=None)


def test_afterwards_no_other_phase_can_have_these_cases_hidden():
    phase = over()
    publish(phase)
    now = clock.now()
    anew = Phase(name="Next year", slug="next", case_set=phase.case_set, opens_at=now, closes_at=now + HOUR)
    with pytest.raises(Refused, match="its deadline is not over"):
        save_phase(anew, by=cast.OPERATOR)


def test_afterwards_all_else_of_the_phase_can_be_changed():
    phase = over()
    publish(phase)
    save_phase(changed(phase, description="It was a pleasure."), by=cast.OPERATOR)
    assert Phase.objects.get().description == "It was a pleasure."


def test_the_order_of_numbers_follows_from_the_secret_alone_and_not_from_names():
    first, again, other = (
        published_cases.order_of_cases(secret, NAMES) for secret in (b"a" * 32, b"a" * 32, b"b" * 32)
    )
    assert first == again != other
    assert sorted(first) == list(range(200))
    assert sum(one == other for one, other in zip(first, range(200), strict=True)) < 10
    findings = [published_cases.order_of_findings(b"a" * 32, name, range(3)) for name in NAMES]
    assert len({tuple(one) for one in findings}) == 6, "each order of three findings occurs"


# --- by whom ----------------------------------------------------------------------------------------------------------


def command(*args: str, **options) -> str:
    out = StringIO()
    call_command("publish_cases", *args, stdout=out, **{"reason": "For the paper.", **options})
    return out.getvalue()


def test_the_command_says_what_it_would_do_and_does_it():
    phase = over()
    assert "its 3 cases would be published" in command("test", dry_run=True)
    phase.refresh_from_db()
    assert (phase.cases_published_at, AuditEntry.objects.filter(action="publish cases").count()) == (None, 0)
    said = json.loads(command("test", findings=True, json=True))
    phase.refresh_from_db()
    assert phase.findings_published_at
    assert said["findings_published_at"] == phase.findings_published_at.isoformat()
    assert (said["cases"], said["dry_run"]) == (3, False)


def test_the_command_says_why_it_does_not():
    over(revealed_at=None)
    with pytest.raises(CommandError, match="not revealed"):
        command("test", dry_run=True)
    with pytest.raises(CommandError, match=r"There is no phase finals\. Known: test"):
        command("finals")


@pytest.mark.parametrize("action", ["publish_findings", "publish_cases", "archive"])
def test_from_the_administration_nothing_is_published_past_the_name_and_the_factor(client, action):
    """What it sends, and what it sent before, leads to the desk, where the name is typed and the factor asked for."""
    phase = over()
    client.force_login(cast.person("Olga", is_staff=True, is_superuser=True))
    chosen = {"action": action, "_selected_action": [phase.pk], "why": "For the paper.", "confirmed": "yes"}
    asked = client.post("/admin/leaderboard/phase/", chosen)
    assert asked["Location"].startswith("/organisers/acts/")
    words = {"why": "For the paper.", "do": "1"}
    client.post(asked["Location"], words)
    if action != "archive":
        assert client.post(asked["Location"], words)["Location"].startswith("/account/reauthenticate/")
    phase.refresh_from_db()
    assert (phase.cases_published_at, phase.archived_at) == (None, None)


def test_the_form_of_a_phase_says_at_its_field_why_post_challenge_runs_cannot_be_opened(client):
    phase = over()
    publish(phase)
    client.force_login(cast.person("Olga", is_staff=True, is_superuser=True))
    address, at = f"/admin/leaderboard/phase/{phase.pk}/change/", clock.now()
    shown = client.get(address).context["adminform"].form.initial
    sent = {name: value for name, value in shown.items() if value is not None}
    dates = {name: shown[name] for name in ("opens_at", "closes_at", "revealed_at")} | {"post_challenge_opens_at": at}
    for name in ("try_out_required_from", "post_challenge_closes_at"):
        sent[f"{name}_0"] = sent[f"{name}_1"] = ""
    for name, instant in dates.items():
        sent |= {f"{name}_0": f"{instant:%Y-%m-%d}", f"{name}_1": f"{instant:%H:%M:%S}"}
    errors = client.post(address, sent).context["adminform"].form.errors
    assert "nothing more can be handed in" in str(errors["post_challenge_opens_at"])
