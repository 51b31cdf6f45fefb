"""Personal tokens, by which programs act for a person, and the answers that they may ask for again."""

from django.conf import settings
from django.db import models


class ApiToken(models.Model):
    """What a program of a person sends in place of a password (people/tokens.py). Only its hash is kept."""

    class Scope(models.TextChoices):
        READ = "read", "Read what your pages show"
        SUBMIT = "submit", "Hand in, change drafts, cancel, withdraw, write notes"
        TEAM = "team", "Change the team, and your profile"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=60)
    scopes = models.JSONField(default=list)
    token_hash = models.CharField(max_length=64, unique=True, help_text="sha256 of the token")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_on = models.DateField(null=True, blank=True, help_text="the UTC day, and no more of it")

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"API token {self.pk}"  # what it is called may name a person, and the record is for ever


class ApiAnswer(models.Model):
    """What was answered to a request with an Idempotency-Key, for a day: the same request again gets it again."""

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="answers")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="sha256 of method, address and body")
    status = models.PositiveSmallIntegerField(default=0)
    headers = models.JSONField(default=dict, blank=True)
    content = models.TextField(blank=True)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token", "key"], name="one_answer_per_key")]
        indexes = [models.Index(fields=["at"], name="answers_by_instant")]

    def __str__(self) -> str:
        return f"{self.status} at {self.at:%Y-%m-%d %H:%M:%S}"
