"""Messages to people: what became of each. What they say is for nobody but whom they are for."""

from django.contrib import admin

from leaderboard import models
from leaderboard.admin.bases import ReadOnly


@admin.register(models.OutgoingMail)
class OutgoingMailAdmin(ReadOnly):
    """The outbox."""

    list_display = ("created_at", "to", "subject", "state", "tries", "due_at", "answer")
    list_filter = ("state",)
    search_fields = ("to",)
    exclude = ("body", "headers")
    ordering = ("-pk",)
