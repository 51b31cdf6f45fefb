"""The messages that the mail server of ./dev took and delivered nowhere, on a page of their own.

The address exists only where SHOWN_MAILS_DIR is set, which the settings refuse for all but loopback addresses.
"""

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage
from heapq import nlargest
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

MOST_SHOWN = 30


class Mail(NamedTuple):
    """A message as the page shows it."""

    at: datetime
    to: str
    subject: str
    text: str
    name: str = ""  # of its file, where it has HTML, too


@require_safe
@never_cache
def mails(request: HttpRequest) -> HttpResponse:
    """The latest messages, newest first."""
    return render(request, "demo/mails.html", {"mails": latest_mails(Path(settings.SHOWN_MAILS_DIR))})


# A message has its styles inside, and nothing else: no script runs, and its links leave the page.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox allow-top-navigation"


@require_safe
@never_cache
def mail(_request: HttpRequest, name: str) -> HttpResponse:
    """One message as programs show it that read HTML."""
    html = html_of(Path(settings.SHOWN_MAILS_DIR), name)
    if html is None:
        raise Http404
    return HttpResponse(html, headers={"Content-Security-Policy": _POLICY})


def latest_mails(maildir: Path) -> list[Mail]:
    """The latest messages of a maildir, newest first; none where there is no such folder."""
    files = ((path.stat().st_mtime, path) for path in (maildir / "new").glob("*"))
    return [_read(datetime.fromtimestamp(at, UTC), path) for at, path in nlargest(MOST_SHOWN, files)]


def _read(at: datetime, path: Path) -> Mail:
    with path.open("rb") as file:
        message = email.message_from_binary_file(file, EmailMessage, policy=email.policy.default)
    body = message.get_body(("plain",))
    name = path.name if message.get_body(("html",)) else ""
    return Mail(at, str(message["To"]), str(message["Subject"]), body.get_content() if body else "", name)


def html_of(maildir: Path, name: str) -> str | None:
    """The HTML of the message in this file of a maildir; None where there is no such file, or no HTML in it."""
    for path in (maildir / "new").glob("*"):
        if path.name == name:
            with path.open("rb") as file:
                message = email.message_from_binary_file(file, EmailMessage, policy=email.policy.default)
            body = message.get_body(("html",))
            return body.get_content() if body else None
    return None
