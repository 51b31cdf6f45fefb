"""What a production start refuses, in real processes; and what follows from the address's scheme."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.conftest import ROOT

SECRET = "Kq3vT9wYb2LxR7mZp5NcH8sGd4JfW6aE1uXoV0tQyB"
UNSAFE = [
    ({"SECRET_KEY": "change-me"}, 0o700, "SECRET_KEY is a default or too short."),
    ({"SECRET_KEY": SECRET[:39]}, 0o700, "SECRET_KEY is a default or too short."),
    ({"DEBUG": "1"}, 0o700, "DEBUG is on."),
    ({"EMAIL_HOST": ""}, 0o700, "No mail can be sent"),
    ({"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}, 0o700, "No mail can be sent"),
    ({}, 0o755, "is open to every user of this machine. Close it: chmod o-rwx"),
]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A safe production server's."""
    (tmp_path / "cases").mkdir(mode=0o700)
    unset = (
        "DEBUG",
        "EMAIL_BACKEND",
        "SHOWN_MAILS_DIR",
        "SITE_URL",
        "EXTRA_HOSTS",
        "GUNICORN_CMD_ARGS",
        "PYTEST_CURRENT_TEST",
    )
    inherited = {name: value for name, value in os.environ.items() if name not in unset}
    return {
        **inherited,
        "SITE_URL": "https://challenge.example.org",
        "SECRET_KEY": SECRET,
        "EMAIL_HOST": "mail.example.org",
        "STORE_DIR": str(tmp_path / "cases"),
        "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
    }


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def gunicorn(environment: dict[str, str], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    shipped = ("-m", "gunicorn", "--config", "deploy/gunicorn_settings.py")
    return run(environment, *shipped, "--bind", f"unix:{tmp_path}/web.sock")


def settings(environment: dict[str, str], *names: str) -> dict[str, object]:
    code = f"import json, leaderboard.settings as s; print(json.dumps({{n: getattr(s, n) for n in {names}}}))"
    done = run(environment, "-c", code)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


# `manage.py check` in a process for each of several environments; what is not ours is loaded once for all of them.
EACH = """
import json, os, runpy, sys
import celery, django.core.management, numpy, psycopg
codes = []
for number, (change, mode) in enumerate(json.loads(sys.argv.pop())):
    os.chmod(os.environ["STORE_DIR"], mode)
    if not (child := os.fork()):
        os.environ.update(change)
        os.dup2(os.open(f"{sys.argv.pop()}/{number}", os.O_WRONLY | os.O_CREAT), 2)
        sys.argv = ["manage.py", "check"]
        sys.path.insert(0, "")
        runpy.run_path("manage.py", run_name="__main__")
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(codes))
"""


def test_every_process_of_an_unsafe_server_refuses_and_says_why(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "said").mkdir()
    cases = json.dumps([[{}, 0o700], *([change, mode] for change, mode, _ in UNSAFE)])
    done = run(environment, "-c", EACH, str(tmp_path / "said"), cases)
    safe, *said = [(tmp_path / "said" / str(number)).read_text() for number in range(len(UNSAFE) + 1)]
    assert (done.returncode, safe) == (0, ""), done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [0, *[1] * len(UNSAFE)]
    for words, (_change, _mode, sentence) in zip(said, UNSAFE, strict=True):
        assert words.startswith("Refusing to start:\n- ")
        assert sentence in words


def test_gunicorn_ends_with_all_reasons_instead_of_trying_for_ever(environment: dict[str, str], tmp_path: Path) -> None:
    Path(environment["STORE_DIR"]).chmod(0o755)
    done = gunicorn(environment | {"SECRET_KEY": "change-me", "DEBUG": "1", "EMAIL_HOST": ""}, tmp_path)
    assert done.returncode == 1
    for _change, _mode, sentence in UNSAFE:
        assert sentence in done.stderr


def test_the_workers_of_gunicorn_refuse_too_whatever_started_them(environment: dict[str, str]) -> None:
    done = run(environment | {"SECRET_KEY": "change-me"}, "-c", "import leaderboard.wsgi")
    assert done.returncode == 1
    assert "SECRET_KEY is a default or too short." in done.stderr


def test_gunicorn_ends_when_the_static_files_were_not_collected(environment: dict[str, str], tmp_path: Path) -> None:
    done = gunicorn(environment | {"STATIC_ROOT": str(tmp_path / "static")}, tmp_path)
    assert done.returncode == 1
    assert "staticfiles.json is missing or differs" in done.stderr
    assert "python manage.py collectstatic" in done.stderr


def test_a_worker_of_gunicorn_refuses_too_to_link_files_that_are_not_there(
    environment: dict[str, str], tmp_path: Path
) -> None:
    done = run(environment | {"STATIC_ROOT": str(tmp_path / "static")}, "-c", "import leaderboard.wsgi")
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "Refusing to start:")


def test_only_web_asks_for_static_files(environment: dict[str, str], tmp_path: Path) -> None:
    code = "import django; django.setup(); from django.core.management import call_command as call; call('check'); "
    code += "call('collectstatic', interactive=False, verbosity=0); call('check', deploy=True, tags=['web'])"
    done = run(environment | {"STATIC_ROOT": str(tmp_path / "static")}, "-c", code)
    assert done.returncode == 0, done.stderr


def test_an_installation_that_collects_nothing_serves_files_by_their_plain_names(environment: dict[str, str]) -> None:
    """As it was before there were hashed names: an old unit file goes on with new code."""
    del environment["STATIC_ROOT"]
    assert settings(environment, "STATIC_ROOT", "WHITENOISE_USE_FINDERS") == {
        "STATIC_ROOT": None,
        "WHITENOISE_USE_FINDERS": True,
    }


def test_a_value_that_cannot_be_right_stops_the_start_with_its_name(
    environment: dict[str, str], tmp_path: Path
) -> None:
    done = gunicorn(environment | {"LEASE_SECONDS": "a minute"}, tmp_path)
    assert done.returncode == 1
    assert "LEASE_SECONDS must be a whole number" in done.stderr


def test_an_https_address_brings_secure_cookies_hsts_and_the_redirect(environment: dict[str, str]) -> None:
    names = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS")
    assert settings(environment, *names) == dict(zip(names, (True, True, True, 31_536_000), strict=True))


def test_an_http_address_brings_none_of_them_and_no_demands(environment: dict[str, str]) -> None:
    """A browser that once saw HSTS for a laptop's address would not come back."""
    environment |= {"SITE_URL": "http://127.0.0.1:8000", "SECRET_KEY": "x"}
    names = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS")
    assert settings(environment, *names, "SECURE_PROXY_SSL_HEADER") == {
        **dict(zip(names, (False, False, False, 0), strict=True)),
        "SECURE_PROXY_SSL_HEADER": None,
    }
    assert run(environment, "manage.py", "check").returncode == 0


def test_only_what_scores_or_ranks_or_reads_images_loads_the_libraries_for_it(environment: dict[str, str]) -> None:
    """They are a third of a start's time, and every command and web process would pay for them."""
    code = "import sys, django; django.setup(); import leaderboard.urls, leaderboard.celery, evaluation; "
    code += "leaderboard.celery.app.loader.import_default_modules(); loaded = sys.modules.keys(); "
    code += "print({'cc3d', 'scipy', 'SimpleITK'} & loaded, evaluation.score_case.__module__, 'cc3d' in loaded)"
    done = run(environment, "-c", code)
    assert done.stdout == "set() evaluation.metrics.scoring True\n", done.stderr


def test_the_older_name_of_a_setting_is_still_read(environment: dict[str, str]) -> None:
    ask = "from django.conf import settings; print(settings.NOTIFY_AGAIN_SECONDS)"
    assert run(environment | {"DOORBELL_SECONDS": "7"}, "-c", ask).stdout.strip() == "7"
    assert run(environment | {"DOORBELL_SECONDS": "7", "NOTIFY_AGAIN_SECONDS": "8"}, "-c", ask).stdout.strip() == "8"


def test_the_page_with_everybodys_messages_is_for_a_machine_of_ones_own(
    environment: dict[str, str], tmp_path: Path
) -> None:
    shown = environment | {"SHOWN_MAILS_DIR": str(tmp_path)}
    ask = "import django; django.setup(); from django.urls import reverse; print(reverse('demo_mails'))"
    done = run(shown, "-c", ask)
    assert (done.returncode, done.stdout) == (1, "")
    assert "SHOWN_MAILS_DIR shows everybody's messages" in done.stderr
    assert run(shown | {"SITE_URL": "http://challenge.example.org"}, "-c", ask).returncode == 1
    assert "NoReverseMatch" in run(environment, "-c", ask).stderr
    assert run(shown | {"SITE_URL": "http://127.0.0.1:8000"}, "-c", ask).stdout == "/demo/mails/\n"
