"""Boards at one volume, for `./dev bench board`: RUNS CASES ROUNDS REQUESTS; the last line of the output is JSON."""

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

from tests.bench.database import scratch_database

CLONE = Path(__file__).resolve().parents[2]
RUNS_OF_A_TEAM = 20
ONE_PAGE = 50  # teams with two runs each: so that boards fill a page before there are many runs
PAGES = {
    "home": "/",
    "board": "/leaderboard/{public_phase}/",
    "hidden board": "/leaderboard/{hidden_phase}/",
    "how sure": "/leaderboard/{hidden_phase}/main/certainty/",
    "by category": "/leaderboard/{hidden_phase}/main/categories/",
    "compare": "/leaderboard/{hidden_phase}/main/compare/",
    "over time": "/leaderboard/{hidden_phase}/main/history/",
}
VERSIONS = 3  # made for runs that follow
WARM_UP = 12  # several for each process
START_SECONDS = 60.0
SETTINGS = CLONE / "deploy/gunicorn_settings.py"


def main() -> None:
    """Measure, and say it."""
    runs, cases, rounds, requests = map(int, sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="rexg-b-") as name, scratch_database(Path(name)):
        folder = Path(name)
        (folder / "files").mkdir()
        pages = _filled(runs, cases)
        costs = _costs(pages, rounds)
        for cost in costs.values():  # before the server looks which files there are
            _file(folder, cost["size"]).write_bytes(os.urandom(cost["size"]))
        with _served(folder) as port:
            for page, path in pages.items():
                costs[page] |= _waits(port, path, _file(folder, costs[page]["size"]), requests)
        version = _versions()
    print(json.dumps({"runs": runs, "costs": costs, "version": version}))


def _filled(runs: int, cases: int) -> dict[str, str]:
    """The pages of a population of so many runs, by their names."""
    from django.db import connection

    from leaderboard.core import blobs
    from tests.bench import addresses, population
    from tests.bench.plan import Size

    blobs.prepare()
    teams = max(min(ONE_PAGE, runs // 2), runs // RUNS_OF_A_TEAM)
    population.fill(Size(teams, runs=max(1, runs // teams), cases=cases), trusted=True)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    public, hidden = addresses.phases()
    named = {"public_phase": public.slug, "hidden_phase": hidden.slug}
    return {page: path.format_map(named) for page, path in PAGES.items()}


def _costs(pages: dict[str, str], rounds: int) -> dict[str, dict[str, Any]]:
    """Questions and CPU time of each page, inside this process, which makes it anew each time."""
    from django.conf import settings

    from leaderboard.core import minutes
    from tests.bench.measuring import Site, measure

    settings.ALLOWED_HOSTS.append("testserver")
    site, found = Site(), {}
    for page, path in pages.items():
        with mock.patch.object(minutes, "MOST", 0):
            cost = measure(site, {"who": None, "method": "GET", "path": path}, rounds)
        if cost["status"] != http.HTTPStatus.OK:
            raise SystemExit(f"{path} answered {cost['status']}")
        found[page] = {"queries": cost["queries"], "cpu": 1000 * cost["cpu"], "size": cost["size"]}
    return found


def _file(folder: Path, size: int) -> Path:
    return folder / "files" / f"{size}.bin"


# --- over HTTP --------------------------------------------------------------------------------------------------------


@contextmanager
def _served(folder: Path) -> Iterator[int]:
    """The pages as gunicorn serves them in production, and files of this folder by the same processes; its port."""
    import socket

    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = int(probe.getsockname()[1])
    environment = {
        **{name: value for name, value in os.environ.items() if name != "STATIC_ROOT"},
        "BENCH_FILES": str(folder / "files"),
        "PYTHONPATH": str(CLONE),
        "SITE_URL": f"http://127.0.0.1:{port}",
        "WEB_ROLE": "pages",
    }
    command = [sys.executable, "-m", "gunicorn", "--config", str(SETTINGS), "--bind", f"127.0.0.1:{port}"]
    with (folder / "gunicorn.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "tests.bench.board_site:application"], env=environment, stdout=log, stderr=log
        )
        try:
            _wait_for(port, server, folder / "gunicorn.log")
            yield port
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(10)
            server.kill()
            server.wait()


def _wait_for(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        with suppress(OSError, http.client.HTTPException):
            _ask(port, "/healthz")
            return
        if time.monotonic() > give_up or server.poll() is not None:
            raise SystemExit(log.read_text(errors="replace")[-3000:])
        time.sleep(0.1)


def _ask(port: int, path: str, **headers: str) -> tuple[float, http.client.HTTPResponse, bytes]:
    """Seconds, answer and content, over a connection of its own."""
    began = time.perf_counter()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", path, headers={"Accept-Encoding": "identity", **headers})
        answer = connection.getresponse()
        content = answer.read()
    return time.perf_counter() - began, answer, content


def _waits(port: int, path: str, file: Path, requests: int) -> dict[str, float]:
    """How long the page takes, its 304, and a file of as many bytes, in turn; milliseconds."""
    page, again, static = list[float](), list[float](), list[float]()
    for number in range(WARM_UP + requests):
        seconds, answer, _ = _ask(port, path)
        tag = answer.headers.get("ETag", "")
        kept, unchanged, _ = _ask(port, path, **{"If-None-Match": tag})
        alone, found, _ = _ask(port, f"/bench/{file.name}")
        if (answer.status, found.status) != (200, 200):
            raise SystemExit(f"{path} answered {answer.status}, the file {found.status}")
        if number >= WARM_UP:
            page.append(seconds)
            static.append(alone)
            again += [kept] if unchanged.status == http.HTTPStatus.NOT_MODIFIED else []
    return {
        "p50": 1000 * statistics.median(page),
        "p95": _p95(page),
        "again": _p95(again),
        "file": _p95(static),
    }


def _p95(seconds: Sequence[float]) -> float:
    """In milliseconds; NaN of none."""
    return 1000 * sorted(seconds)[min(len(seconds) - 1, int(0.95 * len(seconds)))] if seconds else float("nan")


# --- versions ---------------------------------------------------------------------------------------------------------


def _versions() -> dict[str, float]:
    """Seconds from a scored run to the version that lists it, on hidden cases, which makes two for each board."""
    from leaderboard.board import certainty
    from leaderboard.models import Submission
    from tests.bench import addresses

    _, hidden = addresses.phases()
    scored = Submission.objects.filter(phase=hidden, runs__state="scored", track="main").order_by("pk")
    teams = list(dict.fromkeys(scored.values_list("team", flat=True)))[: 1 + VERSIONS]
    certainty._tested.clear()  # as in a process that begins
    seconds = [_until_listed(hidden.pk, _better(addresses.like(scored.filter(team=team)[0].pk))) for team in teams]
    return {"anew": seconds[0], "then": statistics.median(seconds[1:])}


def _better(submission: int) -> int:
    """The same with a higher Dice than any: it counts, also where the best run does."""
    from leaderboard.models import Standing

    standings = list(Standing.objects.filter(run__submission=submission))
    for standing in standings:
        standing.dice = standing.summary["dice"] = 0.99
    Standing.objects.bulk_update(standings, ["dice", "summary"])
    return submission


def _until_listed(phase: int, submission: int) -> float:
    from leaderboard.models import BoardRow, BoardVersion
    from leaderboard.processes import tasks

    began = time.perf_counter()
    tasks.make_board(str(phase))
    seconds = time.perf_counter() - began
    rows = set(BoardRow.objects.filter(submission=submission).values_list("pk", flat=True))
    last = BoardVersion.objects.filter(phase=phase, track="main").latest("number")
    if not rows & set(last.rows):
        raise SystemExit(f"version {last.number} does not list submission {submission}")
    return seconds


if __name__ == "__main__":
    main()
