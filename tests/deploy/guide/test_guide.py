"""The guide's sections, carried out one after the other on the same machines."""

from __future__ import annotations

import re
from functools import partial

import yaml

from tests.deploy.conftest import DEPLOY, eventually
from tests.deploy.guide import text
from tests.deploy.guide.conftest import COMPOSE, NEW_HOST, PASSWORD, GpuHost, Server

KNOWN = "The server knows this host."
PATIENCE_SECONDS = 60
SIGN_IN = """
form = {"login": "olga@example.org", "password": PASSWORD, "csrfmiddlewaretoken": token(ask("GET", "/account/login/"))}
answer = ask("POST", "/account/login/", data=form, headers={"Referer": "https://challenge.example.org/account/login/"})
print(answer.status_code, answer.url)
answer = ask("GET", "/organisers/")
print(answer.status_code, answer.url)
"""
# In place of another machine: nothing of the server's is left but its settings. The tables are there as after the
# installation's `manage migrate`, or `restore` would make them now, as long as that takes.
NOTHING_LEFT = """
rm -rf /var/lib/rexg/store
cd / && runuser -u postgres -- dropdb rexg && runuser -u postgres -- createdb --owner=rexg rexg
runuser -u postgres -- psql --quiet --set=ON_ERROR_STOP=1 rexg </srv/migrated.sql >/dev/null
"""
NEXT_VERSION = """
cd /srv/origin && sed -i 's|<footer .*>|&the next version|' templates/base.html
git -c user.name=us -c user.email=us@example.org commit -qam two
"""


def is_ready(host: GpuHost) -> bool:
    """Whether the worker has what the guide says to look for, and listens to the broker."""
    return KNOWN in host.log() and " ready." in host.log()


def test_compose_is_asked_for_files_services_and_commands_that_there_are(server: Server) -> None:
    """Debian 12 has no compose: what its commands do is not tried, all others of the sections are."""
    server.machine.sh("ln -s /usr/local/sbin/sudo /usr/local/sbin/docker && mkdir /opt/rexg/deploy/tls")
    server.machine.sh("cd /opt/rexg/deploy && cp /root/*.pem tls && cp worker.env.example worker.env")
    commands = text.commands(COMPOSE) + text.commands(NEW_HOST)[:-2] + text.commands("Backups")[:1]
    server.type("shopt -s expand_aliases", *commands, answers={"deploy/server.env changed? ": lambda _: "yes"})
    modes = server.machine.sh("cd /opt/rexg/deploy && stat -c '%a %g' tls/privkey.pem server.env")
    assert modes == "640 10001\n600 0\n"
    assert server.machine.sh("stat -c '%a %u %g' /var/lib/rexg-worker") == "700 10001 10001\n"


def test_the_site_answers_over_tls_after_the_installation(server: Server) -> None:
    assert eventually(server.is_well, PATIENCE_SECONDS), server.machine.logs()
    assert server.query("SELECT count(*) FROM leaderboard_case") == "3"


def test_the_first_owner_signs_in_without_a_mail_and_is_led_to_a_second_factor(server: Server) -> None:
    assert eventually(server.is_well, PATIENCE_SECONDS), server.machine.logs()
    led = "200 https://challenge.example.org/account/2fa/\n"
    assert server.ask(f"PASSWORD = {PASSWORD!r}{SIGN_IN}") == led * 2


def test_two_hosts_with_an_engine_each_are_known_to_the_server_and_ready(server: Server, hosts: list[GpuHost]) -> None:
    for host in hosts:
        assert eventually(partial(is_ready, host), PATIENCE_SECONDS), host.log()
    offering = "SELECT string_agg(name, ' ' ORDER BY name) FROM leaderboard_host WHERE slots <> '[]'"
    assert server.query(offering) == "gpu1 gpu2"


def test_an_upgrade_shows_the_new_version_and_keeps_the_hosts(server: Server, hosts: list[GpuHost]) -> None:
    server.machine.sh(NEXT_VERSION)
    server.type(*text.said_in_point("Upgrades", "systemd:"))
    shows = "print('the next version' in ask('GET', '/').text)"
    assert eventually(lambda: server.ask(shows) == "True\n", PATIENCE_SECONDS), server.machine.logs()
    one = hosts[0]
    one.machine.type([text.said("Upgrades", "systemctl restart rexg-worker")])
    assert eventually(lambda: one.log().count(KNOWN) == 2, PATIENCE_SECONDS), one.log()


def test_a_backup_comes_to_life_where_nothing_was_left_and_the_hosts_come_back(
    server: Server, hosts: list[GpuHost]
) -> None:
    (backup,) = [command for command in text.commands("Backups") if command.startswith("manage ")]
    server.machine.sh("install -d -m 0700 -o rexg /backup/rexg")
    server.type(backup)
    server.type("systemctl stop rexg.target")
    server.machine.sh(NOTHING_LEFT)
    folder = backup.split()[2]
    assert text.said("Backups", "restore /") == "restore /backup", "in place of the folder inside of a container"
    server.type(f"manage restore {folder}")
    server.type("systemctl start rexg-web@pages rexg-web@hosts")  # who answers hosts; the others started above
    seen = "SELECT count(*) FROM leaderboard_host WHERE seen_at > now() - interval '5 s'"
    assert eventually(lambda: server.query(seen) == "2", PATIENCE_SECONDS), server.machine.logs()
    assert server.query("SELECT count(*) FROM leaderboard_case") == "3"


def test_the_database_has_room_for_as_many_connections_as_the_guide_says(server: Server) -> None:
    said = re.search(r"`max_connections` is (\d+)", text.sections()["Connections to the database"])
    assert said
    assert server.query("SHOW max_connections") == said[1]


def test_every_service_whose_log_the_guide_names_is_one_of_composes() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    named = text.said("Logs", "rexg logs").partition("[")[2].rstrip("]").split("|")
    assert sorted(named) == sorted(services)
