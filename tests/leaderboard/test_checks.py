"""What a production start refuses."""

import pytest

from leaderboard import checks

GOOD_SECRET = "uR7f-NotADefault_0q9w8e7r6t5y4u3i2o1pZxCvBnM_asdf"


@pytest.fixture
def production(settings, store):
    settings.IS_HTTPS, settings.DEBUG, settings.SECRET_KEY = True, False, GOOD_SECRET
    store.chmod(0o700)
    return settings


def test_a_proper_production_start_is_let_through(production):
    checks.stop_if_unsafe()


@pytest.mark.parametrize("secret", ["short", "x" * 60, "please-change-me-" * 4])
def test_it_refuses_a_default_secret(production, secret):
    production.SECRET_KEY = secret
    with pytest.raises(SystemExit, match="SECRET_KEY is a default or too short"):
        checks.stop_if_unsafe()


def test_it_refuses_debug_pages(production):
    production.DEBUG = True
    with pytest.raises(SystemExit, match="DEBUG is on"):
        checks.stop_if_unsafe()


def test_it_refuses_a_case_store_that_everybody_can_read(production, store):
    store.chmod(0o755)
    with pytest.raises(SystemExit, match="chmod o-rwx"):
        checks.stop_if_unsafe()


def test_it_names_all_reasons_at_once(production, store):
    production.DEBUG, production.SECRET_KEY = True, "short"
    assert len(list(checks.unsafe())) == 2


def test_a_laptop_may_do_as_it_likes(settings):
    settings.IS_HTTPS, settings.DEBUG, settings.SECRET_KEY = False, True, "short"
    checks.stop_if_unsafe()
