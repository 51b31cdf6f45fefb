"""Changes of phases that organisers prepare: seen by nobody else until they are applied."""

from django.conf import settings
from django.db import models

from leaderboard.models.challenge import Phase


class PhaseChanges(models.Model):
    """A draft of changes of a phase: what one person would set, as text, by field. One is open for each at a time.

    What was applied of it is in the record; a draft that has ended stays as it was then.
    """

    class End(models.TextChoices):
        OPEN = "", "being prepared"
        APPLIED = "applied", "applied"
        DROPPED = "dropped", "dropped"

    phase = models.ForeignKey(Phase, on_delete=models.CASCADE, related_name="changes")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="phase_changes")
    written = models.JSONField(default=dict, help_text="field: value, as it was written")
    made_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end = models.CharField(max_length=7, choices=End, default=End.OPEN, blank=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = "draft of changes of a phase"
        verbose_name_plural = "drafts of changes of phases"
        constraints = [
            models.UniqueConstraint(
                fields=["phase", "by"], condition=models.Q(ended_at=None), name="one_open_draft_of_changes_per_person"
            ),
            models.CheckConstraint(
                condition=models.Q(ended_at=None, end="") | (models.Q(ended_at__isnull=False) & ~models.Q(end="")),
                name="a_draft_of_changes_ends_in_some_way",
            ),
        ]

    def __str__(self) -> str:
        return f"draft of changes of the {self.phase}"
