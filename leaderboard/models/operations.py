"""What operators watch and announce: processes that show signs of life, alarms, pauses for maintenance."""

from datetime import datetime

from django.db import models
from django.db.models import F, Q


class ProcessHeartbeat(models.Model):
    """A process of the server and when it last showed that it lives."""

    name = models.CharField(max_length=120, unique=True, help_text="its role and its machine: control@server-1")
    at = models.DateTimeField()

    class Meta:
        db_table = "leaderboard_pulse"

    def __str__(self) -> str:
        return self.name


class Alarm(models.Model):
    """Something that is wrong, since when, and when organisers were told of it. It goes when the trouble does."""

    key = models.CharField(max_length=60, unique=True, help_text="the check that fails, or what waits for organisers")
    since = models.DateTimeField()
    told_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.key


class Maintenance(models.Model):
    """A pause for maintenance, announced ahead: while it lasts, no container starts. Ended early, it ends earlier."""

    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    words = models.CharField(max_length=300, help_text="why, as every page says it")
    cancelled_at = models.DateTimeField(null=True, blank=True, help_text="when it was called off before it began")

    class Meta:
        ordering = ["begins_at", "pk"]
        verbose_name = "pause"
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("begins_at")), name="a_pause_ends_after_it_begins")
        ]
        indexes = [models.Index(fields=["ends_at"], condition=Q(cancelled_at=None), name="pauses_by_their_end")]

    def __str__(self) -> str:
        return f"pause {self.pk}" if self.pk else "a new pause"

    def is_on(self, at: datetime) -> bool:
        """Whether it lasts at this instant."""
        return self.cancelled_at is None and self.begins_at <= at < self.ends_at

    def is_to_come(self, at: datetime) -> bool:
        """Whether it will begin."""
        return self.cancelled_at is None and at < self.begins_at
