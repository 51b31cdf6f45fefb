"""A row of the outbox as a message of MIME: its text, and the same text in the looks of the site.

The text is the source, and HTML is made of it here, once for every kind of message, so that the two never say different
things: paragraphs; a heading of the subject; what stands below the line `-- ` as the small print. A paragraph of the
form `Words: https://address` becomes a button, and addresses become links: of our own site only, but in what organisers
announce, so that nobody's name or title turns into a link. Styles are inline, and nothing is loaded from anywhere.
"""

import re
from collections.abc import Sequence
from email.utils import format_datetime, parseaddr
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.crypto import salted_hmac
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe

from leaderboard.models import NoticeKind, OutgoingMail

SIGNATURE = "-- \n"
_SIGNATURE = re.compile(r"\n--[ ]?\n")
_ADDRESS = re.compile(r"https?://[^\s<>\"]*[^\s<>\".,;:!?)]")
_HOST = re.compile(r"[\w.-]+(?::\d+)?", re.ASCII)
_BUTTON = re.compile(r"(?P<words>[^\n:]{2,60}): (?P<address>https?://[^\s<>\"]+)")


class Paragraph(NamedTuple):
    """A paragraph as HTML, or a button that leads to an address."""

    html: SafeString
    address: str = ""


def message_of(mail: OutgoingMail) -> EmailMultiAlternatives:
    """The message that goes to the mail server; the same name each time that it is tried."""
    message = EmailMultiAlternatives(mail.subject, mail.body, mail.sender, [mail.to], headers=_headers(mail))
    message.attach_alternative(html_of(mail), "text/html")
    return message


def html_of(mail: OutgoingMail) -> str:
    """What a message says, as a page that stands alone."""
    text, *rest = _SIGNATURE.split(mail.body.replace("\r\n", "\n"), maxsplit=1)
    links_anywhere = mail.kind == NoticeKind.ANNOUNCEMENTS
    context = {
        "title": mail.subject.removeprefix(settings.ACCOUNT_EMAIL_SUBJECT_PREFIX),
        "paragraphs": _paragraphs(text, links_anywhere=links_anywhere),
        "small_print": _paragraphs("".join(rest), links_anywhere=False),
        "site": settings.SITE_URL,
    }
    return render_to_string("mail/base.html", context)


def _headers(mail: OutgoingMail) -> dict[str, str]:
    """A lost answer makes us send again: by its name a receiver knows the message that it has already."""
    host = parseaddr(mail.sender)[1].rpartition("@")[2] or "localhost"
    name = salted_hmac("leaderboard.outbox", f"{mail.pk} {mail.created_at.timestamp()}").hexdigest()[:24]
    headers = {"Message-ID": f"<{name}@{host}>", "Auto-Submitted": "auto-generated"}
    # When it was written, as its words mean it (“a day from now”), and in this order programs show what came late.
    headers["Date"] = format_datetime(mail.created_at)
    if mail.unsubscribe:  # RFC 8058
        headers["List-Unsubscribe"] = f"<{mail.unsubscribe}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers


def _paragraphs(text: str, *, links_anywhere: bool) -> Sequence[Paragraph]:
    parts = [part.strip() for part in re.split(r"\n[ \t]*\n", text)]
    return [_paragraph(part, links_anywhere=links_anywhere) for part in parts if part]


def _paragraph(text: str, *, links_anywhere: bool) -> Paragraph:
    button = _BUTTON.fullmatch(text)
    if button and _may_link(button["address"], links_anywhere=links_anywhere):
        return Paragraph(conditional_escape(button["words"]), button["address"])
    return Paragraph(_linked(text, links_anywhere=links_anywhere))


def _linked(text: str, *, links_anywhere: bool) -> SafeString:
    """The text, escaped, with links and its line breaks."""
    pieces: list[SafeString] = []
    end = 0
    for found in _ADDRESS.finditer(text):
        address = found[0]
        if _may_link(address, links_anywhere=links_anywhere):
            link = format_html('<a href="{}" class="link" style="color: #0a5a80">{}</a>', address, address)
            pieces += [conditional_escape(text[end : found.start()]), link]
            end = found.end()
    pieces.append(conditional_escape(text[end:]))
    return mark_safe("".join(pieces).replace("\n", "<br>\n"))  # noqa: S308  every piece is escaped


def _may_link(address: str, *, links_anywhere: bool) -> bool:
    """Whether it leads to this site, by whichever of its names; what browsers read otherwise than we does not."""
    if links_anywhere:
        return True
    try:
        place = urlsplit(address)
    except ValueError:
        return False
    return _HOST.fullmatch(place.netloc) is not None and "\\" not in address and place.hostname in _our_hosts()


def _our_hosts() -> set[str | None]:
    return {*settings.ALLOWED_HOSTS, urlsplit(settings.SITE_URL).hostname}
