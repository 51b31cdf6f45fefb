"""Pauses for maintenance: to read, to end, to call off. The desk plans them, and says what comes of it."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from leaderboard import models
from leaderboard.admin.bases import Decisions, ReadOnly
from leaderboard.challenge import maintenance


@admin.register(models.Maintenance)
class MaintenanceAdmin(ReadOnly, Decisions):
    """Pauses, those to come among them."""

    list_display = ("__str__", "begins_at", "ends_at", "words", "cancelled_at")
    list_filter = ("begins_at",)
    search_fields = ("words",)
    ordering = ("-begins_at", "-pk")
    fields = ("begins_at", "ends_at", "words", "cancelled_at")
    actions = ("end", "call_off")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Who may end one, and call one off."""
        return request.user.has_perm("leaderboard.change_maintenance")

    @admin.action(description="End it now", permissions=["decide"])
    def end(self, request: HttpRequest, chosen: QuerySet[models.Maintenance]) -> None:
        """Let runs start again."""
        self.decide(request, chosen, maintenance.end, "the pause is over")

    @admin.action(description="Call it off", permissions=["decide"])
    def call_off(self, request: HttpRequest, chosen: QuerySet[models.Maintenance]) -> None:
        """Let it not begin."""
        self.decide(request, chosen, maintenance.cancel, "the pause is called off")
