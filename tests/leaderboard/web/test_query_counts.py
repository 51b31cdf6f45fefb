"""No address asks the database more the more there is, nor for what it does not show."""

import re
import shlex
from io import StringIO
from typing import NamedTuple

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection, transaction
from django.test import TestCase, override_settings
from django.urls import get_resolver, resolve

from tests.bench import addresses, population
from tests.bench.addresses import ADDRESSES, COMMANDS, HEAVY, Address, Command, Watched
from tests.bench.measuring import Queries, Site
from tests.bench.plan import Size

pytestmark = pytest.mark.django_db  # gives this file its database; what is written there is rolled back
#: More than a page of what is paged, and more than few of everything else.
PAGED, REST = ("teams", "runs", "cases"), ("phases", "members", "hosts", "findings", "reruns")
MOST_MEMBERS = 60  # so that places are left
EVERYTHING: list[Address | Command] = [*ADDRESSES, *COMMANDS]
CLOCK = "SELECT clock_timestamp()"
WHOLE_COLUMN = re.compile(r'\."(\w+)"(?=,| AS | FROM )')
# What a process asks once a minute for all of its pages (challenge.site_lines); here nothing is kept, and all ask.
MINUTELY = re.compile('FROM "leaderboard_siteline" WHERE .*"shown_from" <=')
IN_BRACES = re.compile(r"\{(\w+)\}")


class Asked(NamedTuple):
    """What came of asking an address: its route, the answer's status, and the questions to the database."""

    route: str
    status: int
    queries: list[str]


def so_many(paged: int, rest: int) -> Size:
    """So many of everything."""
    axes = dict.fromkeys(PAGED, paged) | dict.fromkeys(REST, rest)
    return Size(**axes, busy=2, slots=1, batch_size=1, kinds=2, distinct=1)


FEW, MANY = so_many(3, 3), so_many(30, 10)


@pytest.fixture(scope="module")
def asked(django_db_setup, django_db_blocker, module_store) -> dict[Size, dict[str, Asked]]:
    """What everything asks with few and with many of everything, by its name."""
    with django_db_blocker.unblock(), override_settings(TEAM_MOST_MEMBERS=MOST_MEMBERS):
        return {size: _ask_all(size) for size in (FEW, MANY)}


def _ask_all(size: Size) -> dict[str, Asked]:
    with transaction.atomic():
        population.fill(size)
        watched = addresses.watched()
        ContentType.objects.get_for_models(*apps.get_models())  # read once a process
        site = Site()
        found = {address.name: _ask(address, watched, site) for address in ADDRESSES}
        found |= {command.name: _run(command, watched) for command in COMMANDS}
        transaction.set_rollback(True)
    return found


def _ask(address: Address, watched: Watched, site: Site) -> Asked:
    """Ask an address as a browser would, and undo what that changed."""
    sent = address.request(watched)
    client = site.client(sent.pop("who"))
    queries = Queries()
    with transaction.atomic():
        if address.state:
            [name] = IN_BRACES.findall(address.path)
            addresses.put_into(watched[name], address.state)
        with connection.execute_wrapper(queries), TestCase.captureOnCommitCallbacks(execute=True):
            response = client.generic(**sent)
        transaction.set_rollback(True)
    asks = [sql for sql in queries.asked if not MINUTELY.search(sql)]
    return Asked(resolve(sent["path"].partition("?")[0]).route, response.status_code, asks)


def _run(command: Command, watched: Watched) -> Asked:
    queries = Queries()
    with connection.execute_wrapper(queries):
        call_command(*shlex.split(command.line.format_map(watched)), stdout=StringIO())
    return Asked("", 0, queries.asked)


def whole_columns(sql: str) -> set[str]:
    """The columns that a SELECT, or one inside it, reads as they are."""
    return set(WHOLE_COLUMN.findall(sql)) if sql.startswith("SELECT") else set()


def test_every_address_of_the_site_is_measured(asked):
    measured = {asked[FEW][address.name].route for address in ADDRESSES}
    assert set(addresses.routes(get_resolver().url_patterns)) - measured == set()


def test_every_address_answers_as_it_should(asked):
    answers = {
        (size.teams, one.name): (asked[size][one.name].status, one.status) for size in (FEW, MANY) for one in ADDRESSES
    }
    assert {name: statuses for name, statuses in answers.items() if len(set(statuses)) > 1} == {}


def test_nothing_asks_more_the_more_there_is(asked):
    steady = [one.name for one in EVERYTHING if isinstance(one, Command) or not one.grows]
    counts = {name: [len(asked[size][name].queries) for size in (FEW, MANY)] for name in steady}
    assert {name: asks for name, asks in counts.items() if asks[0] != asks[1]} == {}


def test_everything_keeps_to_its_budget(asked):
    counts = {one.name: (len(asked[FEW][one.name].queries), one.queries) for one in EVERYTHING}
    assert {name: (count, budget) for name, (count, budget) in counts.items() if count > budget} == {}


def test_no_heavy_column_is_read_that_is_not_shown(asked):
    read = {
        one.name: {column for sql in asked[MANY][one.name].queries for column in whole_columns(sql)} & HEAVY - one.reads
        for one in EVERYTHING
    }
    assert {name: sorted(columns) for name, columns in read.items() if columns} == {}


def test_a_page_reads_the_clock_once(asked):
    readings = {
        one.name: asked[MANY][one.name].queries.count(CLOCK)
        for one in EVERYTHING
        if isinstance(one, Command) or one.method == "GET"
    }
    assert {name: times for name, times in readings.items() if times > 1} == {}
