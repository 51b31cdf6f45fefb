"""What organisers decided about runs and teams, as the teams read it; and what teams object to.

The record (AuditEntry) holds every decision; here stand those that a team is told, with the reason that it reads.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q

from leaderboard.models.challenge import Phase
from leaderboard.models.people import Team
from leaderboard.models.submissions import Submission


class TeamDisqualification(models.Model):
    """That a team is out of a phase: all its runs are, and it hands in nothing new. Ended, it stays as a row."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="disqualifications")
    phase = models.ForeignKey(Phase, on_delete=models.PROTECT, related_name="disqualifications")
    reason = models.TextField(help_text="which the team reads")
    at = models.DateTimeField()
    told_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.TextField(blank=True, help_text="which the team reads")
    end_told_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["team", "phase"], condition=Q(ended_at=None), name="a_team_is_disqualified_once"
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=False) | Q(end_told_at=None), name="only_an_ended_one_is_told_as_ended"
            ),
        ]
        indexes = [
            models.Index(
                fields=["id"],
                condition=Q(told_at=None) | Q(ended_at__isnull=False, end_told_at=None),
                name="disqualifications_to_tell",
            ),
        ]

    def __str__(self) -> str:
        return f"disqualification of {self.team} in the {self.phase}"


class RunDecision(models.Model):
    """What organisers decided about a run. Never changed: a later decision is another row."""

    class Kind(models.TextChoices):
        DISQUALIFIED = "disqualified", "Disqualified"
        REINSTATED = "reinstated", "Reinstated"
        GIVEN_BACK = "given_back", "Given back: not charged"
        CANCELLED = "cancelled", "Cancelled"
        RUN_AGAIN = "run_again", "Run again"

    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="decisions")
    kind = models.CharField(max_length=12, choices=Kind)
    reason = models.TextField(blank=True, help_text="which the team reads")
    of_team = models.ForeignKey(
        TeamDisqualification,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="decisions",
        help_text="the decision about its team of which it is a part",
    )
    at = models.DateTimeField()
    told_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="when its team was told by mail")

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["id"], condition=Q(told_at=None), name="decisions_to_tell")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.submission}"

    @property
    def can_be_objected_to(self) -> bool:
        """Whether it went against the team."""
        return self.kind in (self.Kind.DISQUALIFIED, self.Kind.CANCELLED)


class Objection(models.Model):
    """A team's objection to a decision about its run, and what organisers answered. Both stand on the run's page."""

    decision = models.ForeignKey(RunDecision, on_delete=models.CASCADE, related_name="objections")
    text = models.TextField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    at = models.DateTimeField()
    answer = models.TextField(blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="when its team was told the answer")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["decision"], condition=Q(answered_at=None), name="one_open_objection_per_decision"
            ),
            models.CheckConstraint(
                condition=Q(answered_at=None, answer="") | (Q(answered_at__isnull=False) & ~Q(answer="")),
                name="an_answer_has_words_and_an_instant",
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(answered_at__isnull=False, told_at=None), name="answers_to_tell"),
        ]

    def __str__(self) -> str:
        return f"objection {self.pk} to “{self.decision}”"
