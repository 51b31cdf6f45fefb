"""What the server tells everybody of itself: a line on every page while something that teams wait for does not work.

Of the checks of the health page some concern teams. One that fails for a while (`ALARM_SECONDS`) has a line, in words
that tell nothing of what is in the queue or in the cases; it goes as soon as the check is well again. Organisers can
say more in a line of their own (Messages). A sweeper that is dead puts up and takes down nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from leaderboard.models import Announcement, SiteLine
from leaderboard.operations.health import Check, Level

Looks = Announcement.Level
# The words, and from which level on they are said.
_LINES: Mapping[str, tuple[Level, Looks, str]] = {
    "hosts": (
        Level.FAILING,
        Looks.WARNING,
        "No GPU host takes work at the moment: runs wait, keep their place, and go on by themselves.",
    ),
    "queue": (Level.FAILING, Looks.WARNING, "The queue stands at the moment: runs keep their place in it."),
    "control": (Level.FAILING, Looks.WARNING, "Images are not checked at the moment: they wait, and nothing is lost."),
    "images": (Level.FAILING, Looks.WARNING, "The check of images takes longer than usual."),
    "scoring": (Level.FAILING, Looks.WARNING, "Masks are not scored at the moment: they wait, and nothing is lost."),
    "scores": (Level.FAILING, Looks.WARNING, "Scoring takes longer than usual."),
    "store": (Level.FAILING, Looks.TROUBLE, "Our disk is short of space: large uploads are turned away."),
    "mail": (Level.WARNING, Looks.WARNING, "Our mail is late: links to confirm an address, or for a password, too."),
}


@transaction.atomic
def note(checks: Sequence[Check], at: datetime) -> None:
    """Put up what these checks say, and take down what they do not say any more."""
    disturbed = {check.name for check in checks if check.name in _LINES and check.level >= _LINES[check.name][0]}
    standing = SiteLine.objects.select_for_update().filter(ended_at=None).exclude(check_name="")
    for line in standing:
        if line.check_name in disturbed:
            disturbed.remove(line.check_name)
        elif line.shown_from > at:
            line.delete()  # it was over before anybody had to know
        else:
            line.ended_at = at
            line.save(update_fields=["ended_at"])
    for name in sorted(disturbed):
        _, level, text = _LINES[name]
        shown_from = at + timedelta(seconds=settings.ALARM_SECONDS)
        SiteLine.objects.create(text=text, level=level, check_name=name, shown_from=shown_from)
