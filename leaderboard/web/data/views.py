"""What can be downloaded: a page for all, one for each case set, its terms, lists and files.

A file is handed out by nginx, which knows ranges and holds no thread of ours: the answer says where it lies, in the
folder of what is public (X-Accel-Redirect; deploy/nginx/site.conf).
"""

import base64
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.db.models import Count, Prefetch, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from evaluation import CATEGORIES
from leaderboard.board.disclosure import DataDisclosure, downloadable_sets
from leaderboard.challenge import downloads
from leaderboard.core import blobs
from leaderboard.core.refusal import Refused
from leaderboard.core.text import storable
from leaderboard.models import Case, CaseSet, Phase, User
from leaderboard.web.context import person_of
from leaderboard.web.data import keys, lists

PER_PAGE = 25
FILES = "/-/public/"  # where nginx has them, for answers of ours alone
STORES = {"images": blobs.public_volumes, "masks": blobs.public_masks}
SCRIPT = Path(__file__).with_name("fetch.py")
LISTS = {lists.DATASET: (lists.dataset_json, "application/json"), lists.SUMS: (lists.sha256sums, "text/plain")}


# --- pages ------------------------------------------------------------------------------------------------------------


@require_safe
def data(request: HttpRequest) -> HttpResponse:
    """Where the data are: the training data elsewhere, public case sets here, examples, and what else a team needs."""
    sets = _with_phases(measured(downloadable_sets()))
    return render(request, "data/data.html", {"sets": sets})


def _with_phases(sets: QuerySet[CaseSet]) -> QuerySet[CaseSet]:
    """With the phases that use them, of which everybody may know."""
    return sets.prefetch_related(Prefetch("phases", Phase.objects.published()))


@require_safe
@never_cache
def case_set(request: HttpRequest, name: str) -> HttpResponse:
    """A case set: how much it is, its terms, and for who accepted them its cases with their files."""
    found = get_object_or_404(_with_phases(measured(downloadable_sets())), name=name)
    shown = DataDisclosure.of(keys.reader_of(request, found), found)
    page = None
    if shown.shows_files:
        cases = found.cases.order_by("name").prefetch_related("findings")
        page = Paginator(cases, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "set": found,
        "shown": shown,
        "page": page,
        "labels": {code: one.label for code, one in CATEGORIES.items()},
    }
    return render(request, "data/case_set.html", context)


@login_required
@require_POST
def accept(request: HttpRequest, name: str) -> HttpResponse:
    """Accept the version of the terms that the page showed."""
    found = get_object_or_404(downloadable_sets(), name=name)
    version = request.POST.get("version", "")
    if not request.POST.get("accept"):
        messages.error(request, "Tick the box to accept the terms.")
        return redirect("case_set", name)
    try:
        downloads.accept(person_of(request), found, version)
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "You accepted the terms. The files are below.")
    return redirect("case_set", name)


def measured(sets: QuerySet[CaseSet]) -> QuerySet[CaseSet]:
    """The same, with how many cases and bytes each has."""
    return sets.annotate(
        case_count=Count("cases"), volumes_bytes=Sum("cases__volume_bytes"), masks_bytes=Sum("cases__reference_bytes")
    )


# --- files ------------------------------------------------------------------------------------------------------------


@require_safe
@never_cache
def listed(request: HttpRequest, name: str, file: str) -> HttpResponseBase:
    """`dataset.json`, `SHA256SUMS`, or `fetch.py`: the script that fetches everything, made for who asks."""
    found = get_object_or_404(downloadable_sets(), name=name)
    if file != SCRIPT.name and file not in LISTS:
        raise Http404
    shown = DataDisclosure.of(keys.reader_of(request, found), found)
    if not shown.shows_files or shown.person is None:
        return _refused(request, shown)
    if file == SCRIPT.name:
        content, kind = _script(shown.person, found).encode(), "text/x-python"
    else:
        make, kind = LISTS[file]
        content = make(found)
    return HttpResponse(content, content_type=f"{kind}; charset=utf-8", headers=_headers(file))


@require_safe
@never_cache
def file(request: HttpRequest, name: str, kind: str, case: str) -> HttpResponseBase:
    """The volume (`images`) or the mask (`masks`) of a case, in whole or in part."""
    found = get_object_or_404(downloadable_sets(), name=name)
    row = found.cases.filter(name=storable(case)).only("volume", "reference", "name", "case_set").first()
    if kind not in STORES or row is None:
        raise Http404
    shown = DataDisclosure.of(keys.reader_of(request, found), found)
    if not shown.shows_files:
        return _refused(request, shown)
    return _handed_out(row, kind)


def _handed_out(case: Case, kind: str) -> HttpResponse:
    digest = case.volume if kind == "images" else case.reference
    place = STORES[kind].path(digest).relative_to(blobs.public_folder())
    return HttpResponse(
        content_type="application/gzip",
        headers={
            **_headers(case.name),
            "X-Accel-Redirect": FILES + quote(str(place)),
            "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(digest.partition(':')[2])).decode()}:",
        },
    )


def _headers(name: str) -> dict[str, str]:
    disposition = content_disposition_header(as_attachment=True, filename=name) or "attachment"
    return {"Content-Disposition": disposition, "X-Content-Type-Options": "nosniff"}


def _script(person: User, case_set: CaseSet) -> str:
    address = settings.SITE_URL + reverse("case_set", args=[case_set.name])
    text = SCRIPT.read_text(encoding="utf-8")
    text = text.replace('ADDRESS = ""', f'ADDRESS = "{address}"', 1)
    return text.replace('KEY = ""', f'KEY = "{keys.make(person, case_set)}"', 1)


def _refused(request: HttpRequest, shown: DataDisclosure) -> HttpResponseBase:
    """Sign in first, or accept the terms first; to a script in words."""
    page = settings.SITE_URL + reverse("case_set", args=[shown.case_set.name])
    if shown.person is None:
        if not keys.brings_key(request):
            return redirect_to_login(request.get_full_path())
        words = f"This script's key is not, or no longer, valid. Download the script again: {page}\n"
        headers = {"WWW-Authenticate": 'Bearer realm="data"'}
        return HttpResponse(words, status=HTTPStatus.UNAUTHORIZED, content_type="text/plain", headers=headers)
    if keys.brings_key(request):
        words = f"First read and accept the terms of these data, in their present version: {page}\n"
        return HttpResponse(words, status=HTTPStatus.FORBIDDEN, content_type="text/plain")
    return render(request, "data/first_accept.html", {"shown": shown}, status=HTTPStatus.FORBIDDEN)
