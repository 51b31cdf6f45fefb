"""The organisers' desk: rows to edit where they are policy, to read where they are history.

Nothing here changes a state by itself: actions go through the pipeline like everybody else's wishes.
"""

import json
from typing import Any, cast

from allauth.account.decorators import secure_admin_login
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from leaderboard import models
from leaderboard.core import clock
from leaderboard.core.text import plain
from leaderboard.journey import decisions, pipeline
from leaderboard.submissions import admission


def _organiser(request: HttpRequest) -> models.User:
    """Who acts: the admin lets nobody in who is not signed in."""
    return cast(models.User, request.user)


class ReadOnly(admin.ModelAdmin):
    """Rows that the server writes and people read."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody adds by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody changes by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes by hand."""
        return False


@admin.register(models.Phase)
class PhaseAdmin(admin.ModelAdmin):
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
    )

    def get_readonly_fields(self, request: HttpRequest, obj: models.Phase | None = None) -> tuple[str, ...]:
        """The case set stays what it is once somebody submitted: standings on different cases do not compare."""
        return ("case_set",) if obj and obj.submissions.exists() else ()

    @admin.action(description="Archive: remove masks and images, keep scores and pages", permissions=["change"])
    def archive(self, request: HttpRequest, chosen: QuerySet[models.Phase]) -> None:
        """Nothing of an archived phase can run again; the sweeper removes its files."""
        for phase in chosen:
            try:
                decisions.archive(phase)
            except admission.Refused as refusal:
                self.message_user(request, str(refusal), messages.WARNING)
            else:
                self.log_change(request, phase, "archived")
                self.message_user(request, f"The {phase.name} is archived. Its masks and images go within minutes.")


class RunInline(admin.TabularInline):
    """The runs of a submission."""

    model = models.Run
    fields = ("number", "state", "reason", "faults", "started_at", "ended_at")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """A new run is an action, not a row."""
        return False


@admin.register(models.Submission)
class SubmissionAdmin(ReadOnly):
    """Submissions, and what an organiser may do with them."""

    list_display = (
        "id",
        "team",
        "phase",
        "algorithm",
        "track",
        "state",
        "accepted_at",
        "charged",
        "disqualified_at",
    )
    list_filter = ("phase", "state", "track")
    search_fields = ("team__name", "algorithm")
    inlines = (RunInline,)
    actions = ("cancel", "run_again", "go_on")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only the list's actions, and the reason of a disqualification, change something."""
        return request.user.has_perm("leaderboard.change_submission")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Everything but the reason of a disqualification."""
        return [field.name for field in models.Submission._meta.fields if field.name != "disqualified_reason"]

    def _each(self, request: HttpRequest, chosen: QuerySet[models.Submission], act: Any, done: str) -> None:
        for submission in chosen:
            try:
                act(submission)
            except admission.Refused as refusal:
                self.message_user(request, f"{submission}: {refusal}", messages.WARNING)
            else:
                self.log_change(request, submission, done)
                self.message_user(request, f"{submission}: {done}")

    @admin.action(description="Cancel", permissions=["change"])
    def cancel(self, request: HttpRequest, chosen: QuerySet[models.Submission]) -> None:
        """End what is under way."""
        self._each(request, chosen, lambda one: decisions.cancel(one, by=_organiser(request)), "cancelled")

    @admin.action(description="Run again", permissions=["change"])
    def run_again(self, request: HttpRequest, chosen: QuerySet[models.Submission]) -> None:
        """A new run, not charged."""
        self._each(request, chosen, lambda one: decisions.run_again(one, by=_organiser(request)), "queued again")

    @admin.action(description="Go on (after an interruption that people had to look at)", permissions=["change"])
    def go_on(self, request: HttpRequest, chosen: QuerySet[models.Submission]) -> None:
        """Try again what halted."""
        self._each(request, chosen, lambda one: decisions.go_on(one, by=_organiser(request)), "goes on")

    def save_model(self, request: HttpRequest, obj: models.Submission, form: Any, change: bool) -> None:
        """A reason disqualifies, an empty one puts back; the admin's log keeps who did it."""
        decisions.disqualify(obj, obj.disqualified_reason)


@admin.register(models.Attempt)
class AttemptAdmin(ReadOnly):
    """Each container that ran."""

    list_display = ("batch", "fence", "host", "slot", "claimed_at", "ended_at", "fault")
    list_filter = ("host", "fault")
    readonly_fields = ("how_it_ended", "what_failed", "what_it_printed")
    fields = (*list_display, *readonly_fields)

    def how_it_ended(self, attempt: models.Attempt) -> str:
        """Exit code, seconds, warnings, which quote the names of files."""
        return self._plain(json.dumps(attempt.container, indent=2))

    def what_failed(self, attempt: models.Attempt) -> str:
        """The detail of a fault, which may quote anybody."""
        return self._plain(attempt.detail)

    def what_it_printed(self, attempt: models.Attempt) -> str:
        """The end of the container's log, cut off when it was received."""
        return self._plain(attempt.log)

    def _plain(self, text: str) -> str:
        return format_html("<pre>{}</pre>", plain(text))


@admin.register(models.StateChange)
class StateChangeAdmin(ReadOnly):
    """Who moved what, when, and why."""

    list_display = ("at", "submission", "run", "batch", "from_state", "to_state", "by", "why")


@admin.register(models.CaseSet)
class CaseSetAdmin(ReadOnly):
    """Case sets come in through `manage.py import_cases`."""

    list_display = ("name", "digest", "imported_at")


@admin.register(models.Host)
class HostAdmin(ReadOnly):
    """GPU hosts come in through `manage.py add_host`."""

    list_display = ("name", "version", "engine", "slots", "trouble", "seen_at", "draining", "revoked_at")
    actions = ("drain", "take_work", "revoke")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only the list's actions change something."""
        return obj is None and request.user.has_perm("leaderboard.change_host")

    @admin.action(description="Drain: finish what runs, take nothing new", permissions=["change"])
    def drain(self, request: HttpRequest, chosen: QuerySet[models.Host]) -> None:
        """Before a host is updated or switched off; the health page says when it has nothing left."""
        for host in chosen:
            self.log_change(request, host, "drained")
        chosen.update(draining=True)

    @admin.action(description="Take work again", permissions=["change"])
    def take_work(self, request: HttpRequest, chosen: QuerySet[models.Host]) -> None:
        """The end of draining."""
        for host in chosen:
            self.log_change(request, host, "takes work again")
        chosen.update(draining=False)
        pipeline.fill_slots()

    @admin.action(description="Revoke the token", permissions=["change"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[models.Host]) -> None:
        """The host's next request is refused; its batches go to other hosts when their leases end."""
        for host in chosen:
            self.log_change(request, host, "token revoked")
        chosen.update(revoked_at=clock.now())


class MembershipInline(admin.TabularInline):
    """The members of a team."""

    model = models.Membership
    extra = 0


@admin.register(models.Team)
class TeamAdmin(admin.ModelAdmin):
    """Teams and their members."""

    list_display = ("name", "affiliation", "created_at")
    search_fields = ("name",)
    exclude = ("join_code",)
    inlines = (MembershipInline,)


admin.site.register(models.User, UserAdmin)
# The site's own form, which counts failed tries.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = "ReXGrounding Challenge: organisers"
admin.site.site_title = "ReXGrounding Challenge"
