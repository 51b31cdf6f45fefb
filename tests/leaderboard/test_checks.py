"""What a production start refuses."""

import pytest

from leaderboard import checks

GOOD_SECRET = "uR7f-NotADefault_0q9w8e7r6t5y4u3i2o1pZxCvBnM_asdf"


@pytest.fixture
def production(settings, store):
    settings.IS_HTTPS, settings.DEBUG, settings.SECRET_KEY = True, False, GOOD_SECRET
    settings.EMAIL_TRANSPORT, settings.EMAIL_HOST = "django.core.mail.backends.smtp.EmailBackend", "mail.example.org"
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


@pytest.mark.parametrize("kind", ["console", "dummy", "filebased", "locmem"])
def test_it_refuses_mail_that_goes_nowhere(production, kind):
    production.EMAIL_TRANSPORT = f"django.core.mail.backends.{kind}.EmailBackend"
    with pytest.raises(SystemExit, match="No mail can be sent"):
        checks.stop_if_unsafe()


def test_it_refuses_to_be_without_a_mail_server(production):
    production.EMAIL_HOST = ""
    with pytest.raises(SystemExit, match="Set EMAIL_HOST"):
        checks.stop_if_unsafe()


def test_a_mailer_of_another_package_knows_its_server_by_itself(production):
    production.EMAIL_TRANSPORT, production.EMAIL_HOST = "anymail.backends.mailgun.EmailBackend", ""
    checks.stop_if_unsafe()


def test_it_names_all_reasons_at_once(production, store):
    production.DEBUG, production.SECRET_KEY, production.EMAIL_HOST = True, "short", ""
    assert len(list(checks.unsafe())) == 3


def test_a_laptop_may_do_as_it_likes(settings):
    settings.IS_HTTPS, settings.DEBUG, settings.SECRET_KEY = False, True, "short"
    checks.stop_if_unsafe()
