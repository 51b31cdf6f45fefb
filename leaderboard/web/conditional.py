"""Files that programs ask for again and again: who has the present one is told so, and gets nothing."""

from datetime import datetime
from hashlib import sha256

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import http_date, quote_etag


def unless_unchanged(
    request: HttpRequest, content: bytes, content_type: str, changed_at: datetime | None = None
) -> HttpResponseBase:
    """The content with its ETag, and with Last-Modified where it is known; 304 where the program has it already."""
    etag = quote_etag(sha256(content).hexdigest()[:32])
    seconds = int(changed_at.timestamp()) if changed_at else None
    response = HttpResponse(content, content_type=content_type)
    response["Cache-Control"] = "no-cache"  # kept, and asked about each time
    response["ETag"] = etag
    if seconds is not None:
        response["Last-Modified"] = http_date(seconds)
    answer = get_conditional_response(request, etag, seconds, response)
    return answer if answer is not None else response
