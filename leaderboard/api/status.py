"""What stands on every page of the site: announcements, and whether the service is disturbed."""

from typing import Any

from django.http import HttpRequest
from ninja import Router

from leaderboard.api.operations import operation
from leaderboard.api.schemas.status import StatusOut
from leaderboard.web.context import frame_of, instant_of

router = Router(tags=["Challenge"])


@operation(router, "GET", "/status", scope="", answers=StatusOut)
def get_status(request: HttpRequest) -> dict[str, Any]:
    """Whether the service is disturbed, and what organisers or the server itself say on every page."""
    lines = frame_of(request).lines
    return {
        "at": instant_of(request),
        "is_disturbed": any(line.is_disturbance for line in lines),
        "lines": [{**line._asdict(), "is_disturbance": line.is_disturbance} for line in lines],
    }
