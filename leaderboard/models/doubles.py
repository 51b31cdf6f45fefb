"""Teams that may be one: what organisers looked at, and found to be two."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from leaderboard.models.people import Team

# As `LikelyDouble.is_open`, for questions.
IS_OPEN = Q(settled_at=None) | Q(weight__gt=F("settled_weight"))


class LikelyDouble(models.Model):
    """Two teams that have more in common than chance gives. What it is, is found anew by who looks (people may go).

    `weight` says how much it is now, `settled_weight` how much it was when somebody found that they are two: with more
    it is open again.
    """

    first = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    second = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    weight = models.PositiveSmallIntegerField()
    found_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    settled_weight = models.PositiveSmallIntegerField(default=0)
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["-weight", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["first", "second"], name="two_teams_are_suspected_once"),
            models.CheckConstraint(condition=Q(first__lt=F("second")), name="the_older_team_is_first"),
        ]

    def __str__(self) -> str:
        return f"{self.first} and {self.second}"

    @property
    def is_open(self) -> bool:
        """Whether nobody looked at it, or more was found since."""
        return self.settled_at is None or self.weight > self.settled_weight
