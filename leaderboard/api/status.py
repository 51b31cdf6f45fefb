"""How the service is: whether it starts runs, or is disturbed; and what stands on every page of the site."""

from typing import Any

from django.http import HttpRequest
from ninja import Router

from leaderboard.api.operations import operation
from leaderboard.api.schemas.status import StatusOut
from leaderboard.challenge import maintenance
from leaderboard.web.context import frame_of, instant_of

router = Router(tags=["Challenge"])


@operation(router, "GET", "/status", scope="", answers=StatusOut)
def get_status(request: HttpRequest) -> dict[str, Any]:
    """Whether runs start now, whether the service is disturbed, and what is said of it on every page."""
    lines, at = frame_of(request).lines, instant_of(request)
    pause = maintenance.next_pause(at)
    return {
        "at": at,
        "starts_runs": not (pause and pause.is_on(at)),
        "pause": pause,
        "is_disturbed": any(line.is_disturbance for line in lines),
        "lines": [{**line._asdict(), "is_disturbance": line.is_disturbance} for line in lines],
    }
