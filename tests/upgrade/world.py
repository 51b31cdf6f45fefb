"""The present server, as real processes, on the upgraded database; its people and its GPU hosts."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
import requests

from tests.upgrade.browser import Browser, email_of
from tests.upgrade.release import Processes, wait_for
from tests.upgrade.site import PATIENCE_SECONDS, Site
from tests.upgrade.upgraded import Upgraded, told, using

SETTINGS = {"LEASE_SECONDS": "12", "DOORBELL_SECONDS": "2", "SWEEP_SECONDS": "1"}


@dataclass
class World(Site):
    """The present server on an upgraded database."""

    upgraded: Upgraded
    old: Processes  # of the recorded code
    blocker: Any
    ends: dict[str, dict[str, Any]] = field(default_factory=dict)  # everything about each recorded submission
    refusal: Mapping[str, Any] = field(default_factory=dict)  # what a host heard that came back too late

    def go_on_until_the_end(self) -> None:
        """Start everything as after an upgrade, and wait until nothing that was recorded is under way.

        First with a host that was upgraded as well; then with one that was not. (One after the other: two workers with
        one instance must not share an engine.)
        """
        self._send_what_was_in_the_broker()
        server, roles = self.server, self.upgraded.recording.roles
        server.start_web()
        server.start_worker("control", "scoring")
        server.start_sweeper()
        upgraded_host, old_host = self.gpu_host("gpu-3"), self.gpu_host("gpu-1", self.old)
        upgraded_host.start("cpu:2")
        server.wait_until_ready("web")
        self._let_hosts_come_back()
        self.organise("submission", "go_on", roles["stuck"])
        self.reaches(roles["received"], "rejected")
        for role in self.upgraded.recording.manifest["same_as"]:
            if role != "done by gpu-1":
                self.reaches(roles[role], "scored")
        self.organise("host", "drain", self.host_number("gpu-3"))  # else it is counted on until its lease ends
        server.processes.stop("gpu-3")
        old_host.start()
        self.reaches(roles["done by gpu-1"], "scored")
        with using(self.upgraded.database, self.blocker):
            self.ends = {role: told("submission", str(number)) for role, number in roles.items()}

    def _send_what_was_in_the_broker(self) -> None:
        with redis.Redis.from_url(self.server.environment["REDIS_URL"]) as broker:
            for queue, waiting in self.upgraded.messages.items():
                for message in waiting:
                    broker.rpush(f"{self.server.instance}:{queue}", message)

    # --- GPU hosts ---------------------------------------------------------------------------------------------------

    def _let_hosts_come_back(self) -> None:
        """Two that had a lease and still have it; and one that was silent for too long."""
        host, orders = self.api_host("gpu-2"), self.upgraded.recording.manifest["orders"]
        image = tuple(orders["image"])
        host.hello([])
        for role in ("canary", "running"):
            host.beat(orders[role], done=1)
            host.deliver(orders[role], image)
        lease = "SELECT state = 'leased' AND fence = %s FROM leaderboard_batch WHERE id = %s"
        silent = orders["silent"]["fence"], orders["silent"]["batch"]
        wait_for(lambda: not self.upgraded.database.value(lease, *silent), "a lease to end", PATIENCE_SECONDS)
        with pytest.raises(requests.HTTPError) as refused:
            host.beat(orders["silent"], done=1)
        self.refusal = refused.value.response.json()

    def host_number(self, name: str) -> int:
        """The key of a host's row."""
        return int(self.upgraded.database.value("SELECT id FROM leaderboard_host WHERE name = %s", name))

    # --- people ------------------------------------------------------------------------------------------------------

    def browser(self, who: str) -> Browser:
        """Somebody's browser, signed in; people of before addresses had to be confirmed do that first."""
        is_new = who not in self.browsers
        browser = super().browser(who)
        if is_new and browser.is_told("/team/", "is not confirmed yet"):
            browser.send("/team/", {}, at="/account/confirm-email/again/")
            wait_for(lambda: bool(self.mails.links(email_of(who))), "a message", PATIENCE_SECONDS)
            browser.send(self.mails.link(email_of(who)), {})
        return browser

    def submit(self, who: str, phase: str, image: bytes) -> int:
        """Somebody hands in an image; the submission's number."""
        return self.browser(who).submit(phase, "Later", image)

    def organise(self, kind: str, action: str, number: int) -> None:
        """An organiser chooses an action for one row of a list of the admin."""
        fields = {"action": action, "_selected_action": str(number)}
        self.browser("Olga").send(f"/admin/leaderboard/{kind}/", fields)

    # --- what becomes of submissions ---------------------------------------------------------------------------------

    def told(self, number: int) -> dict[str, Any]:
        """Everything about a submission, as an organiser reads it."""
        with using(self.upgraded.database, self.blocker):
            found: dict[str, Any] = told("submission", str(number))
        return found

    @contextmanager
    def lost_image(self, number: int) -> Iterator[None]:
        """Meanwhile the store does not have the submission's image."""
        query = """SELECT image.archive FROM leaderboard_algorithmimage image
                   JOIN leaderboard_submission one ON one.image_id = image.id WHERE one.id = %s"""
        digest = self.upgraded.database.value(query, number).removeprefix("sha256:")
        path = self.upgraded.store / "images" / digest[:2] / digest[2:]
        path.rename(path.with_suffix(".lost"))
        try:
            yield
        finally:
            path.with_suffix(".lost").rename(path)
