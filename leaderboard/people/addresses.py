"""Whose email address is known to be theirs. Before it is, a person looks around; teams, and so runs, come after."""

from allauth.account.models import EmailAddress

from leaderboard.core.refusal import Refused
from leaderboard.models import User
from leaderboard.people.sign_in import normalised


def is_confirmed(user: User) -> bool:
    """Whether a message has reached the person, or an organiser vouched for it."""
    return bool(EmailAddress.objects.filter(user=user, verified=True).exists())


def unconfirmed_of(user: User) -> str:
    """The person's main address, where none is confirmed; empty otherwise."""
    return "" if is_confirmed(user) else main_address(user).email


def check_confirmed(user: User, act: str) -> None:
    """Refuse `act` to whoever might not exist: one person could otherwise make many teams, each with its own runs."""
    if not is_confirmed(user):
        raise Refused(f"Confirm your email address before you {act}: open the link in the message that we sent you.")


def owns(user: User, email: str) -> bool:
    """Whether an address is known to be this person's: the main one, or another that is confirmed.

    Anybody may add an address that is not theirs; before it is confirmed it means nothing.
    """
    typed = normalised(email)
    if normalised(user.email) == typed:
        return True
    return bool(EmailAddress.objects.filter(user=user, verified=True, email__iexact=typed).exists())


def all_of(user: User) -> set[str]:
    """Every address of the account, confirmed or not, in one spelling."""
    added = EmailAddress.objects.filter(user=user).values_list("email", flat=True)
    return {normalised(email) for email in (user.email, *added)}


def let_go_of_strangers(email: str) -> None:
    """Forget that others merely added this address: it must not keep its owner from registering."""
    added = EmailAddress.objects.filter(email__iexact=normalised(email), verified=False)
    added.exclude(user__email__iexact=normalised(email)).delete()


def is_pending(user: User) -> bool:
    """Whether the account only waits for its first confirmation: whoever made it has never been in.

    Signing in there is answered like a wrong password. Otherwise anybody could register with somebody's address, sign
    in with the same password, and see by the answer whether that had an account before. Accounts of before addresses
    had to be confirmed, and organisers', are let in.
    """
    return user.last_login is None and not user.holds_role and not is_confirmed(user)


def main_address(user: User) -> EmailAddress:
    """The address to which messages go; accounts that were made without a form have it written down here."""
    known = EmailAddress.objects.filter(user=user).order_by("-primary", "-verified", "pk").first()
    return known or EmailAddress.objects.create(user=user, email=user.email.lower(), primary=True)


def confirm(user: User) -> None:
    """Take somebody's word for the main address: of an operator at the command line, or of a link sent there alone."""
    if user.email and (address := main_address(user)).set_verified():
        address.set_as_primary(conditional=True)


def confirm_by_only_link(user: User) -> None:
    """A link that was sent to one of the account's addresses was opened: if there is only one, it is confirmed."""
    if not is_confirmed(user) and EmailAddress.objects.filter(user=user).count() <= 1:
        confirm(user)
