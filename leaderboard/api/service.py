"""How the service is: whether it starts runs, or pauses for maintenance."""

from typing import Any

from django.http import HttpRequest
from ninja import Router

from leaderboard.api.operations import operation
from leaderboard.api.schemas.service import StatusOut
from leaderboard.challenge import maintenance
from leaderboard.web.context import instant_of

router = Router(tags=["Service"])


@operation(router, "GET", "/status", scope="", answers=StatusOut)
def get_status(request: HttpRequest) -> dict[str, Any]:
    """Whether runs start now, and the pause for maintenance that lasts or comes next."""
    at = instant_of(request)
    pause = maintenance.next_pause(at)
    return {"at": at, "starts_runs": not (pause and pause.is_on(at)), "pause": pause}
