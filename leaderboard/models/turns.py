"""Whose turn it is at what all teams share."""

from django.db import models

from leaderboard.models.people import Team


class Turn(models.Model):
    """When a team was last served, as a number that only grows: a clock may be set back, and would call it the future.

    Rows are written under the lock of their kind, by leaderboard/journey/turns.py alone.
    """

    class Kind(models.TextChoices):
        CHECK = "check", "the check of an image"
        SLOT = "slot", "a slot of a GPU host"
        SCORE = "score", "a process that scores"
        SPARE = "spare", "a slot that no scored run needs"
        LOOK = "look", "a look at the masks of a run"

    kind = models.CharField(max_length=5, choices=Kind)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="turns")
    number = models.BigIntegerField(help_text="the higher, the later")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "team"], name="one_last_turn_per_kind")]

    def __str__(self) -> str:
        return f"{self.kind} {self.number} of {self.team}"
