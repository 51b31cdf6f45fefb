"""What the admins have in common: rows to read, rows to edit with a record of it, actions that are decisions."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.options import InlineModelAdmin
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminSplitDateTime, FilteredSelectMultiple
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import PROTECT, Model, Prefetch, QuerySet
from django.db.models.deletion import Collector
from django.http import HttpRequest
from django.utils.text import capfirst

from leaderboard import models
from leaderboard.core import audit
from leaderboard.core.audit import Actor
from leaderboard.core.refusal import Refused

WHY = "Why (kept in the record)"


def organiser_of(request: HttpRequest) -> Actor:
    """Who acts: the admin lets nobody in who is not signed in."""
    return Actor.person(cast(models.User, request.user))


def reason_of(request: HttpRequest) -> str:
    """The reason that was given in whichever form was sent."""
    return request.POST.get("why", "")


def reason_field() -> forms.CharField:
    """The line of a form that asks for the reason."""
    return forms.CharField(required=False, max_length=1000, label=WHY, widget=forms.TextInput(attrs={"size": 60}))


class ReasonForm(ActionForm):
    """Beside the choice of an action: why it is done."""

    why = reason_field()


class ShortLists(admin.ModelAdmin):
    """An admin whose lists cost little, however long they are."""

    list_per_page = 50


class Named(admin.options.BaseModelAdmin):
    """An admin whose fields have names that are read out where Django gives them none.

    These are the two halves of an instant, both lists of a choice of many, and what stands in the rows of a table.
    """

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> forms.Field | None:
        """The field of a form, with its name."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is None:
            return None
        name = capfirst(str(field.label or db_field.verbose_name))
        if isinstance(field.widget, AdminSplitDateTime):
            for half, widget in zip(("date", "time"), field.widget.widgets, strict=True):
                widget.attrs["aria-label"] = f"{name}: {half}"
        inner = cast(forms.Widget, getattr(field.widget, "widget", field.widget))
        if isinstance(self, InlineModelAdmin) or isinstance(inner, FilteredSelectMultiple):
            inner.attrs["aria-label"] = name
        return field


class NamedValues(admin.AllValuesFieldListFilter):
    """A filter whose empty value can be read and pressed, whether or not there is such a row now."""

    def __init__(self, field: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(field, *args, **kwargs)
        self.others = self.lookup_choices.exclude(**{field.name: ""})  # of which there are few

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """What can be chosen."""
        self.lookup_choices: Any = ["", *self.others]
        for choice in super().choices(changelist):
            yield {**choice, "display": choice["display"] or "(none)"}


class Decisions(Named, ShortLists):
    """An admin whose actions are decisions: each is carried out, recorded, and answered, one thing after the other."""

    action_form = ReasonForm

    def decide(self, request: HttpRequest, chosen: QuerySet[Any], decision: Callable[..., object], done: str) -> None:
        """Decide this about each chosen row; a refusal of one does not keep the others from it."""
        for row in chosen:
            try:
                decision(row, by=organiser_of(request), why=reason_of(request))
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


def _what_keeps(rows: Sequence[Model] | QuerySet[Any]) -> list[str]:
    """What refers to the rows so that they cannot be deleted: how many rows of which kind."""
    kinds = {type(row) for row in rows}
    found = []
    for relation in (one for kind in kinds for one in kind._meta.related_objects if one.on_delete is PROTECT):
        theirs = relation.related_model._default_manager.filter(**{f"{relation.field.name}__in": rows})
        if count := theirs.count():
            found.append(f"{count:,} {relation.related_model._meta.verbose_name_plural}")
    return found


class RecordedForm(forms.ModelForm):
    """A row's form with a line for the reason of the change."""

    why = reason_field()


class Recorded(Named, ShortLists):
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
        audit.record_change(organiser_of(request), action, old, new, why=reason_of(request))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What would go; where others refer to it, and so keep it, how many these are, and none of them."""
        if keeping := _what_keeps(objs):
            return [], {}, set(), keeping
        return super().get_deleted_objects(objs, request)

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
                organiser_of(request),
                f"change {form.instance._meta.verbose_name}",
                form.instance,
                before={name: before[name] for name in changed},
                after={name: after[name] for name in changed},
                why=reason_of(request),
            )

    def _record_removal(self, request: HttpRequest, obj: Model) -> None:
        action = f"delete {obj._meta.verbose_name}"
        before = audit.state_of(obj) | {"deleted with it": _deleted_with(obj)}
        audit.record(organiser_of(request), action, obj, before=before, why=reason_of(request))


class _Listed(ChangeList):
    """A list that reads of its rows what it shows."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """With what a page's rows refer to, which a join would read for all that there are; without what is heavy."""
        rows: QuerySet[Any] = super().get_queryset(*args, **kwargs)
        of = cast(ReadOnly, self.model_admin)
        named = [Prefetch(field, its.all()) for field, its in of.named.items()]
        return rows.prefetch_related(*named).defer(*of.unlisted)


class ReadOnly(ShortLists):
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
