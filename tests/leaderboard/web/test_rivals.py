"""A rival, their program and a stranger ask every address in every way, with what names another team's: and get none.

The addresses are those of `tests.bench.addresses`, which are all there are; each is asked with every method, with what
belongs there and with everything that could name somebody else's. What they say is looked through for each text of
others in the database, and what they wrote for each row. A stream is asked in `test_streams`.

Two methods get their turn everywhere. Of the others, in a session, an address that knows none gets one and the next
another; programs use them all wherever a token is read.
"""

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, unquote_plus, urlencode

import pytest
from django.conf import settings
from django.core import signing
from django.db import connection, transaction
from django.test import TestCase, override_settings
from django.urls import get_resolver, resolve
from django.utils import timezone
from django.utils.html import escape

from leaderboard.api.site import described
from leaderboard.core import clock
from leaderboard.models import Membership, User
from leaderboard.people import tokens
from tests.bench import addresses, population
from tests.bench.addresses import ADDRESSES, Address, Watched
from tests.bench.measuring import Queries, Site
from tests.bench.plan import Size
from tests.leaderboard.web.rivals import Rivals, begin_what_is_private, write_private_words

pytestmark = pytest.mark.django_db

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
WITH_BODY = {"POST", "PUT", "PATCH"}
RARE = ("PUT", "PATCH", "DELETE", "OPTIONS")
READ_TOKENS = ("/api/", "/worker/", "/uploads/", "/data/", "/metrics")
RIVALS_TOKEN = tokens.compose("v" * 30)
#: What all may name; everything else that an address names is somebody's.
OPEN_NAMES = {
    *("public_phase", "hidden_phase", "open_row", "news", "question", "data_case", "some_case", "content_type"),
    *("pre_registration", "no_pre_registration", "first_name"),
}
#: Where boards stand, and whoever holds a link reads which team it leads to.
BOARDS = {
    "",
    "leaderboard/<slug:slug>/",
    "leaderboard/<slug:slug>/board.csv",
    "leaderboard/<slug:slug>/<track:track>/versions/<int:number>/",
    "leaderboard/<slug:slug>/<track:track>/certainty/",
    "leaderboard/<slug:slug>/<track:track>/versions/<int:number>/certainty/",
    "leaderboard/<slug:slug>/<track:track>/categories/",
    "leaderboard/<slug:slug>/<track:track>/versions/<int:number>/categories/",
    "leaderboard/<slug:slug>/<track:track>/runs/",
    "leaderboard/<slug:slug>/<track:track>/runs/all.csv",
    "leaderboard/<slug:slug>/<track:track>/versions/<int:number>/runs/all.csv",
    "leaderboard/<slug:slug>/<track:track>/versions/<int:number>/runs/",
    "leaderboard/<slug:slug>/<track:track>/versions/<int:number>/<file:name>",
    "leaderboard/<slug:slug>/<track:track>/badge/<slug:team>.svg",
    "leaderboard/<slug:slug>/<track:track>/compare/",
    "leaderboard/<slug:slug>/<track:track>/versions/<int:number>/compare/",
    "leaderboard/<slug:slug>/<track:track>/history/",
    "api/v1/phases/<slug:slug>/board",
    "api/v1/phases/<slug:slug>/cases",
    "api/v1/phases/<slug:slug>/findings",
    "team/join/<slug:code>/",
    "team/invitation/<slug:token>/",
}
#: Links that act for whoever holds them, by their nature: they are known from a message, and from nowhere else.
LINKS = {
    "team/join/<slug:code>/",
    "team/invitation/<slug:token>/",
    "account/notices/stop/<str:token>/",
    "pre-registration/<uuid:key>/",
    "pre-registration/<uuid:key>/unsubscribe/",
}
#: Some of what the team itself reads there.
FOUND = {
    *("leaderboard.Submission.note", "leaderboard.Submission.upload_name", "leaderboard.Attempt.log"),
    *("leaderboard.ResumableUpload.name", "leaderboard.Draft.words", "leaderboard.Invitation.email"),
    *("leaderboard.ApiToken.name", "leaderboard.User.name", "account.EmailAddress.email", "leaderboard.Team.join_code"),
}
PARAMETER = re.compile(r"[{<][^}>]*[}>]")
CSRF = re.compile(rb'name="csrfmiddlewaretoken" value="[^"]+"|"X-CSRFToken": "[^"]+"')
TUS = {"Tus-Resumable": "1.0.0", "Upload-Offset": "1000", "Upload-Length": "2000"}


class Request(NamedTuple):
    """What somebody asks: who it is, and by what."""

    who: str
    method: str
    path: str
    body: str
    content_type: str
    headers: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.who}: {self.method} {self.path[:80]} {self.body[:80]}"


class Answer(NamedTuple):
    """What came back."""

    status: int
    where: str
    said: bytes

    @property
    def text(self) -> str:
        """Everything that a reader sees of it."""
        return f"{self.where}\n{self.said.decode(errors='replace')}"

    def without(self, path: str) -> "Answer":
        """As it would be at any other address."""
        said = CSRF.sub(b"", self.said).decode(errors="replace")
        for written in (path, escape(path), quote(path), path.partition("?")[0]):
            said = said.replace(written, "[path]")
        where = unquote(unquote(self.where)).replace(unquote(path), "[path]")
        return Answer(self.status, where, said.encode())


def templates() -> dict[str, list[Address]]:
    """Each address once, with the ways in which it is known to be asked."""
    found: dict[str, list[Address]] = {}
    for one in ADDRESSES:
        if not one.state:
            found.setdefault(one.path, []).append(one)
    return found


def everything_of_others(watched: Watched) -> dict[str, str]:
    """Every name by which a form, a body or an address could mean something of another team."""
    run, draft = str(watched["scored_public"]), str(watched["draft"])
    return {
        **dict.fromkeys(("run", "base", "submission", "source", "again", "weights", "id", "pk", "seen"), run),
        **dict.fromkeys(("draft", "ticket", "key"), draft),
        **dict.fromkeys(("member", "user", "person", "to"), str(watched["captain"])),
        **dict.fromkeys(("email", "login", "owner"), watched["captains_email"]),
        **dict.fromkeys(("team", "open", "slug"), watched["open_row"]),
        "invitation": str(watched["invitation"]),
        "token": watched["invitation_token"],
        "code": watched["join_code"],
        "upload": str(watched["upload"]),
        "weights_seen": str(watched["upload"]),
        "phase": watched["public_phase"],
        "name": "A name",
        "accept": "1",
        "note": "overwritten",
        "answer": "accept",
        "algorithm": "Overwritten",
        "method": "Overwritten. " * 20,
        "kind": "scored",
        "why": "So.",
        "version": "1",
    }


class World:
    """A rival's team beside others', all of whose words are known."""

    def __init__(self) -> None:
        population.fill(Size(4, 3, cases=2, members=2, hosts=1, slots=1, batch_size=1, kinds=2, distinct=1, reruns=1))
        self.watched = addresses.watched()
        self.watched["captains_email"] = User.objects.get(pk=self.watched["captain"]).email
        own = Membership.objects.filter(is_captain=True).latest("team__slug")
        self.rival = own.user
        addresses.give_token(self.rival.pk, RIVALS_TOKEN)
        begin_what_is_private(User.objects.get(pk=self.watched["captain"]), User.objects.get(pk=self.watched["member"]))
        write_private_words(self.rival)
        self.absent = {name: value if name in OPEN_NAMES else _absent(value) for name, value in self.watched.items()}
        self.site = Site()
        for person in (self.rival.pk, self.watched["captain"]):
            self.site.client(person).get("/account/sessions/")  # signs in; and is listed there, as of now
        self.rivals = Rivals(self.rival)
        self.files = _files()

    def ask(self, asked: Request) -> tuple[Answer, set[str], list[str]]:
        """An answer, what of others it changed, and what messages of it said; nothing of it stays."""
        client = self.site.client(self.rival.pk if asked.who == "rival" else None)
        queries = Queries()
        with transaction.atomic():
            with connection.execute_wrapper(queries), TestCase.captureOnCommitCallbacks(execute=True):
                response = client.generic(
                    asked.method, asked.path, asked.body, content_type=asked.content_type, headers=dict(asked.headers)
                )
                content = b"".join(response.streaming_content) if response.streaming else response.content
            changed = self.rivals.changed_by(queries.asked)
            mails = self._told() if any("outgoingmail" in sql for sql in queries.asked) else []
            transaction.set_rollback(True)
        where = response.headers.get("Location", "")
        return Answer(response.status_code, where, content), changed, mails

    def _told(self) -> list[str]:
        """What new messages say to the rival, or to somebody who is none of the others."""
        known = set(User.objects.exclude(pk=self.rival.pk).values_list("email", flat=True))
        return [f"{one.subject}\n{one.body}" for one in self.rivals.written_to() if one.to not in known]


def _files() -> dict[Path, int]:
    """Every file in the store, with its size."""
    return {path: path.stat().st_size for path in Path(settings.STORE_DIR).rglob("*") if path.is_file()}


def _absent(value: Any) -> Any:
    if isinstance(value, int):
        return 987_654_321
    if isinstance(value, uuid.UUID):
        return uuid.UUID(int=987_654_321)
    return "nothing-of-anybody" if isinstance(value, str) else value


def requests(template: str, known: list[Address], watched: Watched, turn: int) -> Iterator[Request]:
    """In all ways in which a rival, their program and a stranger may ask at an address, which is the `turn`th."""
    path = template.format_map(watched)
    if path.startswith("/admin/"):
        yield from _of_organisers(path)
        return
    names = everything_of_others(watched)
    form, as_json = "application/x-www-form-urlencoded", "application/json"
    token = {"Authorization": f"Bearer {RIVALS_TOKEN}"}
    is_api, tus = path.startswith("/api/"), TUS if path.startswith("/uploads/") else {}
    for method in METHODS:
        bodies = [("", as_json if is_api else form)]
        if method in WITH_BODY:
            generic = (json.dumps(names), as_json) if is_api else (urlencode(names), form)
            bodies = [generic, *_known_bodies(known, method, watched)]
            bodies += [("x" * 1000, "application/offset+octet-stream")] if tus else []
        for (body, kind), who in product(bodies, _askers(path, method, known, turn)):
            yield Request(who, method, path, body, kind, {**tus, **token} if who == "program" else tus)
    asking = f"{path}{'&' if '?' in path else '?'}{urlencode(names)}"
    yield Request("rival", "GET", asking, "", form, {})
    if is_api:
        yield Request("program", "GET", asking, "", as_json, token)


def _askers(path: str, method: str, known: list[Address], turn: int) -> Iterator[str]:
    """Who asks there by this method."""
    is_known = method not in RARE or path.startswith("/uploads/") or any(one.method == method for one in known)
    if is_known or method == RARE[turn % len(RARE)]:
        yield "rival"
    if path.startswith(READ_TOKENS):
        yield "program"
    if method in {"GET", "POST"}:
        yield "stranger"


def _of_organisers(path: str) -> Iterator[Request]:
    """Its pages are for organisers, whatever the method."""
    for who, method in (("rival", "GET"), ("rival", "POST"), ("stranger", "GET")):
        yield Request(who, method, path, "", "application/x-www-form-urlencoded", {})


def _known_bodies(known: list[Address], method: str, watched: Watched) -> Iterator[tuple[str, str]]:
    for one in known:
        if one.method == method and one.body:
            sent = one.request(watched)
            yield sent["data"], sent["content_type"]


class Asked(NamedTuple):
    """What came of all of it: what was read, changed, told by mail or answered unlike what there is not."""

    world: World
    routes: set[str]
    operations: set[tuple[str, str]]
    statuses: dict[str, int]
    read: dict[str, set[str]]
    changed: dict[str, set[str]]
    told: dict[str, set[str]]
    unlike: list[str]
    found_by_captain: set[str]
    files_after: dict[Path, int]


@pytest.fixture(scope="module")
def asked(django_db_setup, django_db_blocker, module_store) -> Iterator[Asked]:
    unlimited: dict[str, Any] = {"API_REQUESTS_PER_MINUTE": 10**6, "MFA_RATE_LIMITS": {}}
    unlimited |= {"ACCOUNT_RATE_LIMITS": dict.fromkeys(settings.ACCOUNT_RATE_LIMITS)}
    with django_db_blocker.unblock(), override_settings(**unlimited), transaction.atomic():
        world = World()
        with pytest.MonkeyPatch.context() as patch:
            at = clock.now()
            for module in (clock, timezone):  # that of Django is allauth's
                patch.setattr(module, "now", lambda: at)  # answers differ by what is told alone
            stamp = signing.TimestampSigner().timestamp()
            patch.setattr(signing.TimestampSigner, "timestamp", lambda _self: stamp)  # of signed keys
            yield _ask_all(world)
        transaction.set_rollback(True)


def _ask_all(world: World) -> Asked:
    found = Asked(world, set(), set(), {}, {}, {}, {}, [], set(), {})
    for turn, (template, known) in enumerate(templates().items()):
        route = resolve(template.format_map(world.watched).partition("?")[0]).route
        found.routes.add(route)
        found.operations.update((one.method, route) for one in known)
        if any(one.who == "captain" and one.method == "GET" for one in known):
            found.found_by_captain.update(_found_by_captain(world, template))
        theirs, none = (list(requests(template, known, names, turn)) for names in (world.watched, world.absent))
        for one, like in zip(theirs, none, strict=True):
            answer, changed, mails = world.ask(one)
            name, board = str(one), route in BOARDS
            found.statuses[name] = answer.status
            _note(found.read, name, world.rivals.read_in(answer.text, but=_echo(one), board=board))
            _note(found.changed, name, changed if route not in LINKS else set())
            for mail in mails:
                _note(found.told, name, world.rivals.read_in(mail, but=_echo(one)))
            if one.path != like.path and answer.status != 405 and route not in LINKS | BOARDS:
                other, _, _ = world.ask(like)
                if answer.without(one.path) != other.without(like.path):
                    found.unlike.append(f"{name}: {answer.status} {other.status}")
    found.files_after.update(_files())
    return found


def _found_by_captain(world: World, template: str) -> set[str]:
    """In which columns the words stand that the captain of the first team reads there."""
    client = world.site.client(world.watched["captain"])
    with transaction.atomic():
        response = client.get(template.format_map(world.watched))
        content = b"".join(response.streaming_content) if response.streaming else response.content
        transaction.set_rollback(True)
    return world.rivals.read_in(content.decode(errors="replace"), but="")


def _note(found: dict[str, set[str]], name: str, what: set[str]) -> None:
    if what:
        found[name] = what


def _echo(asked: Request) -> str:
    """What the request itself said: hearing it again tells nothing."""
    return unquote_plus(f"{asked.path} {asked.body}")


def test_every_address_of_the_site_is_asked(asked):
    assert set(addresses.routes(get_resolver().url_patterns)) - asked.routes == set()


def test_every_operation_of_the_api_is_asked_as_it_is_meant(asked):
    told = {
        (method.upper(), PARAMETER.sub("*", path.lstrip("/")))
        for path, methods in described()["paths"].items()
        for method in methods
    }
    assert told - {(method, PARAMETER.sub("*", route)) for method, route in asked.operations} == set()
    assert len(told) > 50


def test_the_streams_have_one_kind_of_address():
    """What nginx leads to their process; `test_streams` asks there as a rival."""
    rules = (settings.BASE_DIR / "deploy/nginx/site.conf").read_text()
    led = re.findall(r"location ([^{]+) \{[^}]*proxy_pass http://rexg_streams;", rules)
    assert led == ["~ ^/runs/[0-9]+/events/$"]


def test_nobody_reads_anything_of_others(asked):
    assert asked.read == {}


def test_nobody_changes_anything_of_others(asked):
    assert asked.changed == {}
    assert asked.world.files.items() <= asked.files_after.items()
    assert any(path.name == "half" for path in asked.world.files)


def test_no_message_tells_anything_of_others(asked):
    assert asked.told == {}


def test_what_is_another_teams_is_answered_like_what_there_is_not(asked):
    assert asked.unlike == []


def test_what_others_have_is_there_to_be_found(asked):
    """The team's captain finds its words at the same addresses; so what is not found by rivals is kept from them."""
    assert asked.found_by_captain >= FOUND
    assert min(asked.statuses.values()) >= 200
    broken = {name: status for name, status in asked.statuses.items() if status >= 500 or status == 429}
    assert not {name for name in broken if "/refused/" not in name}
