"""One settings file, read from the environment. A bad value stops the start with one clear line.

`./dev` sets everything below for the embedded stack; deploy/server.env.example documents the same names for production.
"""

import os
from email.utils import parseaddr
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import dj_database_url
from kombu import Exchange, Queue

# Names that are still read where the present one is not set.
_RENAMED = {"NOTIFY_AGAIN_SECONDS": "DOORBELL_SECONDS"}

BASE_DIR = Path(__file__).resolve().parent.parent


def _stop(message: str) -> NoReturn:
    raise SystemExit(f"settings: {message}")


def _text(name: str, default: str | None = None) -> str:
    value = os.environ.get(name, default)
    if value is None:
        _stop(f"{name} is not set. ./dev sets it; in production see deploy/server.env.example.")
    return value


def _number(name: str, default: int) -> int:
    value = os.environ.get(name, os.environ.get(_RENAMED.get(name, ""), default))
    try:
        return int(value)
    except ValueError:
        _stop(f"{name} must be a whole number, not {value!r}.")


def _flag(name: str, *, default: bool = False) -> bool:
    value = os.environ.get(name, "1" if default else "0").lower()
    if value not in {"0", "1", "true", "false", "yes", "no"}:
        _stop(f"{name} must be 0 or 1, not {value!r}.")
    return value in {"1", "true", "yes"}


# --- who we are ------------------------------------------------------------------------------------------------------

SITE_URL = _text("SITE_URL", "http://127.0.0.1:8000").rstrip("/")
_site = urlsplit(SITE_URL)
if _site.scheme not in {"http", "https"} or not _site.hostname:
    _stop(f"SITE_URL must look like https://challenge.example.org, not {SITE_URL!r}.")
IS_HTTPS = _site.scheme == "https"
LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}
ALLOWED_HOSTS = [_site.hostname, *(LOOPBACK if _site.hostname in LOOPBACK else ())]
ALLOWED_HOSTS += [name for name in os.environ.get("EXTRA_HOSTS", "").split(",") if name]
CSRF_TRUSTED_ORIGINS = [SITE_URL]

SECRET_KEY = _text("SECRET_KEY")
DEBUG = _flag("DEBUG")
INSTANCE = _text("REX_INSTANCE", "rexg")

# Cookies and redirects follow from the scheme: there is no separate switch to forget.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = IS_HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = IS_HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IS_HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_NAME = "rexg_session"
CSRF_COOKIE_NAME = "rexg_csrf"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "font-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],  # and ORCID's, where one signs in with it (below)
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- applications ----------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "leaderboard",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "leaderboard.web.door.PrivatePages",
    "leaderboard.api.problems.Problems",
    "leaderboard.web.door.TextDoor",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "leaderboard.web.accounts.organisers.SecondFactorOfOrganisers",
    "leaderboard.web.accounts.viewers.ViewersChangeNothing",
]
ROOT_URLCONF = "leaderboard.urls"
WSGI_APPLICATION = "leaderboard.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "leaderboard.web.context.site",
            ],
        },
    }
]
STATIC_URL = "/static/"
# Where `manage.py collectstatic` puts them under hashed names, which browsers keep for ever. Unset, files are served
# from the package under their plain names, which browsers keep for a minute.
STATIC_ROOT = os.environ.get("STATIC_ROOT") or None
_HASHED = "whitenoise.storage.CompressedManifestStaticFilesStorage"
_PLAIN = "django.contrib.staticfiles.storage.StaticFilesStorage"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": _HASHED if STATIC_ROOT else _PLAIN,
        # Public, and collected by another user than the one that serves them; not FILE_UPLOAD_PERMISSIONS.
        "OPTIONS": {"file_permissions_mode": 0o644, "directory_permissions_mode": 0o755},
    },
}
WHITENOISE_USE_FINDERS = DEBUG or not STATIC_ROOT
WHITENOISE_AUTOREFRESH = DEBUG

# --- people ----------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "leaderboard.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "runs"
LOGOUT_REDIRECT_URL = "home"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_SIGNUP_FORM_CLASS = "leaderboard.web.forms.SignupForm"
ACCOUNT_UNIQUE_EMAIL = True
# Nobody is in before the link of a message was opened, so that no answer tells which addresses have an account.
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True  # in the browser that registered; elsewhere one signs in
ACCOUNT_MAX_EMAIL_ADDRESSES = 3
ACCOUNT_ADAPTER = "leaderboard.web.accounts.adapter.Adapter"
ACCOUNT_FORMS = {
    name: f"leaderboard.web.accounts.forms.{form}"
    for name, form in {
        "login": "LoginForm",
        "signup": "SignupForm",
        "change_password": "ChangePasswordForm",
        "reset_password": "ResetPasswordForm",
        "reset_password_from_key": "ResetPasswordKeyForm",
        "set_password": "SetPasswordForm",
    }.items()
}
ACCOUNT_USER_MODEL_USERNAME_FIELD = "username"
ACCOUNT_EMAIL_SUBJECT_PREFIX = "ReXGrounding Challenge: "
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = True
# Ours are in people/sign_in.py and people/mail_limits.py: a delay that grows, by address and account together.
_OURS = ("login", "login_failed", "signup", "reset_password", "confirm_email", "change_password", "reauthenticate")
ACCOUNT_RATE_LIMITS = {
    **dict.fromkeys(_OURS),
    "reset_password_from_key": None,  # nobody guesses a signed link
    "manage_email": "10/m/user,60/d/user",
}
# Whoever finds somebody's browser open adds no address, factor or account of theirs, and takes nothing away.
ACCOUNT_REAUTHENTICATION_REQUIRED = True
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "ReXGrounding Challenge"
MFA_TOTP_TOLERANCE = 1  # a clock may be half a minute off
MFA_ADAPTER = "leaderboard.web.accounts.second_factor.Adapter"
MFA_FORMS = {
    name: f"leaderboard.web.accounts.second_factor.{form}"
    for name, form in {
        "authenticate": "AuthenticateForm",
        "reauthenticate": "ReauthenticateForm",
        "activate_totp": "ActivateTOTPForm",
    }.items()
}
MFA_RATE_LIMITS = {"webauthn_login": "30/m/ip"}  # there is nothing to guess; it spares the table of sessions
# Who has a role sees nothing but their account before they have one.
STAFF_SECOND_FACTOR = _flag("STAFF_SECOND_FACTOR", default=IS_HTTPS)

# Signing in with ORCID, where the challenge is registered there (orcid.org, "Developer tools").
ORCID_CLIENT_ID = _text("ORCID_CLIENT_ID", "")
ORCID_CLIENT_SECRET = _text("ORCID_CLIENT_SECRET", "")
ORCID_URL = _text("ORCID_URL", "https://orcid.org").rstrip("/")
if bool(ORCID_CLIENT_ID) != bool(ORCID_CLIENT_SECRET):
    _stop("ORCID_CLIENT_ID and ORCID_CLIENT_SECRET belong together: set both, or none.")
if ORCID_CLIENT_ID:  # browsers follow a form's answer nowhere else
    _orcid = urlsplit(ORCID_URL)
    CONTENT_SECURITY_POLICY["DIRECTIVES"]["form-action"].append(f"{_orcid.scheme}://{_orcid.netloc}")
SOCIALACCOUNT_ADAPTER = "leaderboard.web.accounts.orcid.Adapter"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False  # an address that ORCID names opens no account here
SOCIALACCOUNT_STORE_TOKENS = False
ACCOUNT_DEFAULT_HTTP_PROTOCOL = _site.scheme
ALLAUTH_TRUSTED_PROXY_COUNT = _number("TRUSTED_PROXIES", 1 if IS_HTTPS else 0)  # nginx says who calls
TEAM_MOST_MEMBERS = _number("TEAM_MOST_MEMBERS", 20)
if TEAM_MOST_MEMBERS < 1:
    _stop("TEAM_MOST_MEMBERS must be 1 or more: who founds a team is in it.")
API_REQUESTS_PER_MINUTE = _number("API_REQUESTS_PER_MINUTE", 120)  # of one personal token
RULES_VERSION = "2026-07"  # accepted by each person before a first submission; a new version asks again

EMAIL_HOST = _text("EMAIL_HOST", "")
# Without a mail server messages are written to the log, which a public server refuses (checks.py).
_MAILER = "smtp" if EMAIL_HOST else "console"
EMAIL_BACKEND = "leaderboard.core.outbox.EmailBackend"  # writes down what is to be sent, within the transaction
EMAIL_TRANSPORT = _text("EMAIL_BACKEND", f"django.core.mail.backends.{_MAILER}.EmailBackend")  # sends it, later
EMAIL_PORT = _number("EMAIL_PORT", 25)
EMAIL_HOST_USER = _text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = _text("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = _flag("EMAIL_USE_TLS")
_sender = _text("EMAIL_FROM", f"challenge@{_site.hostname}")
DEFAULT_FROM_EMAIL = _sender if "<" in _sender else f"ReXGrounding Challenge <{_sender}>"
CONTACT_EMAIL = _text("CONTACT_EMAIL", parseaddr(_sender)[1])
CODE_URL = _text("CODE_URL", "")  # where this server's code can be read, for teams
DATA_URL = _text("DATA_URL", "https://huggingface.co/datasets/rajpurkarlab/ReXGroundingCT")  # the training data
DATA_KEY_SECONDS = _number("DATA_KEY_SECONDS", 14 * 24 * 3600)  # how long a script goes on downloading for a person
# Who is told when something is wrong with the server; nobody named: every organiser (a user with staff status).
ADMINS = [(address.strip(), address.strip()) for address in _text("ADMIN_EMAILS", "").split(",") if address.strip()]
EMAIL_TIMEOUT = 60  # no page waits for it, and who hangs up on a server that is slow to say yes sends twice
# The folder from which a page shows all messages to everybody: the mail server of ./dev, which delivers nowhere.
SHOWN_MAILS_DIR = _text("SHOWN_MAILS_DIR", "")
for _name, _url in (("CODE_URL", CODE_URL), ("DATA_URL", DATA_URL)):
    if _url and urlsplit(_url).scheme not in {"http", "https"}:
        _stop(f"{_name} must be an address that begins with https://, not {_url!r}.")
if SHOWN_MAILS_DIR and _site.hostname not in LOOPBACK:
    _stop(
        "SHOWN_MAILS_DIR shows everybody's messages, and the links in them: only where SITE_URL is a loopback address."
    )
EMAIL_SUBJECT_PREFIX = "[ReXGrounding server] "

# --- PostgreSQL, the broker, files -----------------------------------------------------------------------------------

DATABASES = {"default": dict(dj_database_url.parse(_text("DATABASE_URL")))}
if "postgresql" not in str(DATABASES["default"]["ENGINE"]):
    _stop("DATABASE_URL must name a PostgreSQL database (postgres://user:password@host/name).")
# Connections of one process, by its role (deploy/gunicorn_settings.py). A thread has one while it asks, and gives it
# back before it waits for somebody slow. A process for pages has as many threads (12 at most); of the hundreds that
# receive uploads, and of those that hear hosts, few ask at once. deploy/README.md has the sum.
CONNECTIONS = {"uploads": 24, "hosts": 16, "streams": 4}
CONNECTIONS_ELSEWHERE = 12
DATABASES["default"]["OPTIONS"] = {
    "pool": {
        "min_size": 0,
        "max_size": CONNECTIONS.get(os.environ.get("WEB_ROLE", ""), CONNECTIONS_ELSEWHERE),
        # Who waits longer is told to come again. The pool's own pauses between its tries would double up to minutes,
        # and last on when a database that was away is back.
        "timeout": 5,
        "reconnect_timeout": 5,
        "max_idle": 60,
    }
}
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

REDIS_URL = _text("REDIS_URL")
CACHES = {
    "default": {
        "BACKEND": "leaderboard.core.cache.BrokerCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": f"{INSTANCE}:cache",
        "OPTIONS": {"socket_connect_timeout": 2, "socket_timeout": 2},
    }
}

STORE_DIR = Path(_text("STORE_DIR"))
FILE_UPLOAD_TEMP_DIR = STORE_DIR / "incoming"
# Copies of what may be downloaded, which nginx hands out: nothing else lies there. Unset: a folder of the store's.
PUBLIC_DIR = os.environ.get("PUBLIC_DIR") or None
# Only the submission form receives files on the disk, from who may submit (leaderboard/web/submissions.py).
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
FILE_UPLOAD_MAX_MEMORY_SIZE = 1 << 20
FILE_UPLOAD_PERMISSIONS = 0o600
DATA_UPLOAD_MAX_MEMORY_SIZE = 1 << 20

# --- the journey -----------------------------------------------------------------------------------------------------

LEASE_SECONDS = _number("LEASE_SECONDS", 60)  # a host that is silent for so long has lost its batch
NOTIFY_AGAIN_SECONDS = _number("NOTIFY_AGAIN_SECONDS", 10)  # a message that nobody followed is sent again
SWEEP_SECONDS = _number("SWEEP_SECONDS", 2)
MAX_FAULTS = _number("MAX_FAULTS", 8)  # our faults in a row before organisers must look
FREE_BYTES = _number("FREE_BYTES", 5_000_000_000)  # free space on the store's disk below which uploads are refused
UPLOADS_PER_PERSON = _number("UPLOADS_PER_PERSON", 2)  # at the same time, as the next two
UPLOADS_PER_TEAM = _number("UPLOADS_PER_TEAM", 4)
UPLOADS_AT_ONCE = _number("UPLOADS_AT_ONCE", 240)  # each occupies a thread of the uploads' process
STREAMS_PER_PERSON = _number("STREAMS_PER_PERSON", 8)  # runs that one person follows live at the same time
STREAMS_AT_ONCE = _number("STREAMS_AT_ONCE", 1000)  # of everybody, in the one process that has them
UPLOAD_SILENT_SECONDS = _number("UPLOAD_SILENT_SECONDS", 30)  # without a byte, after which an upload is ended
UPLOAD_PACE_SECONDS = _number("UPLOAD_PACE_SECONDS", 60)  # over which the next one is measured
UPLOAD_LEAST_RATE = _number("UPLOAD_LEAST_RATE", 16384)  # bytes a second
UPLOAD_KEEP_SECONDS = _number("UPLOAD_KEEP_SECONDS", 72 * 3600)  # without a byte, or without being handed in
SCORING_MEMORY_BYTES = _number("SCORING_MEMORY_BYTES", 2 << 30)
SCORING_CASE_SECONDS = _number("SCORING_CASE_SECONDS", 120)  # of processor time
# Of processor time, for the look at the masks of a run on public cases: each question about a case, all about a run.
HINTS_CASE_SECONDS = _number("HINTS_CASE_SECONDS", 20)
HINTS_RUN_SECONDS = _number("HINTS_RUN_SECONDS", 120)

QUEUES = ("control", "scoring", "sandbox")
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": f"{INSTANCE}:",
    "visibility_timeout": 3600,
    # A broker that does not answer must not hold a request or the sweeper: a message that is lost is sent again.
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.2,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# No exchanges of their own: a binding would be lost when the broker is flushed, and every later message with it.
CELERY_TASK_QUEUES = [Queue(name, Exchange("", type="direct"), routing_key=name) for name in QUEUES]
CELERY_TASK_DEFAULT_QUEUE = "control"
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"

# --- watching --------------------------------------------------------------------------------------------------------

METRICS_TOKEN = _text("METRICS_TOKEN", "")  # for Prometheus; without one /metrics is only for signed-in organisers
ALARM_SECONDS = _number("ALARM_SECONDS", 300)  # organisers are told of what fails for so long

# --- the rest --------------------------------------------------------------------------------------------------------

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "leaderboard.core.logs.OneRecordFormatter",
            "format": "{asctime} {levelname:7} {name}: {message}",
            "style": "{",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("LOG_LEVEL", "INFO")},
    "loggers": {
        "django": {"handlers": []},  # not Django's own: it mails each error, with what the request held, to ADMINS
        "django.request": {"level": "ERROR"},
        # Whoever likes sends a Host that is not ours, and is answered so: each would fill a page of the log.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
