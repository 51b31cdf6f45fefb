"""No address answers 5xx to what is no text, in whatever place of a request it comes."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest
from django.db import transaction
from django.test import Client

from tests.bench import addresses, population
from tests.bench.addresses import ADDRESSES, Address, Watched
from tests.bench.measuring import Site
from tests.bench.plan import Size

pytestmark = pytest.mark.django_db

# As bytes of an address or a form: NUL, half a surrogate pair, no UTF-8, too much, too large a number, no number.
HOSTILE = {
    "NUL": b"\x00",
    "NUL inside": b"a\x00b",
    "half a pair": b"\xed\xa0\x80",
    "no UTF-8": b"\xff\xfe",
    "overlong": b"x" * 3000,
    "a huge number": b"9" * 40,
    "no number": b"-1e999",
    "a turn": "\u202e💥".encode(),
}
# The door answers to the first four, pages that show words to the next two, and what reads numbers to the last, in the
# same way: an address gets one of each kind, its neighbour another.
ALIKE = (("NUL", "NUL inside", "half a pair", "no UTF-8"), ("overlong", "a turn"), ("a huge number", "no number"))
# The administration's pages about one row are Django's own, for each kind of row alike: each gets one of all, and the
# two that have the same form get two.
ABOUT_A_ROW = {"add": 0, "change": len(HOSTILE) // 2, "history": 0, "delete": 0, "": 0}
KNOWN = {
    *("page", "seen", "ticket", "next", "open", "group", "sort", "track", "phase", "fence", "theme", "accept", "code"),
    *("name", "affiliation", "login", "password", "email", "password1", "password2", "action", "action_add", "why"),
    *("q", "p", "o", "e", "all", "id", "id__exact", "state__exact", "team__id__exact", "_popup", "_to_field", "key"),
    *("app_label", "model_name", "field_name", "term", "_changelist_filters", "_selected_action", "index", "pk"),
}


class Names(HTMLParser):
    """The names of a page's fields."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"input", "textarea", "select", "button"} and (name := dict(attrs).get("name")):
            self.found.add(name)


class Fuzzed:
    """The site, asked; each answer undone."""

    def __init__(self, watched: Watched) -> None:
        self._site, self._watched = Site(), watched
        self.broken: list[str] = []
        self.headers: dict[str, Mapping[str, str]] = {}

    def ask(self, address: Address, why: str, **changes: Any) -> str:
        """Ask with something changed; the answer's text if it is a page."""
        sent = {**address.request(self._watched), **changes}
        client: Client = self._site.client(sent.pop("who"))
        client.raise_request_exception = False
        for name, value in sent.pop("cookies", {}).items():
            client.cookies[name] = value
        with transaction.atomic():
            answer = client.generic(**sent)
            transaction.set_rollback(True)
        if answer.status_code >= 500:
            self.broken.append(f"{answer.status_code} for {why} in {address.name}")
        if not changes:
            self.headers[address.name] = answer.headers
        return answer.content.decode() if answer.get("Content-Type", "").startswith("text/html") else ""


@pytest.fixture(scope="module")
def fuzzed(django_db_setup, django_db_blocker, module_store) -> Iterator[Fuzzed]:
    """A small challenge with something behind every address."""
    axes = dict.fromkeys(("teams", "runs", "cases", "phases", "members", "hosts", "findings", "reruns"), 3)
    with django_db_blocker.unblock(), transaction.atomic():
        population.fill(Size(**axes, busy=2, slots=1, batch_size=1, kinds=2, distinct=1))
        yield Fuzzed(addresses.watched())
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def boards_keep_up() -> None:
    """The population has its boards, and nothing that is asked stays."""


@pytest.fixture(autouse=True)
def nothing_broken(fuzzed: Fuzzed) -> Iterator[None]:
    fuzzed.broken.clear()
    yield
    assert fuzzed.broken == []


PLAIN = [address for address in ADDRESSES if not address.state]


def page_about_a_row(address: Address) -> str | None:
    """Which of the administration's pages about one row it is, if it is one."""
    if not address.path.startswith("/admin/"):
        return None
    *_, last, _slash = address.path.split("/")
    name = "" if last.startswith("{") else last
    return name if name in ABOUT_A_ROW else None


def turns() -> Iterator[tuple[Address, str | None, int]]:
    """Each address with its number among those that are alike."""
    numbers: Counter[str | None] = Counter()
    for address in PLAIN:
        kind = page_about_a_row(address)
        yield address, kind, numbers[kind]
        numbers[kind] += 1


def is_its_turn(number: int, what: str, among: Sequence[str]) -> bool:
    return number % len(among) == among.index(what)


def in_turn(what: str) -> list[Address]:
    """The addresses that get this value, and none of the others."""
    return [address for number, address in enumerate(PLAIN) if is_its_turn(number, what, list(HOSTILE))]


def plain(what: str) -> list[Address]:
    """The addresses that get this value, and not another among those that are alike, in a path, a query or a form."""
    alike = next(group for group in ALIKE if what in group)
    return [
        address
        for address, kind, number in turns()
        if (
            is_its_turn(number, what, alike)
            if kind is None
            else is_its_turn(number + ABOUT_A_ROW[kind], what, list(HOSTILE))
        )
    ]


@pytest.mark.parametrize("what", HOSTILE)
def test_in_the_query(fuzzed, what):
    query = "&".join(f"{name}={quote(HOSTILE[what])}" for name in sorted(KNOWN))
    for address in plain(what):
        path = address.request(fuzzed._watched)["path"].partition("?")[0]
        fuzzed.ask(address, what, path=f"{path}?{query}&{quote(HOSTILE[what])}=1")


@pytest.mark.parametrize("what", HOSTILE)
def test_in_the_path(fuzzed, what):
    value = quote(HOSTILE[what][:200])
    for address in plain(what):
        for name in fuzzed._watched:
            if f"{{{name}}}" in address.path:
                others = {**fuzzed._watched, name: value}
                fuzzed.ask(address, f"{what} as {name}", path=address.path.format_map(others))


@pytest.fixture(scope="module")
def fields(fuzzed: Fuzzed) -> dict[str, set[str]]:
    """By an address's name the names of its page's fields, and of those that we know of."""
    pages = [address for address in PLAIN if not address.path.startswith("/worker/")]
    as_it_is = {one.name: {} if one.method == "GET" else {"method": "GET", "data": ""} for one in pages}
    return {one.name: KNOWN | Names(fuzzed.ask(one, "nothing", **as_it_is[one.name])).found for one in pages}


@pytest.mark.parametrize("what", HOSTILE)
def test_in_the_fields_of_forms(fuzzed, fields, what):
    for address in plain(what):
        if not (names := fields.get(address.name)):
            continue
        body = "&".join(f"{name}={quote(HOSTILE[what])}" for name in sorted(names))
        fuzzed.ask(address, what, method="POST", data=body, content_type="application/x-www-form-urlencoded")


@pytest.mark.parametrize("what", HOSTILE)
def test_in_cookies_and_headers(fuzzed, what):
    text = HOSTILE[what].decode("latin-1")
    octal = '"' + "".join(f"\\{byte:03o}" for byte in HOSTILE[what][:60].ljust(12, b"0")) + '"'
    names = ("rexg_session", "rexg_csrf", "theme", "messages")
    headers = ("User-Agent", "Referer", "Accept-Language", "X-Requested-With", "HX-Request", "X-CSRFToken", "Range")
    for address in in_turn(what):  # they are read in front of every view
        sent = address.request(fuzzed._watched)["headers"]
        odd = {**dict.fromkeys(headers, text), **sent, "Cookie": "; ".join(f"{name}={octal}" for name in names)}
        fuzzed.ask(address, what, who=None, headers=odd)
    of_hosts = [address for address in PLAIN if address.path.startswith("/worker/")]
    for address in {one.name: one for one in (*of_hosts, *in_turn(what))}.values():
        sent = address.request(fuzzed._watched)["headers"]
        fuzzed.ask(address, what, headers={**sent, "Authorization": f"Bearer {text}", "X-Content-SHA256": text})


HOSTILE_JSON = [
    "\x00",
    "\ud800",
    "x" * 100_000,
    10**40,
    -1,
    float("nan"),
    float("inf"),
    None,
    [],
    {"\x00": "\udfff"},
    True,
]


@pytest.mark.parametrize("value", HOSTILE_JSON, ids=lambda value: repr(value)[:12])
def test_in_what_hosts_say(fuzzed, value):
    for address in PLAIN:
        if (
            not address.path.startswith("/worker/")
            or address.body is None
            or isinstance(address.body({**fuzzed._watched}), str)
        ):
            continue
        for changed in every_place(address.body(fuzzed._watched), value):
            fuzzed.ask(address, repr(value)[:20], data=json.dumps(changed), content_type="application/json")


def every_place(said: Any, value: Any) -> Iterator[Any]:
    """`said` with `value` in place of each of its parts, one at a time."""
    yield value
    if isinstance(said, dict):
        yield {**said, "\x00": value}
    parts = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    for key, part in parts:
        for changed in every_place(part, value):
            copy = dict(said) if isinstance(said, dict) else list(said)
            copy[key] = changed
            yield copy


@pytest.mark.parametrize(
    "body",
    [b"", b"\x00", b"\xff\xfe{\x00}\x00", b"[" * 100_000, b'{"a":' * 5000, b"9" * 5000, b'"\xed\xa0\x80"'],
    ids=["nothing", "NUL", "UTF-16", "deep list", "deep object", "long number", "no UTF-8"],
)
def test_in_place_of_json(fuzzed, body):
    for address in PLAIN:
        if address.path.startswith("/worker/"):
            fuzzed.ask(address, repr(body[:10]), data=body, content_type="application/json")


MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    b'--b\r\nContent-Disposition: form-data; name="image"; filename="%b.%b"; filename*=rot13\'\'%b\r\n'
    b"Content-Type: text/plain; charset=%b\r\n\r\nabc\r\n--b--\r\n"
)


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "unicode_escape", "nonsense"])
def test_in_the_parts_of_an_upload(fuzzed, what, charset):
    value = HOSTILE[what]
    for address in PLAIN:
        if address.method == "POST" and address.path.startswith("/submit/"):
            body = MULTIPART % (value, value, value, value, value, charset.encode())
            fuzzed.ask(address, what, data=body, content_type=f"multipart/form-data; boundary=b; charset={charset}")


@pytest.mark.usefixtures("fields")
def test_nothing_that_somebody_sees_who_is_signed_in_may_be_kept_by_anybody(fuzzed):
    signed_in = [address for address in PLAIN if address.request(fuzzed._watched)["who"] is not None]
    for address in signed_in:
        if address.name not in fuzzed.headers:
            fuzzed.ask(address, "nothing")
    told = {one.name: fuzzed.headers[one.name] for one in signed_in}
    assert len(told) > 300
    assert {
        name: (headers.get("Cache-Control"), headers.get("Vary"))
        for name, headers in told.items()
        if headers.get("Cache-Control") != "private, no-store" or "Cookie" not in headers.get("Vary", "")
    } == {}
