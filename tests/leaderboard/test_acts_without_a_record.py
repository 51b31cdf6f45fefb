"""Nobody changes anything without an entry in the record: no act, action or form of organisers, and no command.

What reaches `audit.record` is found in the code: from each way in, along everything that a function refers to. That
entries say the right thing is tested beside each decision.
"""

import ast
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from types import FunctionType
from typing import Any

import pytest
from django.contrib import admin
from django.core.management import get_commands
from django.test import RequestFactory

from leaderboard.admin.bases import Decisions, ReadOnly, Recorded
from leaderboard.core import audit
from leaderboard.core.audit import Actor
from leaderboard.desk.acting import Unrecorded, act_on
from leaderboard.desk.acts import ACTS
from leaderboard.management import commands
from leaderboard.models import Host
from leaderboard.web.desk import urls
from tests.leaderboard import cast

RECORDS = {inspect.unwrap(audit.record), inspect.unwrap(audit.record_change)}
#: Commands that decide nothing, and why.
DECIDE_NOTHING = {
    "backup": "makes a copy of what is there",
    "capacity": "reads",
    "digest_masks": "writes down what masks hold, which an older server did not",
    "make_cases": "writes files for trying things out",
    "runs": "reads",
    "show_half": "reads",
    "standings": "reads",
    "status": "reads",
    "submission": "reads",
}
#: Pages of the desk that take something and decide nothing, and why.
DECIDE_NOTHING_HERE = {
    "act": "each act is looked at by itself, below",
    "desk_message": "sends a draft to oneself alone",
}
#: Commands that come with Django and allauth: who may run them owns the database, and could write past any of us.
OF_OTHERS = {
    *(
        "account_unsetmultipleprimaryemails",
        "remove_stale_contenttypes",
        "clearsessions",
        "flush",
        "loaddata",
        "migrate",
    ),
    *(
        "check",
        "compilemessages",
        "createcachetable",
        "dbshell",
        "diffsettings",
        "dumpdata",
        "inspectdb",
        "makemessages",
    ),
    *("makemigrations", "optimizemigration", "sendtestemail", "shell", "showmigrations", "sqlflush", "sqlmigrate"),
    *("sqlsequencereset", "squashmigrations", "startapp", "startproject", "test", "testserver", "runserver"),
    *("collectstatic", "findstatic"),
}
#: Actions of the administration that decide nothing: they lead to the desk, or send to oneself.
NO_DECISIONS = {"send_to_me", "archive", "publish_cases", "publish_findings"}


def reaches_the_record(start: Callable[..., object], of: type | None = None) -> bool:
    """Whether a function refers, through whatever others of ours, to what writes the record."""
    seen: set[tuple[object, type | None]] = set()
    waiting: list[tuple[Any, type | None]] = [(_plain(start), of)]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        if one[0] in RECORDS:
            return True
        waiting += [found for found in _referred(*one) if found not in seen]
    return False


def _plain(function: Any) -> Any:
    while isinstance(function, partial):
        function = function.func
    return inspect.unwrap(getattr(function, "__func__", function))


@cache
def _referred(function: FunctionType, of: type | None) -> list[tuple[Any, type | None]]:
    """The functions of ours to which one refers by name; of its class, if it is a method."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)).strip().rstrip(","))
    found: list[tuple[Any, type | None]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            named = function.__globals__.get(node.id)
            found += [(one, None) for one in (named.values() if isinstance(named, dict) else [named])]
        elif isinstance(node, ast.Attribute):
            found.append(_attribute(node, function, of))
    return [(_plain(one), cls) for one, cls in found if _is_ours(one)]


def _attribute(node: ast.Attribute, function: FunctionType, of: type | None) -> tuple[Any, type | None]:
    match node.value:
        case ast.Name(id="self" | "cls") if of is not None:
            return inspect.getattr_static(of, node.attr, None), of
        case ast.Call(func=ast.Name(id="super")) if of is not None:
            bases = (vars(base).get(node.attr) for base in of.__mro__[1:])
            return next((one for one in bases if one is not None and one is not function), None), of
        case ast.Name(id=name):
            return getattr(function.__globals__.get(name), node.attr, None), None
    return None, None


def _is_ours(found: Any) -> bool:
    plain = _plain(found)
    return isinstance(plain, FunctionType) and plain.__module__.startswith("leaderboard.")


# --- the ways in ------------------------------------------------------------------------------------------------------


def _commands() -> Iterator[str]:
    yield from (one.name for one in pkgutil.iter_modules(commands.__path__))


def _actions() -> Iterator[tuple[type, str]]:
    for one in admin.site._registry.values():
        yield from ((type(one), name) for name in one.actions or () if isinstance(name, str))


@pytest.mark.parametrize("name", [*ACTS])
def test_every_act_writes_an_entry(name):
    assert reaches_the_record(ACTS[name].decide)


def _pages() -> Iterator[tuple[str, Callable[..., object]]]:
    """The pages of the desk that take something: asked in a way that there is not, they say which there are."""
    for one in urls.urlpatterns:
        if "POST" in one.callback(RequestFactory().generic("NOTHING", "/"))["Allow"]:
            yield str(one.name), one.callback


@pytest.mark.parametrize(("name", "page"), [*_pages()], ids=lambda one: one if isinstance(one, str) else "")
def test_every_page_of_the_desk_that_takes_something_writes_an_entry(name, page):
    assert reaches_the_record(page) is (name not in DECIDE_NOTHING_HERE)


def test_of_every_command_is_known_whose_it_is():
    assert set(get_commands()) - {*_commands()} == OF_OTHERS


@pytest.mark.django_db
def test_an_act_that_writes_and_records_nothing_is_not_carried_out(host):
    """Whatever code looks like: what is carried out is watched."""

    def decides_at_times(row: Any, *, by: Actor, why: str) -> None:
        if why == "recorded":
            audit.record(by, "drain", row)
        row.draining = True
        row.save(update_fields=["draining"])

    act = replace(ACTS["drain-host"], decide=decides_at_times)
    with pytest.raises(Unrecorded, match="leaderboard_host"):
        act_on(act, [host], {}, by=cast.OPERATOR, why="in secret")
    assert not Host.objects.get().draining
    act_on(act, [host], {}, by=cast.OPERATOR, why="recorded")
    assert Host.objects.get().draining


@pytest.mark.parametrize(("of", "name"), [*_actions()], ids=lambda one: getattr(one, "__name__", one))
def test_every_action_of_the_administration_writes_an_entry(of, name):
    assert reaches_the_record(getattr(of, name), of) is (name not in NO_DECISIONS)


@pytest.mark.parametrize("one", [*admin.site._registry.values()], ids=lambda one: one.model.__name__)
def test_every_form_of_the_administration_writes_an_entry_or_there_is_none(one):
    of = type(one)
    assert isinstance(one, (ReadOnly, Recorded))
    if isinstance(one, ReadOnly) and not isinstance(one, Decisions):
        assert "save_model" not in vars(of)
        return
    ways = ["save_model", "delete_model"] if isinstance(one, Recorded) else ["save_model"] * ("save_model" in vars(of))
    for way in ways:
        assert reaches_the_record(getattr(of, way), of), way


@pytest.mark.parametrize("name", [*_commands()])
def test_every_command_writes_an_entry_or_decides_nothing(name):
    module = import_module(f"leaderboard.management.commands.{name}")
    command = module.Command
    methods = [one for one in vars(command).values() if isinstance(_plain(one), FunctionType)]
    functions = [one for one in vars(module).values() if getattr(one, "__module__", "") == module.__name__]
    found = any(reaches_the_record(one, command) for one in methods)
    found = found or any(reaches_the_record(one) for one in functions if isinstance(_plain(one), FunctionType))
    found = found or (name == "act" and all(reaches_the_record(act.decide) for act in ACTS.values()))
    assert found is (name not in DECIDE_NOTHING)


def _decides_secretly(host: Any) -> None:
    host.save(update_fields=["draining"])


def test_what_writes_none_is_found():
    assert not reaches_the_record(_decides_secretly)
