"""One word for one thing, and an order that is the same on every page."""

import io
import re
import subprocess
import sys
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from leaderboard.core import clock, process_heartbeat
from leaderboard.models import User
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page, scored

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).parents[3]


def test_the_spelling_of_email_is_one():
    written = [
        *ROOT.glob("templates/**/*.*"),
        *ROOT.glob("leaderboard/**/*.py"),
        *ROOT.glob("*.md"),
        *ROOT.glob("d*/**/*.md"),
    ]
    past = {"0001_initial.py", "CHANGELOG.md"}
    odd = [path for path in written if path.name not in past and re.search("e-mail", path.read_text(), re.IGNORECASE)]
    assert odd == []


@pytest.fixture
def phases():
    """Four phases, made in another order than that in which they close."""
    now, cases = clock.now(), cast.case_set()
    for name, days in (("Third", 3), ("First", 1), ("Fourth", 4), ("Second", 2)):
        # Those that close earlier opened later.
        span = {"opens_at": now - timedelta(days=9 + days), "closes_at": now + timedelta(days=days)}
        made = cast.phase(cases, slug=name.lower(), name=f"{name} phase", **span)
        process_heartbeat.beat(f"{process_heartbeat.BOARD}{made.pk}")  # or health would name one first


@pytest.mark.parametrize(
    ("who", "address", "part"),
    [
        ("Alice", "/", "phase-line"),
        ("Alice", "/leaderboard/first/", 'id="f-phase"'),
        ("Alice", "/guidelines/", 'class="data limits'),
        ("Alice", "/submit/", "<main"),
        ("Alice", "/runs/", "<main"),
        ("Alice", "/team/", "<main"),
        ("Olga", "/organisers/health/", "<main"),
        ("Olga", "/admin/leaderboard/phase/", 'id="result_list"'),
    ],
)
def test_phases_stand_in_one_order_everywhere(people, phases, who, address, part):
    User.objects.filter(pk=people.olga.pk).update(is_superuser=True)
    html = people.browser[who].get(address).content.decode().partition(part)[2]
    found = re.findall(r"(First|Second|Third|Fourth) phase", html)
    named = list(dict.fromkeys(found))
    assert named == ["First", "Second", "Third", "Fourth"]


@pytest.mark.parametrize("publication", ["half", "nothing"])
def test_the_reveal_is_explained_where_it_is_named(people, client, publication):
    phase = cast.phase(slug="dev", publication=publication)
    scored(people.team, phase)
    board = page(client.get("/leaderboard/dev/?open=alice-and-bob"))
    if publication == "half":
        assert board.all("dt", id="reveal")
        assert board.all("a", href="#reveal")
    else:
        assert board.all("a", href="/guidelines/#reveal")
    guidelines = page(client.get("/guidelines/"))
    assert guidelines.all("h2", id="reveal")
    assert "from that instant its full result is public" in guidelines.text


def test_home_and_guidelines_lead_to_template_scorer_code_and_data(client):
    cast.phase()
    for address in ("/", "/guidelines/"):
        targets = {link["href"] for link in page(client.get(address)).all("a")}
        assert {"/downloads/template.zip", "/downloads/scorer.zip", "https://arxiv.org/abs/2507.22030"} <= targets
        assert "https://huggingface.co/datasets/rajpurkarlab/ReXGroundingCT" in targets


def test_the_scorer_that_is_handed_out_runs_by_itself(client, tmp_path):
    answer = client.get("/downloads/scorer.zip")
    assert answer["Content-Disposition"] == 'attachment; filename="rexgrounding-scorer.zip"'
    zipfile.ZipFile(io.BytesIO(answer.content)).extractall(tmp_path)
    folder = tmp_path / "rexgrounding-scorer"
    told = subprocess.run(
        [sys.executable, "-m", "evaluation", "--help"], cwd=folder, env={}, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert "Score a folder of predicted masks" in told.stdout
    packaging = [(folder / name).read_bytes() for name in ("pyproject.toml", "LICENSE", "evaluation/py.typed")]
    assert packaging == [(ROOT / name).read_bytes() for name in ("pyproject.toml", "LICENSE", "evaluation/py.typed")]
    named = re.findall(r"^[\w-]+==[\d.]+$", (folder / "requirements.txt").read_text(), re.MULTILINE)
    pinned = re.findall(
        r'"([\w-]+)>=', (ROOT / "pyproject.toml").read_text().partition("dependencies = [")[2].partition("]")[0]
    )
    assert sorted(name.partition("==")[0] for name in named) == sorted(pinned)
    assert client.get("/downloads/scorer.zip").content == answer.content


def test_the_template_that_is_handed_out_is_the_example(client):
    archive = zipfile.ZipFile(io.BytesIO(client.get("/downloads/template.zip").content))
    names = {name.partition("/")[2] for name in archive.namelist()}
    assert names == {"Dockerfile", "README.md", "segment.py"}
    example = ROOT / "containers" / "example"
    assert archive.read("rexgrounding-template/segment.py") == (example / "segment.py").read_bytes()
    assert client.get("/downloads/secrets.zip").status_code == 404


def test_a_refused_sign_in_is_where_the_keyboard_is(client):
    cast.person("Alice")
    answer = client.post("/account/login/", {"login": "alice@example.org", "password": "wrong"})
    [note] = [one for one in page(answer).all("div", role="alert") if "hidden" not in one]
    assert note["tabindex"] == "-1"
    assert "autofocus" in note


def test_a_table_of_a_method_is_a_table(people, client):
    method = cast.METHOD + "\n\n| part | Dice |\n|:-----|-----:|\n| <b>lung</b> | 0.4 |\n"
    scored(people.team, cast.phase(slug="dev"), method=method)
    html = client.get("/leaderboard/dev/?open=alice-and-bob").content.decode()
    assert '<th class="n" scope="col">Dice</th>' in html
    assert "<td>&lt;b&gt;lung&lt;/b&gt;</td>" in html
    assert "style=" not in html
