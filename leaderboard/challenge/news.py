"""News, and questions with their answers: which of them are public at an instant."""

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby

from django.db.models import QuerySet

from leaderboard.models import FaqSection, NewsItem, Question


def published_news(at: datetime) -> QuerySet[NewsItem]:
    """The news that are public at this instant, newest first."""
    return NewsItem.objects.filter(published_at__lte=at)


def is_public(row: NewsItem | Question, at: datetime) -> bool:
    """Whether everybody may read it at this instant."""
    return row.published_at is not None and row.published_at <= at


def faq(at: datetime, *, with_drafts: bool = False) -> list[tuple[FaqSection, list[Question]]]:
    """The questions by section, each in its order; sections without a question to show are left out."""
    questions: Iterable[Question] = Question.objects.select_related("section")
    shown = [one for one in questions if with_drafts or is_public(one, at)]
    return [(section, list(those)) for section, those in groupby(shown, key=lambda one: one.section)]
