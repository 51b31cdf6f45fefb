"""How many messages of a kind go to one address: anybody can have them sent to anybody."""

from leaderboard.people import throttle
from leaderboard.people.sign_in import normalised
from leaderboard.people.throttle import Limit

LIMIT = Limit(free=3, first_seconds=600, longest_seconds=3600, forget_seconds=3600)
SENTENCE = "We sent several messages already; look into the spam folder, too. The next one can go in {wait}."

# One count for what the same form sends to those who have an account and to those who have none: by a count of its own
# an address would tell, sooner or later, which of them it is.
SENT_BY_ONE_FORM = {
    "account/email/email_confirmation_signup": "sign-up",
    "account/email/account_already_exists": "sign-up",
    "account/email/password_reset_key": "reset",
    "account/email/unknown_account": "reset",
}


def count(kind: str, email: str) -> None:
    """Count a message that is about to be sent; TooSoon if the address had enough of this kind."""
    throttle.count({_key(kind, email): LIMIT}, sentence=SENTENCE)


def check(kind: str, email: str) -> None:
    """TooSoon if a message would not be sent now."""
    throttle.check({_key(kind, email): LIMIT}, sentence=SENTENCE)


def _key(kind: str, email: str) -> str:
    return throttle.key_of("mail", SENT_BY_ONE_FORM.get(kind, kind), normalised(email))
