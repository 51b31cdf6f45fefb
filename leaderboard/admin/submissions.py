"""Submissions, and what may be done with them; each container that ran; each change of state."""

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, OuterRef, Prefetch, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from leaderboard import models
from leaderboard.admin.bases import Decisions, NamedValues, ReadOnly, RecordedForm, organiser_of, reason_of
from leaderboard.core.refusal import Refused
from leaderboard.core.text import sanitised
from leaderboard.journey import decisions
from leaderboard.states import RunState, SubmissionState, as_stage

# Rows with what their names are made of, and without what teams wrote about their methods.
SUBMISSIONS = models.Submission.objects.select_related("team").defer("method", "external_data")
RUNS = models.Run.objects.prefetch_related(Prefetch("submission", SUBMISSIONS))
STATE_OF_RUN = models.Run.objects.filter(submission=OuterRef("pk")).order_by("-number").values("state")[:1]
BATCHES = models.Batch.objects.prefetch_related(Prefetch("run", RUNS))


class StateFilter(admin.SimpleListFilter):
    """Submissions by the state that matters now: of the latest run, or their own while there is none."""

    title = "state"
    parameter_name = "stage"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """States of submissions that have no run, and of runs."""
        own = [(state.value, str(state.label)) for state in SubmissionState if state != SubmissionState.ACCEPTED]
        of_runs = [(f"run-{state.value}", f"Run: {state.label.lower()}") for state in RunState]
        return own + of_runs

    def queryset(self, request: HttpRequest, rows: QuerySet[models.Submission]) -> QuerySet[models.Submission]:
        """Those in the state that was chosen."""
        chosen = self.value()
        if not chosen:
            return rows
        if not chosen.startswith("run-"):
            return rows.filter(state=chosen)
        of_runs = rows.filter(state=SubmissionState.ACCEPTED).annotate(state_of_run=Subquery(STATE_OF_RUN))
        return of_runs.filter(state_of_run=chosen.removeprefix("run-"))


class RunInline(admin.TabularInline):
    """The runs of a submission."""

    model = models.Run
    template = "admin/wide_inline.html"
    fields = ("number", "state", "reason", "faults", "started_at", "ended_at")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Run]:
        """With what a run's name is made of."""
        rows = super().get_queryset(request).select_related("submission__team")
        return rows.defer("submission__method", "submission__external_data")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """A new run is an action, not a row."""
        return False


@admin.register(models.Submission)
class SubmissionAdmin(ReadOnly, Decisions):
    """Submissions, and what an organiser may do with them."""

    list_display = (
        "id",
        "run_state",
        "team",
        "phase",
        "kind",
        "algorithm",
        "entry",
        "track",
        "accepted_at",
        "charged",
        "disqualified_at",
        "withdrawn_at",
    )
    list_filter = ("phase", "kind", StateFilter, "entry", "track")
    named = {"team": models.Team.objects.all(), "phase": models.Phase.objects.all()}
    unlisted = ("method", "external_data")
    exclude = ("note", "state")  # the team's own; said by `run_state`
    # By a digest, whichever of them is at hand: equal images are found so.
    search_fields = ("team__name", "algorithm", "=upload", "=provenance__image_id", "=image__image_id")
    inlines = (RunInline,)
    actions = ("cancel", "run_again", "go_on", "withdraw", "bring_back")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only the list's actions, and the reason of a disqualification, change something."""
        return request.user.has_perm("leaderboard.change_submission")

    form: type[forms.ModelForm] = RecordedForm

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Everything that is shown but the reason of a disqualification; as its state that of its run."""
        hidden = {"disqualified_reason", *self.exclude}
        names = [field.name for field in models.Submission._meta.fields if field.name not in hidden]
        return ["run_state", *names]

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Submission]:
        """With the state of the latest run, which says how far each is."""
        rows: QuerySet[models.Submission] = super().get_queryset(request)
        return rows.annotate(state_of_run=Subquery(STATE_OF_RUN))

    @admin.display(description="state")
    def run_state(self, submission: models.Submission) -> str:
        """The state that matters now, which leads to the run at the desk."""
        known = getattr(submission, "state_of_run", None)
        state = RunState(known) if known and submission.state == SubmissionState.ACCEPTED else submission.state
        address = reverse("desk_run", args=[submission.pk])
        return format_html('<a href="{}">{}</a>', address, as_stage(state).label)

    @admin.action(description="Cancel", permissions=["change"])
    def cancel(self, request: HttpRequest, chosen: QuerySet[models.Submission]) -> None:
        """End what is under way."""
        self.decide(request, chosen, decisions.cancel_for_team, "cancelled")

    @admin.action(description="Run again", permissions=["change"])
    def run_again(self, request: HttpRequest, chosen: QuerySet[models.Submission]) -> None:
        """A new run, not charged."""
        self.decide(request, chosen, decisions.run_again, "queued again")

    @admin.action(description="Go on (after an interruption that people had to look at)", permissions=["change"])
    def go_on(self, request: HttpRequest, chosen: QuerySet[models.Submission]) -> None:
        """Try again what halted."""
        self.decide(request, chosen, decisions.resume, "goes on")

    @admin.action(description="Withdraw (for the team, with a reason)", permissions=["change"])
    def withdraw(self, request: HttpRequest, chosen: QuerySet[models.Submission]) -> None:
        """It does not count, also after the deadline."""
        self.decide(request, chosen, decisions.withdraw_for_team, "withdrawn")

    @admin.action(description="Bring back what was withdrawn (with a reason)", permissions=["change"])
    def bring_back(self, request: HttpRequest, chosen: QuerySet[models.Submission]) -> None:
        """It may count again, also after the deadline."""
        self.decide(request, chosen, decisions.bring_back_for_team, "brought back")

    def save_model(self, request: HttpRequest, obj: models.Submission, form: Any, change: bool) -> None:
        """A reason disqualifies, an empty one puts back."""
        try:
            if obj.disqualified_reason.strip():
                decisions.disqualify(obj, by=organiser_of(request), why=obj.disqualified_reason)
            else:
                decisions.reinstate(obj, by=organiser_of(request), why=reason_of(request))
        except Refused as refusal:
            self.message_user(request, str(refusal), messages.ERROR)


@admin.register(models.Attempt)
class AttemptAdmin(ReadOnly):
    """Each container that ran."""

    list_display = ("batch", "fence", "host", "slot", "claimed_at", "ended_at", "fault")
    list_filter = ("host", ("fault", NamedValues))
    ordering = ("-pk",)
    show_full_result_count = False  # of those that a filter leaves it is enough
    named = {"host": models.Host.objects.all(), "batch": BATCHES}
    unlisted = ("container", "log", "detail")
    readonly_fields = ("how_it_ended", "what_failed", "what_it_printed")
    fields = (*list_display, *readonly_fields)

    def how_it_ended(self, attempt: models.Attempt) -> str:
        """Exit code, seconds, warnings, which quote the names of files."""
        return self._preformatted(json.dumps(attempt.container, indent=2))

    def what_failed(self, attempt: models.Attempt) -> str:
        """The detail of a fault, which may quote anybody."""
        return self._preformatted(attempt.detail)

    def what_it_printed(self, attempt: models.Attempt) -> str:
        """The end of the container's log, cut off when it was received."""
        return self._preformatted(attempt.log)

    def _preformatted(self, text: str) -> str:
        return format_html("<pre>{}</pre>", sanitised(text))


@admin.register(models.StateChange)
class StateChangeAdmin(ReadOnly):
    """Who moved what, when, and why."""

    list_display = ("at", "submission", "run", "batch", "from_state", "to_state", "by", "why")
    ordering = ("-pk",)
    show_full_result_count = False
    named = {"submission": SUBMISSIONS, "run": RUNS, "batch": BATCHES}
