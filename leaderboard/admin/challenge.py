"""Phases and their policies; the case sets."""

from typing import cast

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from leaderboard import models
from leaderboard.admin.bases import (
    Decisions,
    ReadOnly,
    Recorded,
    organiser_of,
    reason_of,
)
from leaderboard.challenge.phases import save_phase
from leaderboard.journey import decisions


@admin.register(models.Phase)
class PhaseAdmin(Recorded, Decisions):
    """A phase and its policies."""

    list_display = (
        "name",
        "case_set",
        "opens_at",
        "closes_at",
        "archived_at",
        "publication",
        "counting",
        "runs_per_day",
        "runs_total",
    )
    prepopulated_fields = {"slug": ("name",)}
    actions = ("archive",)
    fieldsets = (
        (None, {"fields": ("name", "slug", "description", "case_set", "opens_at", "closes_at")}),
        ("What is shown", {"fields": ("cases_are_public", "publication", "revealed_at")}),
        ("What counts", {"fields": ("counting", "runs_per_day", "runs_total")}),
        ("What a team says of its entry", {"fields": ("commitment", "commitment_text", "pdf")}),
        ("A run", {"fields": ("batch_size", "max_failures_in_row", "show_categories", "gpus")}),
        (
            "Limits of a container",
            {
                "fields": (
                    "case_seconds",
                    "startup_seconds",
                    "memory_bytes",
                    "shm_bytes",
                    "tmp_bytes",
                    "output_bytes",
                    "log_bytes",
                    "cpus",
                    "pids",
                )
            },
        ),
        ("Limits of an image", {"fields": ("max_archive_bytes", "max_unpacked_bytes")}),
        ("This change", {"fields": ("why",)}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: models.Phase | None = None) -> tuple[str, ...]:
        """The case set stays what it is once somebody submitted: standings on different cases do not compare."""
        return ("case_set",) if obj and obj.submissions.exists() else ()

    @admin.action(description="Archive: remove masks and images, keep scores and pages", permissions=["change"])
    def archive(self, request: HttpRequest, chosen: QuerySet[models.Phase]) -> None:
        """Nothing of an archived phase can run again; the sweeper removes its files."""
        self.decide(request, chosen, decisions.archive, "is archived, its masks and images go within minutes")

    def save_model(self, request: HttpRequest, obj: Model, form: forms.ModelForm, change: bool) -> None:
        """By the same function as every other change of a policy."""
        save_phase(cast(models.Phase, obj), by=organiser_of(request), why=reason_of(request))


@admin.register(models.CaseSet)
class CaseSetAdmin(ReadOnly):
    """Case sets come in through `manage.py import_cases`."""

    list_display = ("name", "digest", "imported_at")
