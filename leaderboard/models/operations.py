"""What operators watch: which processes show signs of life, and which alarms were raised."""

from django.db import models


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
