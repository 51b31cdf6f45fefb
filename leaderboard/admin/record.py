"""The record of what people decided."""

from django.contrib import admin

from leaderboard import models
from leaderboard.admin.bases import ReadOnly


@admin.register(models.AuditEntry)
class AuditEntryAdmin(ReadOnly):
    """What people decided."""

    list_display = ("number", "at", "by", "user_id", "action", "target", "why")
    list_filter = ("action", "target_type")
    search_fields = ("by", "target", "why")
    unlisted = ("before", "after", "seals")
