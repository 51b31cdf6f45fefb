"""Files with the numbers of the single cases of a version of a board, where everybody may have them."""

from django.http import Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, quote_etag
from django.views.decorators.http import require_safe

from leaderboard.board.case_exports import Export, export_of
from leaderboard.board.disclosure import Disclosure
from leaderboard.board.reading import version_of
from leaderboard.web.boards.asked import phase_of
from leaderboard.web.context import instant_of

KEPT = "public, max-age=3600"  # a version does not change; only whom it names may be deleted


@require_safe
def board_file(request: HttpRequest, slug: str, track: str, number: int, name: str) -> HttpResponseBase:
    """A file of a version by its name. There is none of hidden cases before organisers published them."""
    phase, at = phase_of(request, slug), instant_of(request)
    version = version_of(phase, track, at, number)
    export = export_of(Disclosure.to_public(phase, at), version, name) if version else None
    if export is None:
        raise Http404
    etag = quote_etag(export.tag)
    answer = get_conditional_response(request, etag) or _sent(export)
    answer["ETag"], answer["Cache-Control"] = etag, KEPT
    return answer


def _sent(export: Export) -> HttpResponseBase:
    try:
        answer = StreamingHttpResponse(export.text(), content_type=export.content_type)
    except LookupError:
        raise Http404 from None
    named = content_disposition_header(as_attachment=True, filename=export.file_name)
    answer["Content-Disposition"] = named or "attachment"
    return answer
