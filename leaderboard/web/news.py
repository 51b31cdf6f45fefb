"""News, as pages and as a feed; questions and answers."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed
from django.views.decorators.http import require_safe

from leaderboard.challenge.news import faq, is_public, published_news
from leaderboard.core.markdown import as_html
from leaderboard.core.text import one_line, xml_text
from leaderboard.models import NewsItem, Question
from leaderboard.web.conditional import unless_unchanged
from leaderboard.web.context import instant_of

PER_PAGE = 20
IN_FEED = 30
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


def _edits(request: HttpRequest, kind: str) -> bool:
    """Whether it is an organiser, who sees drafts, too."""
    return request.user.is_authenticated and request.user.has_perm(f"leaderboard.view_{kind}")


# --- news -------------------------------------------------------------------------------------------------------------


@require_safe
def news(request: HttpRequest) -> HttpResponse:
    """All news, newest first."""
    items = published_news(instant_of(request)).defer("body")
    return render(request, "news/list.html", {"page": Paginator(items, PER_PAGE).get_page(request.GET.get("page"))})


@require_safe
def news_item(request: HttpRequest, slug: str) -> HttpResponse:
    """One piece of news; a draft for organisers alone."""
    item = get_object_or_404(NewsItem, slug=slug)
    public = is_public(item, instant_of(request))
    if not public and not _edits(request, "newsitem"):
        raise Http404
    return render(request, "news/item.html", {"item": item, "is_public": public})


class _Feed(Atom1Feed):
    """Atom (RFC 4287) with the whole text of each entry."""

    def add_item_elements(self, handler: Any, item: dict[str, Any]) -> None:
        """What Django writes, and the text."""
        super().add_item_elements(handler, item)
        handler.addQuickElement("content", item["text"], {"type": "html"})

    def latest_post_date(self) -> datetime:
        """Of a feed without entries an instant that stands still; Django's would be the present."""
        return super().latest_post_date() if self.items else BEGINNING


@require_safe
def feed(request: HttpRequest) -> HttpResponseBase:
    """The newest of the news, for readers of feeds, which ask again and again."""
    made = _Feed(
        title="ReXGrounding Challenge: news",
        link=settings.SITE_URL + reverse("news"),
        feed_url=settings.SITE_URL + reverse("news_feed"),
        description="",
        author_name="The organisers of the ReXGrounding Challenge",
        language="en",
    )
    for item in published_news(instant_of(request))[:IN_FEED]:
        made.add_item(
            xml_text(one_line(item.title)),
            settings.SITE_URL + reverse("news_item", args=[item.slug]),
            description=None,  # type: ignore[arg-type]  # its text is content, not a summary
            unique_id=item.key.urn,
            pubdate=item.published_at,
            updateddate=max(item.published_at or item.changed_at, item.changed_at),
            text=xml_text(as_html(item.body, below=1, of_organisers=True)),
        )
    content = made.writeString("utf-8").encode()
    return unless_unchanged(request, content, made.content_type, made.latest_post_date())


# --- questions --------------------------------------------------------------------------------------------------------


@require_safe
def questions(request: HttpRequest) -> HttpResponse:
    """All questions with their answers, by section."""
    at = instant_of(request)
    sections = faq(at, with_drafts=_edits(request, "question"))
    drafts = {one.pk for _, those in sections for one in those if not is_public(one, at)}
    return render(request, "news/faq.html", {"sections": sections, "drafts": drafts})


@require_safe
def question(request: HttpRequest, slug: str) -> HttpResponse:
    """The place of one question on the page of all."""
    row = get_object_or_404(Question, slug=slug)
    if not is_public(row, instant_of(request)) and not _edits(request, "question"):
        raise Http404
    return redirect(f"{reverse('faq')}#q-{row.slug}")
