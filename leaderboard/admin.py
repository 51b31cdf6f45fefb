"""The organisers' last resort: rows to edit where they are policy, to read where they are history.

Nothing here changes a state by itself: actions go through the pipeline like everybody else's wishes. Whatever is
decided here is recorded (core.audit): who, what, before, after, and the reason that was given.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, cast

from allauth.account.admin import EmailAddressAdmin
from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Model, Prefetch, QuerySet
from django.db.models.deletion import Collector
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from leaderboard import models
from leaderboard.challenge.phases import save_phase
from leaderboard.core import audit
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused
from leaderboard.core.text import sanitised
from leaderboard.hosts import registry
from leaderboard.journey import decisions, pipeline

WHY = "Why (kept in the record)"


def _organiser(request: HttpRequest) -> Actor:
    """Who acts: the admin lets nobody in who is not signed in."""
    return Actor.person(cast(models.User, request.user))


def _why(request: HttpRequest) -> str:
    """The reason that was given in whichever form was sent."""
    return request.POST.get("why", "")


def reason_field() -> forms.CharField:
    """The line of a form that asks for the reason."""
    return forms.CharField(required=False, max_length=1000, label=WHY, widget=forms.TextInput(attrs={"size": 60}))


class ReasonForm(ActionForm):
    """Beside the choice of an action: why it is done."""

    why = reason_field()


class Decisions(admin.ModelAdmin):
    """An admin whose actions are decisions: each is carried out, recorded, and answered, one thing after the other."""

    action_form = ReasonForm

    def decide(self, request: HttpRequest, chosen: QuerySet[Any], decision: Callable[..., object], done: str) -> None:
        """Decide this about each chosen row; a refusal of one does not keep the others from it."""
        for row in chosen:
            try:
                decision(row, by=_organiser(request), why=_why(request))
            except Refused as refusal:
                self.message_user(request, f"{row}: {refusal}", messages.WARNING)
            else:
                self.log_change(request, row, done)
                self.message_user(request, f"{row}: {done}")


def _many_to_many(row: Model) -> dict[str, list[str]]:
    return {field.name: sorted(map(str, getattr(row, field.name).all())) for field in row._meta.many_to_many}


def _deleted_with(row: Model) -> list[str]:
    """What goes when the row goes."""
    collector = Collector(using=DEFAULT_DB_ALIAS)
    collector.collect([row])
    gone = [one for rows in collector.data.values() for one in rows if one != row]
    gone += [one for rows in collector.fast_deletes for one in rows]
    return sorted(f"{one._meta.verbose_name} {audit.described(one)}" for one in gone)


class RecordedForm(forms.ModelForm):
    """A row's form with a line for the reason of the change."""

    why = reason_field()


class Recorded(admin.ModelAdmin):
    """An admin of rows that people edit: every change of a row, or of the rows inside it, is recorded."""

    form: type[forms.ModelForm] = RecordedForm

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Model, form: forms.ModelForm, change: bool) -> None:
        """Save, and record what changed."""
        old = type(obj)._default_manager.filter(pk=obj.pk).first() if change else None
        super().save_model(request, obj, form, change)
        self.record(request, old, obj)

    def record(self, request: HttpRequest, old: Model | None, new: Model) -> None:
        """Record a row that is new (`old` is None) or changed."""
        verb = "change" if old else "add"
        action = f"{verb} {new._meta.verbose_name}"
        audit.record_change(_organiser(request), action, old, new, why=_why(request))

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Delete, and record what was there."""
        self._record_removal(request, obj)
        super().delete_model(request, obj)

    @transaction.atomic
    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Save the rows inside a row, and record each that changed."""
        rows = formset.save(commit=False)
        olds = {row.pk: type(row)._default_manager.filter(pk=row.pk).first() for row in rows if row.pk}
        for row in formset.deleted_objects:
            self._record_removal(request, row)
            row.delete()
        for row in rows:
            old = olds.get(row.pk)
            row.save()
            self.record(request, old, row)
        formset.save_m2m()

    @transaction.atomic
    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the rows inside, and record which groups, permissions and the like changed."""
        before = _many_to_many(form.instance)
        super().save_related(request, form, formsets, change)
        after = _many_to_many(form.instance)
        changed = [name for name in after if after[name] != before[name]]
        if changed:
            audit.record(
                _organiser(request),
                f"change {form.instance._meta.verbose_name}",
                form.instance,
                before={name: before[name] for name in changed},
                after={name: after[name] for name in changed},
                why=_why(request),
            )

    def _record_removal(self, request: HttpRequest, obj: Model) -> None:
        action = f"delete {obj._meta.verbose_name}"
        before = audit.state_of(obj) | {"deleted with it": _deleted_with(obj)}
        audit.record(_organiser(request), action, obj, before=before, why=_why(request))


class _Listed(ChangeList):
    """A list that reads of its rows what it shows."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """With what a page's rows refer to, which a join would read for all that there are; without what is heavy."""
        rows: QuerySet[Any] = super().get_queryset(*args, **kwargs)
        of = cast(ReadOnly, self.model_admin)
        named = [Prefetch(field, its.all()) for field, its in of.named.items()]
        return rows.prefetch_related(*named).defer(*of.unlisted)


# Rows with what their names are made of, and without what teams wrote about their methods.
SUBMISSIONS = models.Submission.objects.select_related("team").defer("method", "external_data")
RUNS = models.Run.objects.prefetch_related(Prefetch("submission", SUBMISSIONS))
BATCHES = models.Batch.objects.prefetch_related(Prefetch("run", RUNS))


class ReadOnly(admin.ModelAdmin):
    """Rows that the server writes and people read. A list of them asks the same few questions however long it is."""

    list_select_related = ()
    named: dict[str, QuerySet[Any]] = {}  # what a listed row refers to, with what the names of that are made of
    unlisted: tuple[str, ...] = ()  # heavy fields that only a row's own page shows

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The list's rows."""
        return _Listed

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
        save_phase(cast(models.Phase, obj), by=_organiser(request), why=_why(request))


class RunInline(admin.TabularInline):
    """The runs of a submission."""

    model = models.Run
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
    named = {"team": models.Team.objects.all(), "phase": models.Phase.objects.all()}
    unlisted = ("method", "external_data")
    search_fields = ("team__name", "algorithm")
    inlines = (RunInline,)
    actions = ("cancel", "run_again", "go_on")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only the list's actions, and the reason of a disqualification, change something."""
        return request.user.has_perm("leaderboard.change_submission")

    form: type[forms.ModelForm] = RecordedForm

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Everything but the reason of a disqualification."""
        return [field.name for field in models.Submission._meta.fields if field.name != "disqualified_reason"]

    @admin.action(description="Cancel", permissions=["change"])
    def cancel(self, request: HttpRequest, chosen: QuerySet[models.Submission]) -> None:
        """End what is under way."""
        self.decide(request, chosen, decisions.cancel, "cancelled")

    @admin.action(description="Run again", permissions=["change"])
    def run_again(self, request: HttpRequest, chosen: QuerySet[models.Submission]) -> None:
        """A new run, not charged."""
        self.decide(request, chosen, decisions.run_again, "queued again")

    @admin.action(description="Go on (after an interruption that people had to look at)", permissions=["change"])
    def go_on(self, request: HttpRequest, chosen: QuerySet[models.Submission]) -> None:
        """Try again what halted."""
        self.decide(request, chosen, decisions.resume, "goes on")

    def save_model(self, request: HttpRequest, obj: models.Submission, form: Any, change: bool) -> None:
        """A reason disqualifies, an empty one puts back."""
        if obj.disqualified_reason.strip():
            decisions.disqualify(obj, by=_organiser(request), why=obj.disqualified_reason)
        else:
            decisions.reinstate(obj, by=_organiser(request), why=_why(request))


@admin.register(models.Attempt)
class AttemptAdmin(ReadOnly):
    """Each container that ran."""

    list_display = ("batch", "fence", "host", "slot", "claimed_at", "ended_at", "fault")
    list_filter = ("host", "fault")
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
    named = {"submission": SUBMISSIONS, "run": RUNS, "batch": BATCHES}


@admin.register(models.CaseSet)
class CaseSetAdmin(ReadOnly):
    """Case sets come in through `manage.py import_cases`."""

    list_display = ("name", "digest", "imported_at")


@admin.register(models.Host)
class HostAdmin(ReadOnly, Decisions):
    """GPU hosts come in through `manage.py add_host`."""

    list_display = ("name", "version", "engine", "slots", "trouble", "seen_at", "draining", "revoked_at")
    actions = ("drain", "take_work", "revoke")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only the list's actions change something."""
        return obj is None and request.user.has_perm("leaderboard.change_host")

    @admin.action(description="Drain: finish what runs, take nothing new", permissions=["change"])
    def drain(self, request: HttpRequest, chosen: QuerySet[models.Host]) -> None:
        """Before a host is updated or switched off; the health page says when it has nothing left."""
        self.decide(request, chosen, registry.drain, "drains")

    @admin.action(description="Take work again", permissions=["change"])
    def take_work(self, request: HttpRequest, chosen: QuerySet[models.Host]) -> None:
        """The end of draining."""
        self.decide(request, chosen, registry.end_draining, "takes work again")
        pipeline.fill_slots()

    @admin.action(description="Revoke the token", permissions=["change"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[models.Host]) -> None:
        """The host's next request is refused; its batches go to other hosts when their leases end."""
        self.decide(request, chosen, registry.revoke, "has no valid token any more")


@admin.register(models.AuditEntry)
class AuditEntryAdmin(ReadOnly):
    """What people decided."""

    list_display = ("at", "by", "user_id", "action", "target", "why")
    list_filter = ("action", "target_type")
    search_fields = ("by", "target", "why")
    unlisted = ("before", "after")


class MembershipForms(forms.BaseInlineFormSet):
    """The forms of a team's members; the people to choose from are read once for all."""

    people: list[Any] | None = None

    def add_fields(self, form: forms.ModelForm, index: int | None) -> None:
        """Share the choices."""
        super().add_fields(form, index)
        user = cast(forms.ModelChoiceField, form.fields["user"])
        # Through iter(): list() would count them first, which is another question.
        self.people = self.people or list(iter(cast(Iterable[Any], user.choices)))
        user.choices = self.people


class MembershipInline(admin.TabularInline):
    """The members of a team."""

    model = models.Membership
    formset = MembershipForms
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Membership]:
        """With what a membership's name is made of."""
        return super().get_queryset(request).select_related("user", "team")


@admin.register(models.Team)
class TeamAdmin(Recorded):
    """Teams and their members."""

    list_display = ("name", "affiliation", "created_at")
    search_fields = ("name",)
    exclude = ("join_code",)
    inlines = (MembershipInline,)


class PersonForm(UserChangeForm):
    """A person's row, with a line for the reason of the change."""

    why = reason_field()


@admin.register(models.User)
class PersonAdmin(Recorded, UserAdmin):
    """People, and which of them organise."""

    form = PersonForm
    fieldsets = (*(UserAdmin.fieldsets or ()), ("This change", {"fields": ("why",)}))

    @transaction.atomic
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        """Setting somebody's password, or taking it away, is a decision, too."""
        if request.method != "POST":
            return super().user_change_password(request, id, form_url)
        before = models.User.objects.filter(pk=id).first()
        response = super().user_change_password(request, id, form_url)
        after = models.User.objects.filter(pk=id).first()
        if before and after and before.password != after.password:
            action = "set password" if after.has_usable_password() else "disable password"
            audit.record(_organiser(request), action, after)
        return response


admin.site.unregister(Group)


@admin.register(Group)
class RecordedGroupAdmin(Recorded, GroupAdmin):
    """Groups of people and their permissions."""


admin.site.unregister(EmailAddress)


@admin.register(EmailAddress)
class RecordedEmailAddressAdmin(Recorded, EmailAddressAdmin):
    """The addresses by which people sign in."""

    actions = ("make_verified",)
    action_form = ReasonForm

    @admin.action(description="Mark as verified", permissions=["change"])
    def make_verified(self, request: HttpRequest, chosen: QuerySet[EmailAddress]) -> None:
        """Take an organiser's word for it."""
        for address in chosen.filter(verified=False):
            with transaction.atomic():
                super().make_verified(request, EmailAddress.objects.filter(pk=address.pk))
                after = {"verified": EmailAddress.objects.get(pk=address.pk).verified}
                if after["verified"]:
                    audit.record(
                        _organiser(request),
                        "verify address",
                        address,
                        before={"verified": False},
                        after=after,
                        why=_why(request),
                    )


admin.site.disable_action("delete_selected")  # one by one, each with its reason
# The site's own form, which counts failed tries.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = "ReXGrounding Challenge: organisers"
admin.site.site_title = "ReXGrounding Challenge"
