"""Who takes part: organisers at the desk and on the command line, teams on their pages, everybody else."""

import json
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from typing import Any
from urllib.parse import urlencode

from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from leaderboard.models import Submission
from tests.journey.compressed.workers import image_of
from tests.leaderboard import cast
from tests.leaderboard.web.scene import Page, page

DESK = "/organisers/"
PASSWORD = "correct horse"


@dataclass
class Organiser:
    """Somebody at the desk, who looks at what an act would change before doing it."""

    browser: Client

    def reads(self, path: str = "") -> Page:
        """A page of the desk."""
        answer = self.browser.get(f"{DESK}{path}")
        assert answer.status_code == 200, path
        return page(answer)

    def finds(self, act: str, path: str = "") -> str:
        """The button of an act on a page of the desk: where it leads."""
        [*_, found] = [one["href"] for one in self.reads(path).all("a") if f"/acts/{act}/" in (one.get("href") or "")]
        assert found
        return found

    def presses(self, button: str, **told: str) -> None:
        """Follow a button, look at the preview, and do it."""
        shown = page(self.browser.post(button, {**told, "preview": "1"}))
        assert "What it would change" in shown.text, shown.text
        done = self.browser.post(button, {**told, "do": "1"})
        assert done.status_code == 302, page(done).text

    def acts(self, act: str, on: object, **told: str) -> None:
        """The same, from the act's own address."""
        self.presses(address_of(act, on), **told)

    def is_refused(self, act: str, on: object, **told: str) -> str:
        """What the page says of an act that is refused; nothing was done."""
        return page(self.browser.post(address_of(act, on), {**told, "do": "1"}, follow=True)).text

    def signs_in(self) -> None:
        """With the password, on the page for that."""
        answer = self.browser.post("/account/login/", {"login": "olga@example.org", "password": PASSWORD})
        assert answer.status_code == 302

    def proves_who_it_is(self) -> None:
        """Give the password once more, before what has no way back."""
        self.browser.post("/account/reauthenticate/", {"password": PASSWORD})

    def changes(self, slug: str, *, why: str, **policies: str) -> Page:
        """Edit a phase in place, look at the preview, and apply it; the preview."""
        address = f"{DESK}phases/{slug}/"
        self.browser.post(address, {**policies, "preview": "1"})
        shown = page(self.browser.get(f"{address}?preview=1"))
        names = sorted({name.removesuffix("-day").removesuffix("-time") for name in policies})
        done = self.browser.post(address, {"apply": "1", "field": names, "why": why})
        assert done.status_code == 302, page(done).text
        return shown


def address_of(act: str, on: object) -> str:
    """Where an act is done on something."""
    return f"{DESK}acts/{act}/?{urlencode({'on': on})}"


def instant(name: str, at: datetime) -> dict[str, str]:
    """An instant as the two fields of a policy take it."""
    return {f"{name}-day": f"{at:%Y-%m-%d}", f"{name}-time": f"{at:%H:%M}"}


def by_command(act: str, on: object, **options: str) -> None:
    """The same by `manage.py act`: first the dry run, which says what the act does afterwards."""
    told = [act, str(on), *(f"--{name}={value}" for name, value in options.items())]
    said = [_said("act", *told, *dry) for dry in (["--dry-run"], [])]
    changes = [[change["action"] for change in one["outcomes"][0]["changes"]] for one in said]
    assert changes[0] == changes[1] != []


def is_refused_by_command(act: str, on: object, *, why: str) -> str:
    """What the command says of an act that it refuses."""
    out = StringIO()
    try:
        call_command("act", act, str(on), f"--why={why}", "--json", stdout=out)
    except CommandError:
        return str(json.loads(out.getvalue())["outcomes"][0]["refused"])
    raise AssertionError(f"{act} was done")


def _said(*arguments: str) -> Any:
    out = StringIO()
    call_command(*arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


@dataclass
class Entrant:
    """Somebody of a team, at the team's pages."""

    browser: Client
    team: str

    def reads(self, path: str) -> Page:
        """A page of the site."""
        answer = self.browser.get(path, follow=True)
        assert answer.status_code == 200, path
        return page(answer)

    def hands_in(self, phase: str, start: int) -> Submission:
        """An image whose program sees each finding begin there, by the form."""
        known = set(Submission.objects.values_list("pk", flat=True))
        answer = self._send(phase, start)
        assert answer.status_code == 302, page(answer).text
        [made] = Submission.objects.exclude(pk__in=known)
        assert made.team.name == self.team
        return made

    def is_turned_away(self, phase: str, start: int) -> str:
        """What the site says instead of taking it."""
        known = Submission.objects.count()
        text = page(self._send(phase, start)).text
        assert Submission.objects.count() == known
        return text

    def _send(self, phase: str, start: int) -> Any:
        words = {
            "track": "main",
            "algorithm": f"Grounder of {self.team}",
            "method": cast.METHOD,
            "external": "none",
            "image": SimpleUploadedFile("image.tar", image_of(start)),
        }
        return self.browser.post(f"/submit/{phase}/", words)
