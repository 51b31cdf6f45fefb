"""Static files have names that change with their content: browsers keep them for ever, and an upgrade changes them."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.core.management import CommandError, call_command
from django.test import Client

from leaderboard import checks
from leaderboard.web import public
from tests.leaderboard import cast
from tests.leaderboard.web.scene import page

HASHED = re.compile(r"/static/[\w./-]+\.[0-9a-f]{12}\.\w+")


@pytest.fixture(autouse=True)
def as_in_production(settings):
    settings.WHITENOISE_AUTOREFRESH = False


def linked(response) -> set[str]:
    """The static files that a page names."""
    found = page(response)
    values = {attributes.get(name) or "" for _, attributes in found.elements for name in ("href", "src")}
    return {value.partition("#")[0] for value in values if value.startswith(configured.STATIC_URL)}


def is_kept_for_ever(client: Client, address: str) -> bool:
    response = client.get(address)
    return response.status_code == 200 and "immutable" in response["Cache-Control"]


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/", "/leaderboard/test/", "/account/login/", "/no-such-page/"])
def test_every_file_that_a_page_links_is_hashed_and_kept_for_ever(client, address):
    cast.phase()
    names = linked(client.get(address))
    assert {Path(name).suffix for name in names} == {".css", ".js", ".svg", ".woff2"}
    for name in names:
        assert HASHED.fullmatch(name), name
        assert is_kept_for_ever(client, name), name


@pytest.mark.django_db
def test_a_page_itself_is_never_kept(client):
    for address in ("/", "/rules/", "/account/login/"):
        assert "max-age" not in client.get(address).get("Cache-Control", "").replace("max-age=0", "")


@pytest.mark.django_db
def test_the_form_for_a_submission_links_its_script_hashed(people):
    cast.phase(slug="dev")
    names = linked(people.browser["Alice"].get("/submit/dev/"))
    assert any(re.fullmatch(r"/static/site/upload\.[0-9a-f]{12}\.js", name) for name in names)


@pytest.mark.django_db
def test_a_stylesheet_names_its_fonts_by_their_hashes(client):
    base = next(name for name in linked(client.get("/")) if "/base." in name)
    css = b"".join(client.get(base).streaming_content).decode()
    fonts = re.findall(r'url\("([^"]+)"\)', css)
    assert len(fonts) == 4
    for font in fonts:
        assert is_kept_for_ever(client, f"/static/site/{font}"), font


@pytest.mark.django_db
def test_a_page_of_an_error_has_its_looks(monkeypatch):
    monkeypatch.setattr(public, "timeline", lambda *_: 1 / 0)
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    broken, forged = client.get("/"), client.post("/account/login/")
    unreadable = client.get("/", headers={"host": "evil"})
    assert [response.status_code for response in (broken, forged, unreadable)] == [500, 403, 400]
    for response in (broken, forged, unreadable):
        assert any(name.endswith(".css") for name in linked(response))
        assert all(is_kept_for_ever(Client(), name) for name in linked(response))


@pytest.fixture
def copy(settings, tmp_path) -> Path:
    """Our own static files, to be changed; they are collected into `collected` beside them."""
    shutil.copytree(checks.OWN_STATIC_FILES, tmp_path / "sources")
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATICFILES_DIRS = [tmp_path / "sources"]
    settings.STATIC_ROOT = str(tmp_path / "collected")
    return tmp_path / "sources"


def collect() -> set[str]:
    call_command("collectstatic", interactive=False, verbosity=0)
    return {path.name for path in Path(str(configured.STATIC_ROOT), "site").iterdir()}


def test_a_changed_stylesheet_has_a_new_name_and_the_old_one_stays(copy):
    before = collect()
    (copy / "site" / "base.css").write_text("body { color: red; }")
    added = collect() - before
    assert {re.sub(r"\.[0-9a-f]{12}\.", ".", name) for name in added} == {"base.css"}


def test_another_user_than_the_one_who_collects_can_read_what_is_collected(copy):
    """An image collects as root and serves as nobody in particular; uploads, in the same storage, are private."""
    collect()
    modes = {path.stat().st_mode & 0o777 for path in Path(str(configured.STATIC_ROOT)).rglob("*") if path.is_file()}
    assert modes == {0o644}


def test_a_changed_font_changes_the_name_of_the_stylesheet_that_uses_it(copy):
    before = collect()
    (copy / "site" / "fonts" / "source-sans-3-latin-wght-normal.woff2").write_bytes(b"another font")
    assert any(re.fullmatch(r"base\.[0-9a-f]{12}\.css", name) for name in collect() - before)


def test_a_stylesheet_that_names_a_missing_file_is_not_collected(copy):
    (copy / "site" / "base.css").write_text('body { background: url("missing.png"); }')
    with pytest.raises((CommandError, ValueError), match=r"missing\.png"):
        collect()


def test_a_web_server_starts_with_the_files_of_its_version(copy):
    collect()
    checks.stop_if_uncollected()


def test_a_web_server_without_collected_files_does_not_start_and_says_what_to_do(copy):
    with pytest.raises(SystemExit, match=r"staticfiles\.json is missing .* python manage\.py collectstatic"):
        checks.stop_if_uncollected()


def test_a_web_server_with_the_files_of_another_version_does_not_start(copy):
    (copy / "site" / "site.js").write_text("// the version before")
    collect()
    with pytest.raises(SystemExit, match=r"site/site\.js is missing or differs"):
        checks.stop_if_uncollected()


def test_a_server_that_collects_nothing_has_nothing_to_check(settings):
    settings.STATIC_ROOT = None
    checks.stop_if_uncollected()


def test_what_others_wrote_says_its_version_and_its_licence():
    folder = checks.OWN_STATIC_FILES / "site" / "vendor"
    words = (folder / "README.md").read_text()
    scripts = sorted(folder.glob("*.js"))
    assert scripts
    for script in scripts:
        name, _, version = script.name.removesuffix(".min.js").rpartition("-")
        digest = f"sha256:{hashlib.sha256(script.read_bytes()).hexdigest()}"
        assert f'version:"{version}"' in script.read_text() or digest in words
        assert f"**{name} {version}**" in words
        assert "Permission " in (folder / f"{name}-LICENSE.txt").read_text()
    assert "SIL OPEN FONT LICENSE" in (folder.parent / "fonts" / "OFL.txt").read_text()
