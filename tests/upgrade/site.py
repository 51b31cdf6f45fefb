"""A server and who is around it: people at their browsers, and GPU hosts, with or without an engine."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.mail_server import MailServer
from tests.upgrade.apihost import ApiHost
from tests.upgrade.browser import Browser
from tests.upgrade.release import GpuHost, Processes, Server, wait_for

PATIENCE_SECONDS = 90.0
STATE = """SELECT coalesce(run.state, one.state) FROM leaderboard_submission one
           LEFT JOIN leaderboard_run run ON run.submission_id = one.id WHERE one.id = %s"""


@dataclass
class Site:
    """The server. `folder` has hosts/<name>/token and hosts/<name>/state for each of its hosts."""

    server: Server
    folder: Path
    mails: MailServer
    browsers: dict[str, Browser] = field(default_factory=dict, kw_only=True)

    def browser(self, who: str) -> Browser:
        """Somebody's browser, signed in."""
        if who not in self.browsers:
            self.browsers[who] = Browser(self.server.address)
            self.browsers[who].sign_in(who)
        return self.browsers[who]

    def cancel(self, who: str, number: int) -> None:
        """Somebody calls a submission off."""
        self.browser(who).send(f"/runs/{number}/", {}, at=f"/runs/{number}/cancel/")

    def token_file(self, host: str) -> Path:
        """Where the token of a host is."""
        return self.folder / "hosts" / host / "token"

    def api_host(self, name: str) -> ApiHost:
        """A host that does what it is told."""
        return ApiHost(self.server.address, self.token_file(name).read_text().strip())

    def gpu_host(self, name: str, code: Processes | None = None) -> GpuHost:
        """A host that does what a worker does: of the server's release, or of another."""
        file = self.token_file(name)
        return GpuHost(
            code or self.server.processes, self.server, name, file.read_text().strip(), file.with_name("state")
        )

    def state(self, number: int) -> str:
        """The state that matters: of the submission's run, or its own while it has none."""
        return str(self.server.database.value(STATE, number))

    def reaches(self, number: int, *states: str) -> None:
        """Wait until the submission is in one of these states."""
        wait_for(lambda: self.state(number) in states, f"submission {number} to be {states}", PATIENCE_SECONDS)
