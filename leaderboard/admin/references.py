"""Reference rows: published results and baselines that boards show apart."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import URLField

from leaderboard import models
from leaderboard.admin.bases import Recorded, RecordedForm
from leaderboard.challenge.reference_rows import ReferenceProblems, check_numbers


class ReferenceRowForm(RecordedForm):
    """A reference row; its numbers are checked like those of a file."""

    def clean_numbers(self) -> Any:
        """The numbers as they are kept."""
        try:
            return check_numbers(self.cleaned_data["numbers"])
        except ReferenceProblems as problems:
            raise forms.ValidationError(problems.sentences) from None


@admin.register(models.ReferenceRow)
class ReferenceRowAdmin(Recorded):
    """Reference rows; whole tables come in through `manage.py import_reference`."""

    form = ReferenceRowForm
    formfield_overrides = {URLField: {"assume_scheme": "https"}}
    list_display = ("algorithm", "prompt", "training", "table", "phase", "not_comparable", "published_on")
    list_filter = ("phase", "table")
    list_select_related = ("phase",)
    search_fields = ("algorithm", "institution")
