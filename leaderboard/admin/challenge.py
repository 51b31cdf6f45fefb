"""Phases and their policies; the case sets."""

from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from leaderboard import models
from leaderboard.admin.bases import (
    Decisions,
    Recorded,
    RecordedForm,
    organiser_of,
    reason_of,
)
from leaderboard.admin.sizes import SizeField
from leaderboard.challenge.phases import CHECKS, save_phase
from leaderboard.core import clock
from leaderboard.core.refusal import Refused


class PhaseForm(RecordedForm):
    """A phase's policies. What may not be changed at this moment is said in the form."""

    def _post_clean(self) -> None:
        """Once the instance is what it would be: ask what saving asks again, under the row's lock."""
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        old, now = models.Phase.objects.filter(pk=self.instance.pk).first(), clock.now()
        for field, check in CHECKS.items():
            try:
                check(old, self.instance, now)
            except Refused as refusal:
                self.add_error(field, str(refusal))


@admin.register(models.Phase)
class PhaseAdmin(Recorded, Decisions):
    """A phase and its policies."""

    form = PhaseForm

    list_display = (
        "name",
        "is_draft",
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
    actions = ("archive", "publish_cases", "publish_findings")
    fieldsets = (
        (None, {"fields": ("name", "slug", "is_draft", "description", "case_set", "opens_at", "closes_at")}),
        ("What is handed in", {"fields": ("takes", "is_ranked", "masks_are_ranked")}),
        (
            "What is shown",
            {
                "fields": (
                    "cases_are_public",
                    "publication",
                    "revealed_at",
                    "embargo_until",
                    "anonymous_until_reveal",
                    "show_submitters",
                )
            },
        ),
        ("What counts", {"fields": ("counting", "runs_per_day", "runs_total")}),
        ("Who takes part", {"fields": ("requires_approval",)}),
        ("What a team says of its entry", {"fields": ("commitment", "commitment_text", "pdf")}),
        (
            "Try-outs",
            {"fields": ("try_outs_on", "try_out_cases", "try_outs_per_day", "try_out_required_from")},
        ),
        (
            "After the deadline",
            {
                "fields": (
                    "post_challenge_opens_at",
                    "post_challenge_closes_at",
                    "post_challenge_per_day",
                    "post_challenge_total",
                )
            },
        ),
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
        ("Limits of an upload", {"fields": ("max_archive_bytes", "max_unpacked_bytes", "max_masks_bytes")}),
        ("This change", {"fields": ("why",)}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: models.Phase | None = None) -> tuple[str, ...]:
        """The case set stays what it is once something ran on it: standings on different cases do not compare."""
        return (
            ("case_set",) if obj and models.Submission.objects.filter(Q(phase=obj) | Q(cases_of=obj)).exists() else ()
        )

    # What nobody takes back is done at the desk: previewed, with the name typed, and a second factor where one is due.

    @admin.action(description="Archive (at the desk)", permissions=["change"])
    def archive(self, request: HttpRequest, chosen: QuerySet[models.Phase]) -> HttpResponse | None:
        """Leads to where it is asked."""
        return self._at_the_desk(request, chosen, "archive-phase")

    @admin.action(description="Publish numbers of single hidden cases (at the desk)", permissions=["change"])
    def publish_cases(self, request: HttpRequest, chosen: QuerySet[models.Phase]) -> HttpResponse | None:
        """Likewise."""
        return self._at_the_desk(request, chosen, "publish-cases")

    @admin.action(description="Publish numbers of single hidden cases, findings (at the desk)", permissions=["change"])
    def publish_findings(self, request: HttpRequest, chosen: QuerySet[models.Phase]) -> HttpResponse | None:
        """Likewise."""
        return self._at_the_desk(request, chosen, "publish-findings")

    def _at_the_desk(self, request: HttpRequest, chosen: QuerySet[models.Phase], act: str) -> HttpResponse | None:
        phases = list(chosen)
        if len(phases) != 1:
            self.message_user(request, "One phase at a time: there is no way back.", messages.WARNING)
            return None
        return redirect(f"{reverse('act', args=[act])}?{urlencode({'on': phases[0].slug})}")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Sizes are written with their unit; the limits of the model go on to hold."""
        if not db_field.name.endswith("_bytes"):
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        return SizeField(
            label=str(db_field.verbose_name).removesuffix(", bytes").removesuffix(" bytes").capitalize(),
            help_text=str(db_field.help_text),
            initial=db_field.default,
        )

    def save_model(self, request: HttpRequest, obj: Model, form: forms.ModelForm, change: bool) -> None:
        """By the same function as every other change of a policy."""
        save_phase(cast(models.Phase, obj), by=organiser_of(request), why=reason_of(request))
