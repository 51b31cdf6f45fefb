"""The guide's sections, carried out."""

from __future__ import annotations

from tests.deploy.conftest import eventually
from tests.deploy.guide.conftest import GpuHost, Server


def test_the_site_answers_over_tls_after_the_installation(server: Server) -> None:
    print(server.said)
    assert eventually(server.is_well), server.machine.logs()


def test_two_hosts_with_an_engine_each_are_known_to_the_server_and_ready(server: Server, hosts: list[GpuHost]) -> None:
    for host in hosts:
        assert eventually(lambda host=host: "The server knows this host." in host.log() and " ready." in host.log()), host.log()
    print(hosts[0].log())
