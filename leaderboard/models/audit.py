"""The record of what people decided."""

from django.db import models


class AuditEntry(models.Model):
    """One decision: who, when, what, on what, before, after, why. Written by core.audit, never changed or deleted.

    It names people and things by value, not by foreign key: it outlives them. A trigger of the database refuses UPDATE
    and DELETE: that protects it from mistakes and from the server's own code, not from whoever owns the database.
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

    class Meta:
        ordering = ["-pk"]  # and not by the clock, which may be set back
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["target_type", "target_id"], name="audit_by_target"),
            models.Index(fields=["-at"], name="audit_by_instant"),
        ]

    def __str__(self) -> str:
        return f"{self.by}: {self.action} {self.target}"
