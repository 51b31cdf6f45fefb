"""Disqualifications of before the table of decisions: taken from the record, with the reasons that teams were shown."""

from importlib import import_module

import pytest
from django.db import connection

from leaderboard.journey import decisions
from leaderboard.models import AuditEntry, OutgoingMail, RunDecision, Submission
from leaderboard.notices import decisions as notices
from tests.leaderboard import cast

pytestmark = pytest.mark.django_db
migration = import_module("leaderboard.migrations.0046_decisions_of_before")


def migrate() -> list[tuple[int, str, str]]:
    RunDecision.objects.all().delete()
    with connection.cursor() as cursor:
        for sql in (migration.FROM_RECORD, migration.WITHOUT_RECORD):
            cursor.execute(sql)
    return list(RunDecision.objects.values_list("submission", "kind", "reason"))


def test_reasons_are_taken_from_the_record_and_nobody_is_told_again(team):
    phase = cast.phase(runs_per_day=9)
    back, out, unrecorded = (cast.submit_checked(team, phase) for _ in range(3))
    decisions.disqualify(back, by=cast.OPERATOR, why="Copied.")
    decisions.reinstate(back, by=cast.OPERATOR, why="A secret of the organisers.")
    decisions.disqualify(out, by=cast.OPERATOR, why="Two accounts.")
    at = AuditEntry.objects.latest("pk").at
    Submission.objects.filter(pk=unrecorded.pk).update(disqualified_at=at, disqualified_reason="Long ago.")
    assert migrate() == [
        (back.pk, "disqualified", "Copied."),
        (back.pk, "reinstated", ""),
        (out.pk, "disqualified", "Two accounts."),
        (unrecorded.pk, "disqualified", "Long ago."),
    ]
    notices.write_due()
    assert not OutgoingMail.objects.exists()
