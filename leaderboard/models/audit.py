"""The record of what people decided."""

from django.db import models


class AuditEntry(models.Model):
    """One decision: who, when, what, on what, before, after, why. Written by core.audit, never changed or deleted.

    It names people and things by value, not by foreign key: it outlives them. A trigger of the database refuses UPDATE
    and DELETE: that protects it from mistakes and from the server's own code. What whoever owns the database changes or
    takes out nevertheless shows in the chain.
    """

    at = models.DateTimeField()
    user_id = models.BigIntegerField(null=True, blank=True, help_text="who decided, if it was somebody signed in")
    by = models.CharField(max_length=120, help_text="the person's name then, or who used the command line")
    action = models.CharField(max_length=40)
    target_type = models.CharField(max_length=40, help_text="the kind of thing: submission, phase, host, team, user")
    target_id = models.CharField(max_length=40)
    target = models.CharField(max_length=200, help_text="its name then")
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict, blank=True)
    why = models.TextField(blank=True)
    # The chain (core/chain.py). Empty for an entry that waits for the next round of it.
    number = models.BigIntegerField(null=True, blank=True, unique=True, help_text="its place in the chain, from 1 on")
    digest = models.CharField(max_length=64, blank=True, default="", db_default="", help_text="SHA-256, in hex")
    seals = models.JSONField(null=True, blank=True, help_text="of each part that is words: salt and SHA-256")

    class Meta:
        ordering = ["-pk"]  # and not by the clock, which may be set back
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["target_type", "target_id"], name="audit_by_target"),
            models.Index(fields=["-at"], name="audit_by_instant"),
            models.Index(fields=["user_id"], name="audit_by_person"),
            models.Index(fields=["id"], condition=models.Q(number=None), name="audit_unchained"),
        ]

    def __str__(self) -> str:
        return f"{self.by}: {self.action} {self.target}"


class RecordCheck(models.Model):
    """How the record was found when it was last verified from end to end, and how far the round under way is. One row.

    The last entry that was seen is kept here: an end that was cut off shows by it.
    """

    checked_at = models.DateTimeField(null=True, blank=True, help_text="the end of the last whole round")
    entries = models.BigIntegerField(default=0, help_text="the number of the last entry then")
    digest = models.CharField(max_length=64, blank=True, default="", help_text="and its digest")
    problems = models.JSONField(default=list, blank=True, help_text="what was found, in sentences")
    # The round under way.
    reached = models.BigIntegerField(default=0)
    reached_digest = models.CharField(max_length=64, blank=True, default="")
    found = models.JSONField(default=list, blank=True)

    def __str__(self) -> str:
        return "the record of decisions"
