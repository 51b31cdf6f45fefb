"""The line to the server, where a whole batch would be too coarse a test."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from containers.host.client import Interrupted, NotOnServer, ServerClient, ServerRefused
from tests.containers.fakeserver import TOKEN, FakeServer

CONTENT = bytes(range(256)) * 100


@pytest.fixture
def client(server: FakeServer) -> ServerClient:
    return ServerClient(server.url, TOKEN)


def test_a_download_goes_on_where_it_broke_off(server: FakeServer, client: ServerClient, tmp_path: Path) -> None:
    digest, target = server.put_blob(CONTENT), tmp_path / "partial"
    target.write_bytes(CONTENT[:1000])
    client.download(digest, len(CONTENT), target)
    assert target.read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


def test_a_file_that_is_longer_than_announced_is_refused(
    server: FakeServer, client: ServerClient, tmp_path: Path
) -> None:
    digest = server.put_blob(CONTENT)
    with pytest.raises(ServerRefused, match="longer"):
        client.download(digest, len(CONTENT) - 1, tmp_path / "file")
    assert (tmp_path / "file").stat().st_size < len(CONTENT)


def test_a_file_that_is_not_there_is_not_asked_for_again(
    server: FakeServer, client: ServerClient, tmp_path: Path
) -> None:
    with pytest.raises(NotOnServer):
        client.download("sha256:" + "0" * 64, 1, tmp_path / "file")
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_is_not_followed_with_the_token(server: FakeServer, client: ServerClient, status: int) -> None:
    server.fail("/claim", status)
    with pytest.raises(ServerRefused, match=str(status)):
        client.claim("batch", key="key", slot="cpu0")


def test_waiting_for_a_server_ends_when_nobody_wants_the_answer(server: FakeServer) -> None:
    server.fail("/claim", 503, times=1000)
    begun = time.monotonic()
    interrupted: Callable[[], bool] = lambda: time.monotonic() > begun + 0.5  # noqa: E731
    with pytest.raises(Interrupted):
        ServerClient(server.url, TOKEN, interrupted=interrupted).claim("batch", key="key", slot="cpu0")
    assert time.monotonic() - begun < 2
