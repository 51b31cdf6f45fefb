"""What every test may rely on: the real services that `./dev test` started, and a store of its own."""

from pathlib import Path

import pytest

from leaderboard.core import blobs


@pytest.fixture(autouse=True)
def store(settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private folder for every kind of file."""
    settings.STORE_DIR = tmp_path_factory.mktemp("store")
    settings.FILE_UPLOAD_TEMP_DIR = settings.STORE_DIR / "incoming"
    blobs.prepare()
    return settings.STORE_DIR


@pytest.fixture(autouse=True)
def quick_passwords(settings) -> None:
    """Hashing a password well takes long on purpose; tests make dozens of people."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def quick_static_files(settings) -> None:
    """A server lists its static files when it starts; here each test's client would, before its first request."""
    settings.WHITENOISE_AUTOREFRESH = True
