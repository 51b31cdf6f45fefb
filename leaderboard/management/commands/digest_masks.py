"""Name what masks hold that were scored before that was written down: only then are they compared across teams."""

from typing import Any

from django.core.management.base import BaseCommand

from leaderboard.core import blobs
from leaderboard.models import Run, RunCase
from leaderboard.scores import scoring


class Command(BaseCommand):
    """`manage.py digest_masks`, where the references are; ended at any moment, it goes on where it stopped."""

    help = "Read the masks that were scored before 0018 once more, so that equal ones of different teams are found."

    def handle(self, *args: Any, **options: Any) -> None:
        """One run after the other; the sweeper then compares it."""
        waiting = RunCase.objects.filter(outcome=RunCase.Outcome.FINISHED, mask_digest=None, result__isnull=False)
        for run in Run.objects.filter(pk__in=waiting.values("run"), ended_at__isnull=False).order_by("pk"):
            rows = waiting.filter(run=run).select_related("case").prefetch_related("case__findings")
            cases = [case for case in rows if blobs.outputs.exists(case.output)]
            for case, assessment in scoring.score(cases):
                RunCase.objects.filter(pk=case.pk).update(mask_digest=assessment.mask_digest)
            Run.objects.filter(pk=run.pk).update(compared_at=None)
            self.stdout.write(f"{run}: {len(cases)} of {len(rows)} masks, the others are not kept any more")
