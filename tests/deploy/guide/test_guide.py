"""The guide's sections, carried out."""

from __future__ import annotations

from tests.deploy.conftest import eventually
from tests.deploy.guide.conftest import Server


def test_the_site_answers_over_tls_after_the_installation(server: Server) -> None:
    print(server.said)
    assert eventually(server.is_well), server.machine.logs()
