"""How facts are put into words on every page: times in two clocks, numbers with their doubt, states with their shape.

Everything that a team wrote passes through `sanitised` (or `markdown`, which uses it) before a template escapes it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Protocol

from django import template
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from containers.protocol.sizes import binary_size, decimal_size
from leaderboard.board.rows import ShownTeam
from leaderboard.charts.words import interval, ranks, signed, signed_interval
from leaderboard.core.markdown import as_html
from leaderboard.core.text import sanitised
from leaderboard.models import Team

register = template.Library()

DASH = "–"
FORMATS = {
    "full": "%b %-d, %Y %H:%M UTC",
    "minute": "%b %-d, %H:%M UTC",
    "day": "%b %-d, %Y",
    "short": "%b %-d",
    "hour": "%H:%M UTC",
}

# --- time -------------------------------------------------------------------------------------------------------------


@register.simple_tag
def when(at: datetime, style: str = "full") -> SafeString:
    """An instant in UTC, readable by machines too: `<time datetime="…">Sep 15, 2026 04:00 UTC</time>`."""
    at = at.astimezone(UTC)
    return format_html('<time datetime="{}">{}</time>', f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:{FORMATS[style]}}")


@register.simple_tag
def local(at: datetime) -> SafeString:
    """The same instant by the visitor's clock. Empty without a script: the server does not know where a visitor is."""
    return format_html('<local-time datetime="{}"></local-time>', f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")


@register.simple_tag
def between(first: datetime, last: datetime, now: datetime) -> SafeString:
    """From when to when something is expected, by two clocks; the first instant is left out once it has passed."""
    first, last = first.astimezone(UTC), last.astimezone(UTC)
    if last <= now:
        return mark_safe("any minute now")
    style = "minute" if last.date() != now.astimezone(UTC).date() or last.date() != first.date() else "hour"
    began = first if first > now else None
    words = (
        format_html("between {} and {}", when(first, style), when(last, style))
        if began
        else format_html("by {}", when(last, style))
    )
    datetimes = f"{began or last:%Y-%m-%dT%H:%M:%SZ}", f"{last:%Y-%m-%dT%H:%M:%SZ}"
    return format_html(
        '{} <span class="sub"><local-time datetime="{}" until="{}"></local-time></span>', words, *datetimes
    )


@register.simple_tag
def left(until: datetime, now: datetime, over: str = "no time") -> SafeString:
    """The time left, which a small script keeps counting down by the server's clock; then it says that it is `over`."""
    # A timer is not read aloud as it changes (its aria-live is off): who asks for it hears what is left.
    return format_html(
        '<time-left role="timer" until="{}" now="{}" over="{}">{}</time-left>',
        _exactly(until),
        _exactly(now),
        over,
        span(until - now) if until > now else over,
    )


@register.simple_block_tag
def during(content: str, now: datetime, since: datetime | None = None, until: datetime | None = None) -> SafeString:
    """What holds from `since` to before `until`: shown then, by the server's clock, also in a page that stays open.

    Without a script it is shown, or not, as of `now`, when the page was made.
    """
    begun = since is not None and since <= now  # which time does not undo
    ends = [(name, _exactly(at)) for name, at in (("since", None if begun else since), ("until", until)) if at]
    holds = (since is None or begun) and (until is None or now < until)
    return format_html(
        '<during-time now="{}"{}{}>{}</during-time>',
        _exactly(now),
        format_html_join("", ' {}="{}"', ends),
        "" if holds else mark_safe(" hidden"),
        content,
    )


def _exactly(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def span(length: timedelta) -> str:
    """A length of time: `2 d 19 h 46 min`, `3 h 5 min`; of less than an hour the seconds, too: `59 min 07 s`, `7 s`."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 3600:
        minutes = f"{seconds // 60} min {seconds % 60:02d} s" if seconds >= 60 else f"{seconds} s"
        return minutes if seconds else "less than 1 s"
    days, hours, minutes_left = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    parts = [f"{days} d"] if days else []
    parts += [f"{hours} h", f"{minutes_left} min"] if minutes_left else [f"{hours} h"]
    return " ".join(parts)


@register.filter
def seconds(value: float | None) -> str:
    """A duration as people say it: `0.8 s`, `31 s`, `2 min 04 s`, `1 h 20 min`."""
    if value is None:
        return DASH
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


# --- numbers ----------------------------------------------------------------------------------------------------------


@register.filter
def score(value: float | None) -> str | SafeString:
    """A Dice, rate, P, R or F1 in three decimals; a dash with words for readers of text where there is none."""
    if value is None:
        return mark_safe('<span aria-hidden="true">–</span><span class="vh">not published</span>')
    return f"{value:.3f}"


@register.filter
def rank_interval(ends: tuple[int, int] | None) -> str:
    """The ends of an interval of ranks: `2–5`, or `3`; a dash where there is none."""
    return ranks(*ends) if ends else DASH


register.filter(interval)
register.filter(signed)
register.filter(signed_interval)


@register.filter
def thousands(value: int) -> str:
    """`2,992`."""
    return f"{value:,}"


@register.filter
def gigabytes(value: int | None) -> str:
    """Bytes of files and uploads, in decimal units as disks are sold: `9.14 GB`, `96 MB`, `15 GB`, `12 kB`."""
    return DASH if value is None else decimal_size(value)


@register.filter
def gibibytes(value: int | None) -> str:
    """Bytes of memory, in binary units: `32 GiB`."""
    return DASH if value is None else binary_size(value)


@register.filter
def millilitres(value: float) -> str:
    """A volume in the body: `0.13 mL`, `4.8 mL`, `612 mL`."""
    return f"{value:.2f} mL" if value < 1 else f"{value:.1f} mL" if value < 100 else f"{value:,.0f} mL"


@register.filter
def number(value: float | Decimal) -> str:
    """A number without trailing zeros: a limit of 8.00 CPUs reads `8`."""
    return f"{float(value):g}"


@register.simple_tag
def count(value: int, one: str, many: str = "") -> str:
    """`1 case`, `2 cases`, `2,992 cases`."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


@register.filter
def tens(percent: int) -> int:
    """A percentage in steps of 10: what is read aloud should not change every second."""
    return percent // 10 * 10


@register.filter
def tally(cells: Sequence[str]) -> dict[str, int]:
    """How many cells of a strip are in which state."""
    return {**{kind: cells.count(kind) for kind in "dyfr"}, "waiting": cells.count("")}


@register.simple_tag
def pips(used: int, limit: int) -> SafeString:
    """Runs used and left, drawn; the numbers always stand beside it."""
    marks = '<i class="u"></i>' * min(used, limit) + "<i></i>" * max(limit - used, 0)
    return mark_safe(f'<span class="quota" aria-hidden="true">{marks}</span>')  # noqa: S308


@register.filter
def digest(value: str) -> str:
    """A digest short enough to compare by eye: `sha256:8c41…e09b`."""
    algorithm, _, name = value.partition(":")
    return f"{algorithm}:{name[:8]}…{name[-4:]}" if len(name) > 16 else value


# --- what teams wrote -------------------------------------------------------------------------------------------------

register.filter("sanitised", sanitised)


@register.filter
def markdown(value: str) -> SafeString:
    """A team's Markdown as HTML; HTML inside it comes out as text."""
    return mark_safe(as_html(value))  # noqa: S308  cleaned by a list of what a page may hold


@register.filter
def organisers_markdown(value: str, below: int) -> SafeString:
    """Organisers' Markdown as HTML; its headings stand below those of this level."""
    return mark_safe(as_html(value, below=below, of_organisers=True))  # noqa: S308  cleaned by the same list


# --- addresses --------------------------------------------------------------------------------------------------------


class _Address(Protocol):
    def with_(self, **changes: str | int) -> str: ...


@register.simple_tag
def link(address: _Address, **changes: str | int) -> str:
    """The present address with some of its parameters changed."""
    return address.with_(**changes)


@register.filter
def same(one: object, other: object) -> bool:
    """Whether two things are equal: a comparison to give a name to with `with`."""
    return one == other


@register.filter
def is_team(shown: ShownTeam, team: Team | None) -> bool:
    """Whether a board names this team."""
    return shown.is_own(team)


# --- states -----------------------------------------------------------------------------------------------------------

# The symbols of static/site/icons.svg, which says how a page colours them.
_STATE_ICONS = frozenset({"ok", "run", "warn", "bad", "idle", "off", "half"})
_STEP_ICONS = frozenset({"step-done", "step-cur", "step-todo", "step-bad", "step-never"})
ICONS = _STATE_ICONS | _STEP_ICONS | {"opened", "closed", "mark"}


@register.simple_tag
@cache  # a page has dozens, and static files keep their addresses while a process lives
def icon(name: str) -> SafeString:
    """A shape of the sprite, for the eye alone: words always stand beside it. LookupError for an unknown name."""
    if name not in ICONS:
        raise LookupError(f"static/site/icons.svg has no icon {name!r}")
    return format_html('<svg aria-hidden="true"><use href="{}#{}"/></svg>', static("site/icons.svg"), name)


@register.simple_tag
def state(kind: str, word: str) -> SafeString:
    """A state: a shape, a word, a colour; never the colour alone. "off" is "idle", struck through: it is over."""
    return format_html('<span class="state is-{}">{}{}</span>', "idle" if kind == "off" else kind, icon(kind), word)
