"""The last hour of a phase, played in a minute by 80 teams: does what counts count, and nothing else?

Teams upload through tus or the plain form, to the site as it is shipped, in pieces whose last one arrives around the
deadline. They press Submit before, during and after their upload; two members press it at once; some take it back.
Lines are cut in mid-piece, and meanwhile the processes that receive uploads are killed. People read pages.

What the guidelines promise is then compared with what was taken: a team knows within a moment when its last byte and
its Submit arrived, so it must count, must not, or (within that moment) may do either. Fails where a promise is broken.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

from tests.bench.asking import MOST_PAGE_SECONDS, PAGES, Answer, Times, ask, parse, read_pages
from tests.bench.database import scratch_database
from tests.realsite import WORDS, RealSite, browser_headers, form_body, request_head, running_site

PIECES = 5
UPLOAD_SECONDS = 12.0
FORM_SECONDS = 2.0
KILL_EVERY_SECONDS = 8.0
AROUND_SECONDS = 15.0  # before and after the deadline
CSRF = "t" * 32


@dataclass
class Team:
    """What a team does, in seconds from the deadline, and when it arrived: not before, and not after."""

    number: int
    plain: bool  # by the form, whose one request is both
    last_byte_at: float
    submit_at: float
    cuts: int
    presses: int  # members who press Submit at once
    takes_back: bool
    draft: str = ""
    not_before: float = 0.0
    not_after: float = 0.0
    took_it_back: bool = False

    def arrived(self, not_before: float, not_after: float) -> None:
        """Its last byte or its Submit did, between these instants; the later of the two counts."""
        self.not_before, self.not_after = max(self.not_before, not_before), max(self.not_after, not_after)

    @classmethod
    def draw(cls, number: int, dice: random.Random) -> "Team":
        """Any of the ways in which it goes on the last evening."""
        moments = [dice.uniform(-AROUND_SECONDS, AROUND_SECONDS / 2) for _ in range(2)]
        last, submit = sorted(moments) if dice.random() < 0.5 else moments
        plain, takes_back = number % 5 == 0, number % 11 == 7
        if takes_back:
            submit = last - 4
        return cls(
            number,
            plain,
            last,
            submit,
            cuts=0 if plain else dice.choice((0, 0, 1, 3)),
            presses=dice.choice((1, 1, 2)),
            takes_back=takes_back and not plain,
        )


@dataclass
class Evening:
    """The site, its teams, and the instant at which the phase closes."""

    site: RealSite
    scene: Any
    closes_at: float
    teams: list[Team]
    image: bytes
    pages: Times = field(default_factory=Times)
    kills: int = 0

    def ends_at(self) -> float:
        """When everybody had time for everything, tried again where it was cut."""
        return self.closes_at + AROUND_SECONDS


def main() -> None:
    """Play it, judge it, print it."""
    parser = argparse.ArgumentParser(prog="./dev bench last-hour", description=__doc__)
    parser.add_argument("--teams", type=int, default=80)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--megabytes", type=float, default=2, help="of each image")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rexg-b-") as folder, scratch_database(Path(folder)):
        from tests.bench import uploads_scene

        people = uploads_scene.make_people(2 * options.teams)
        scene = uploads_scene.make("last", people, batches=0)
        dice = random.Random(options.seed)
        teams = [Team.draw(number, dice) for number in range(options.teams)]
        with running_site(Path(folder) / "site", os.environ) as site:
            closes_at = time.time() + UPLOAD_SECONDS + AROUND_SECONDS
            uploads_scene.close("last", closes_at)
            image = scene.image(int(options.megabytes * 1e6))
            evening = Evening(site, scene, closes_at, teams, image)
            asyncio.run(_play(evening))
        kept = _judge(evening)
    sys.exit(0 if kept else 1)


async def _play(evening: Evening) -> None:
    over = lambda: time.time() > evening.ends_at()  # noqa: E731 - one line for all
    readers = [read_pages(evening.site.port, path, evening.pages, until=over) for path in PAGES]
    await asyncio.gather(*(_Player(evening, team).play() for team in evening.teams), *readers, _kill(evening))


async def _kill(evening: Evening) -> None:
    """End a process that receives uploads, again and again, as a machine that runs out of memory does."""
    master = evening.site.processes["uploads"].pid
    while time.time() < evening.closes_at:
        await asyncio.sleep(KILL_EVERY_SECONDS)
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        if children:
            os.kill(int(children[0]), signal.SIGKILL)
            evening.kills += 1


class _Player:
    """One team's evening."""

    FORM: ClassVar = {"Content-Type": "application/x-www-form-urlencoded", "X-Requested-With": "fetch"}

    def __init__(self, evening: Evening, team: Team) -> None:
        self._evening, self._team = evening, team

    async def play(self) -> None:
        """All that the team does."""
        if self._team.plain:
            await self._hand_in_by_form()
            return
        self._team.draft = json.loads((await self._post("/drafts/of/last/", WORDS)).content)["draft"]
        submits = [self._submit(member) for member in range(self._team.presses)]
        await asyncio.gather(self._upload(), *submits, self._take_back())

    async def _submit(self, member: int) -> None:
        await self._until(self._team.submit_at)
        begun = time.time()
        while (await self._post(f"/drafts/{self._team.draft}/send/", WORDS, member)).status == 0:
            await asyncio.sleep(0.2)
        self._team.arrived(begun, time.time())

    async def _take_back(self) -> None:
        if self._team.takes_back:
            await self._until(self._team.last_byte_at - 1.5)
            answer = await self._post(f"/drafts/{self._team.draft}/take-back/", {})
            self._team.took_it_back = "/runs/" not in answer.headers.get("location", "")

    # --- tus ---

    async def _upload(self) -> None:
        image, team = self._evening.image, self._team
        path = await self._begin()
        cuts = set(random.Random(team.number).sample(range(1, PIECES), team.cuts))
        size = len(image) // PIECES + 1
        begun, offset = team.last_byte_at - UPLOAD_SECONDS, 0
        for number in range(PIECES):
            await self._until(begun + UPLOAD_SECONDS * (number + 1) / PIECES)
            end = min(len(image), (number + 1) * size)
            sent_at = time.time()
            if number in cuts:
                await self._cut(path, number * size, image[number * size : end])
                offset = -1
            offset = await self._send(path, offset, end)
            if end == len(image):
                team.arrived(sent_at, time.time())

    async def _begin(self) -> str:
        said = {"Upload-Length": str(len(self._evening.image)), "Upload-Metadata": "filename aW1hZ2UudGFy"}
        while True:
            answer = await self._tus("POST", f"/uploads/drafts/{self._team.draft}/", b"", said)
            if answer.status == 201:
                return urlsplit(answer.headers["location"]).path
            await asyncio.sleep(0.2)

    async def _send(self, path: str, offset: int, end: int) -> int:
        """Send what is not there yet up to `end`, as often as it takes; asks where the offset is not known (-1)."""
        while offset < end:
            if offset < 0:
                answer = await self._tus("HEAD", path, b"", {})
            else:
                said = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
                answer = await self._tus("PATCH", path, self._evening.image[offset:end], said)
            if answer.status in (404, 410):
                return end  # handed in: the answer to the last byte was lost
            offset = int(answer.headers.get("upload-offset", -1))
            if offset < 0:
                await asyncio.sleep(0.2)
        return offset

    async def _cut(self, path: str, offset: int, piece: bytes) -> None:
        said = self._cookies() | {"Tus-Resumable": "1.0.0", "X-CSRFToken": CSRF, "Upload-Offset": str(offset)}
        said |= {"Content-Type": "application/offset+octet-stream", "Content-Length": str(len(piece))}
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self._evening.site.port)
            writer.write(request_head("PATCH", path, said) + piece[: len(piece) // 2])
            await writer.drain()
            writer.transport.abort()

    async def _tus(self, method: str, path: str, body: bytes, said: dict[str, str]) -> Answer:
        headers = self._cookies() | {"Tus-Resumable": "1.0.0", "X-CSRFToken": CSRF} | said
        return await ask(self._evening.site.port, method, path, body, headers, patience=20)

    # --- the plain form ---

    async def _hand_in_by_form(self) -> None:
        """Who is told that the server was interrupted sends the same again, which by its ticket is one submission."""
        body = b"".join(form_body(self._evening.image, ticket=f"evening-{self._team.number}"))
        await self._until(self._team.last_byte_at - FORM_SECONDS)
        while True:
            begun, answer = await self._post_slowly(body)
            if answer.status in (302, 422):
                self._team.arrived(begun, time.time())
            if answer.status not in (0, 503):
                return
            await asyncio.sleep(0.5)

    async def _post_slowly(self, body: bytes) -> tuple[float, Answer]:
        """When the last bytes were sent, and the answer."""
        begun, headers = 0.0, browser_headers(self._session(0), len(body))
        with suppress(OSError, IndexError, ValueError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._evening.site.port)
            writer.write(request_head("POST", "/submit/last/", headers | {"Connection": "close"}) + body[:-100])
            await writer.drain()
            await self._until(self._team.last_byte_at)
            begun = time.time()
            writer.write(body[-100:])
            await writer.drain()
            answer = parse(await reader.read())
            writer.close()
            return begun, answer
        return begun, Answer(0, {}, b"")

    # --- everybody ---

    async def _until(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, self._evening.closes_at + seconds - time.time()))

    async def _post(self, path: str, words: dict[str, str], member: int = 0) -> Answer:
        body = urlencode({**words, "csrfmiddlewaretoken": CSRF}).encode()
        return await ask(self._evening.site.port, "POST", path, body, self._cookies(member) | self.FORM, patience=20)

    def _cookies(self, member: int = 0) -> dict[str, str]:
        return {"Cookie": f"rexg_session={self._session(member)}; rexg_csrf={CSRF}"}

    def _session(self, member: int) -> str:
        session: str = self._evening.scene.sessions[2 * self._team.number + member]
        return session


# --- what came of it --------------------------------------------------------------------------------------------------


def _judge(evening: Evening) -> bool:
    from leaderboard.models import Draft, Submission
    from leaderboard.processes import sweeper

    sweeper.sweep()  # what a killed process left undone
    taken: dict[int, list[datetime]] = {}
    for name, at in Submission.objects.values_list("team__name", "accepted_at"):
        taken.setdefault(evening.scene.teams.index(name), []).append(at)
    drafts = {str(draft.pk): draft for draft in Draft.objects.select_related("upload")}
    counts: dict[str, int] = {}
    wrong = []
    for team in evening.teams:
        verdict, fault = _verdict(evening, team, taken.get(team.number, []), drafts.get(team.draft))
        counts[verdict] = counts.get(verdict, 0) + 1
        wrong += [f"team {team.number}: {fault}: {team}"] if fault else []
    print(f"\n{len(evening.teams)} teams, {evening.kills} processes killed: {counts}")
    print(f"{'':8}{'p50 ms':>8}{'p95 ms':>8}{'max ms':>8}{'lost':>6}\n{'pages':8}{evening.pages}{evening.pages.lost:6}")
    print(*wrong, sep="\n")
    kept = {
        "what counts by the guidelines counts, once, as of the right instant, and nothing else": not wrong,
        "pages within 200 ms (p95)": evening.pages.within(0.95) < MOST_PAGE_SECONDS and not evening.pages.lost,
    }
    for promise, is_kept in kept.items():
        print(f"  {'kept' if is_kept else 'NOT KEPT':9}{promise}")
    return all(kept.values())


def _verdict(evening: Evening, team: Team, taken: list[datetime], draft: Any) -> tuple[str, str]:
    """What became of a team's entry, and what is wrong with that."""
    if len(taken) > 1:
        return "counts", "counts twice"
    if not team.not_after:
        return "without an answer", ""  # the plain form, whose process was killed
    if taken:
        at = taken[0].timestamp()
        if not team.not_before - 0.01 <= at <= team.not_after + 0.01:
            return "counts", f"as of {at - evening.closes_at:.3f} s from the deadline"
        late = at >= evening.closes_at or team.took_it_back
        return "counts", "though it is late or was taken back" if late else ""
    if team.took_it_back:
        return "taken back", "" if draft else "and its draft is gone"
    if team.not_after < evening.closes_at:
        return "does not count", "though all of it was here in time"
    if team.plain:
        return "late", ""
    if draft is None or draft.upload.received != len(evening.image) or "closed" not in draft.refusal:
        return "late", "and its draft, its file or the reason is missing"
    return "late", ""
