"""The privacy notice, rendered from the settings and the rules of retention that the server follows."""

from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from leaderboard.core import outbox
from leaderboard.people import invitations, personal_data, preregistration, throttle
from leaderboard.submissions import drafts
from leaderboard.web.accounts.clients import KEPT_SECONDS

DAY = 24 * 3600
ACCOUNT = "Until you delete your account."


class Kept(NamedTuple):
    """A kind of data: why it is kept, and until when."""

    what: str
    why: str
    until: str


def _kept() -> list[Kept]:
    return [
        Kept("Name, affiliation, country, ORCID iD", "So that your team and the organisers know who you are.", ACCOUNT),
        Kept("Email addresses", "You sign in with them, and messages go there.", ACCOUNT),
        Kept("Password, second factors", "A hash of the password; keys of apps; public keys of passkeys.", ACCOUNT),
        Kept(
            "Sessions",
            "Since when and from which network address and browser you are signed in, so that you can end what is not "
            "yours; and so that organisers see two teams of one group. A cookie names the session.",
            f"Until you sign out, at most {settings.SESSION_COOKIE_AGE // DAY} days.",
        ),
        Kept(
            "A cookie that knows your device",
            "So that others who try your password do not hold you up.",
            f"At most {KEPT_SECONDS // DAY} days, in your browser alone.",
        ),
        Kept(
            "Tries of passwords and codes",
            "How often, as hashes of addresses, so that nobody guesses.",
            f"{throttle.KEPT.days * 24} hours after the last try.",
        ),
        Kept(
            "What two teams have in common",
            "Entries, names, network addresses, institutions: one group takes part once. Organisers alone see it, and "
            "a person decides. How much it is stays, what it is does not.",
            "As long as both teams are there.",
        ),
        Kept("Which rules you accepted, and when", "It is the condition for taking part.", ACCOUNT),
        Kept(
            "Messages to you",
            "To whom, when and about what; what they say goes when they are sent.",
            f"{outbox.KEPT.days} days after they were sent or given up.",
        ),
        Kept(
            "Addresses that refuse messages",
            "What your mail server said, so that you are told, and it is left alone.",
            "Until you confirm the address again, or no account has it.",
        ),
        Kept("Which notices you stopped", "So that they stay stopped.", ACCOUNT),
        Kept(
            "Invitations to teams",
            "To which address, by whom, and what became of it: so that a team knows whom it waits for.",
            f"{invitations.KEPT.days} days after they ended or expired.",
        ),
        Kept(
            "Pre-registration",
            "Your address, so that you are told once when registration opens.",
            f"Until you take it off; {preregistration.UNCONFIRMED_KEPT.days} days if you never confirm it, "
            f"{preregistration.KEPT_AFTER_TOLD.days} days after you were told.",
        ),
        Kept("Which terms of data you accepted, and when", "It is the condition for downloading them.", ACCOUNT),
        Kept(
            "API tokens",
            "Their names, what they may do, a hash, and the day of their last use; for a day, what was answered to "
            "requests that may be repeated.",
            "Until you revoke them, or delete your account.",
        ),
        Kept(
            "Drafts",
            "What your team prepares, and who of it began.",
            f"{drafts.FORGOTTEN_AFTER.days} days after the last change; files that were never handed in "
            f"{settings.UPLOAD_KEEP_SECONDS // 3600} hours after their last byte.",
        ),
        Kept(
            "Submissions, scores, logs",
            "They are the team's and the challenge's result. That you handed them in is kept beside them.",
            "For ever; without you once you delete your account.",
        ),
        Kept(
            "The record of decisions",
            "Who founded, joined or left a team, changed an account, or decided as an organiser.",
            "For ever; your name until you delete your account.",
        ),
    ]


@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    """What is kept of a person, why, and for how long."""
    ends, stays = dict.fromkeys(personal_data.ENDS.values()), dict.fromkeys(personal_data.STAYS.values())
    return render(request, "privacy.html", {"kept": _kept(), "ends": ends, "stays": stays})
