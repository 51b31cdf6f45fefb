"""Keys by which a script downloads a case set for a person: signed, for one set, for some days.

A key says who asks and no more: at each request it is looked up anew whether the person may. It ends early when the
person's password is changed, as sessions do, or the account is closed.
"""

from django.conf import settings
from django.core import signing
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from leaderboard.core import clock
from leaderboard.models import ApiToken, CaseSet, User
from leaderboard.people import tokens

_SALT = "leaderboard.data"


def make(person: User, case_set: CaseSet) -> str:
    """A key for this person and this case set."""
    told = [person.pk, case_set.pk, _mark(person)]
    return signing.dumps(told, salt=_SALT)


def reader_of(request: HttpRequest, case_set: CaseSet) -> User | None:
    """Who asks: by the key of a script or a personal token, if the request brings one, or as who is signed in."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return _reader_with(key.strip(), case_set)
    return request.user if request.user.is_authenticated else None


def brings_key(request: HttpRequest) -> bool:
    """Whether a script asks, which reads words and no page."""
    return "Authorization" in request.headers


def _reader_with(key: str, case_set: CaseSet) -> User | None:
    if key.startswith(tokens.PREFIX):
        token = tokens.find(key, clock.now())
        return token.user if token and ApiToken.Scope.READ in token.scopes else None
    try:
        person_id, case_set_id, mark = signing.loads(key, salt=_SALT, max_age=settings.DATA_KEY_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    person = User.objects.filter(pk=person_id, is_active=True).first() if case_set_id == case_set.pk else None
    return person if person and constant_time_compare(mark, _mark(person)) else None


def _mark(person: User) -> str:
    return person.get_session_auth_hash()[:16]
