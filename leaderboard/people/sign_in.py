"""Who may try a password, and when. Anybody may type anybody's address, so no try may lock its owner out.

A device on which somebody signed in before is counted by itself: what others do, anywhere, does not hold it up. For all
others three counts hold at once, whichever asks for the longest wait:

    the account from this address      a person who guesses; forgotten when the owner signs in from there
    the account from anywhere          many addresses that guess one account: each of them waits for all
    this address on any account        one address that tries a password on many accounts

An account that does not exist is counted and answered like one that does. An owner without a known device, whose
account is under attack, chooses a new password by email: that makes the device known.
"""

from dataclasses import dataclass

from allauth.mfa.models import Authenticator
from django.conf import settings

from leaderboard.models import User
from leaderboard.people import throttle
from leaderboard.people.throttle import Limit, TooSoon

SENTENCE = (
    "Too many tries: wait {wait}, then try again. A device on which you signed in before is not held up by what others "
    "try. Or choose a new password by email."
)
CODES = "Too many codes: wait {wait}, then try again."
MINUTE = 60.0
PAIR = Limit(free=5, first_seconds=10, longest_seconds=15 * MINUTE, forget_seconds=15 * MINUTE)
ACCOUNT = Limit(free=30, first_seconds=5, longest_seconds=5 * MINUTE, forget_seconds=2 * MINUTE)
ADDRESS = Limit(free=30, first_seconds=10, longest_seconds=15 * MINUTE, forget_seconds=MINUTE)
DEVICE = Limit(free=8, first_seconds=10, longest_seconds=5 * MINUTE, forget_seconds=5 * MINUTE)
# Longer than a code of an app is right: 30 seconds, those before, and those after.
TAKEN = Limit(free=1, first_seconds=3 * MINUTE, longest_seconds=3 * MINUTE, forget_seconds=3 * MINUTE)


@dataclass(frozen=True)
class PasswordTry:
    """One try, counted as wrong until it turns out to be right."""

    own: str  # the key that a right password sets back
    shared: tuple[str, ...] = ()  # these lose this try alone, or an attacker would wipe them with an account of theirs

    def was_right(self) -> None:
        """The password was right, and its owner is in."""
        throttle.reset(self.own)
        if self.shared:
            throttle.give_back(*self.shared)


def count_try(email: str, address: str, device: str = "") -> PasswordTry:
    """Count a password for `email` from a network address; `device` names one that signed in there before.

    TooSoon when it has to wait: then the password must not even be looked at.
    """
    email, owner = normalised(email), account_of(email)
    if device:
        own = throttle.key_of("device", device, email)
        throttle.count({own: DEVICE}, sentence=SENTENCE, accounts={own: owner})
        return PasswordTry(own)
    own = throttle.key_of("account from", address, email)
    anywhere, everything = throttle.key_of("account", email), throttle.key_of("address", address)
    limits = {own: PAIR, anywhere: ACCOUNT, everything: ADDRESS}
    throttle.count(limits, sentence=SENTENCE, accounts={own: owner, anywhere: owner})
    return PasswordTry(own, (anywhere, everything))


def count_code(user: User, address: str, device: str = "") -> PasswordTry:
    """Count a code of a second factor as `count_try` does, apart: a right password gives no new tries of codes."""
    own = throttle.key_of("code", device or f"from {address}", str(user.pk))
    limits = {own: DEVICE if device else PAIR}
    shared = () if device else (throttle.key_of("code", str(user.pk)), throttle.key_of("address", address))
    limits |= dict(zip(shared, (ACCOUNT, ADDRESS), strict=False))
    throttle.count(limits, sentence=CODES)
    return PasswordTry(own, shared)


def take_code(user: User, code: str) -> bool:
    """Whether a code that is right was not taken before, by anybody; from now on it was.

    allauth remembers it in the broker's memory, for 30 seconds; a code is right for longer, as clocks may differ.
    """
    letters = "".join(letter for letter in code if letter.isalnum()).lower()
    try:
        throttle.count({throttle.key_of("taken", str(user.pk), letters): TAKEN}, sentence=CODES)
    except TooSoon:
        return False
    return True


def has_second_factor(user: User) -> bool:
    """Whether signing in takes more than a password."""
    own = Authenticator.objects.filter(user=user)
    return bool(own.exclude(type=Authenticator.Type.RECOVERY_CODES).exists())


def lacks_second_factor(user: User) -> bool:
    """Whether it is somebody with a role to whom nothing is open before they have one: by no page, token or stream."""
    return settings.STAFF_SECOND_FACTOR and user.current_role is not None and not has_second_factor(user)


def forgive(email: str) -> None:
    """Begin anew with an account whose owner has just proved to be that."""
    throttle.forgive(account_of(email))


def account_of(email: str) -> str:
    """The name under which an account's counts are found."""
    return throttle.key_of("owner", normalised(email))


def normalised(email: str) -> str:
    """One spelling of an address."""
    return email.strip().lower()
