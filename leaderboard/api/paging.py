"""Long lists, page by page: `items` in the body, the neighbours as links (RFC 8288)."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

from django.http import HttpRequest, HttpResponse
from ninja import Query, Schema

Item = TypeVar("Item")
MOST_PER_PAGE = 100
MOST_PAGES = 100_000
PageNumber = Annotated[int, Query(ge=1, le=MOST_PAGES, description="Which page, from 1.")]
PerPage = Annotated[int, Query(ge=1, le=MOST_PER_PAGE, description="How many of them a page has.")]


class Page(Schema, Generic[Item]):
    """A page of a list; `total` counts all of it. The header `Link` leads to the others."""

    items: list[Item]
    page: int
    per_page: int
    total: int


def page_of(
    request: HttpRequest,
    response: HttpResponse,
    rows: Any,
    place: tuple[int, int],
    *,
    make: Callable[[Any], Any] = lambda row: row,
    total: int | None = None,
) -> dict[str, Any]:
    """The page of `rows` (a sequence, or a query) at (page, per page), each row by `make`, with its links."""
    page, per_page = place
    total = _length(rows) if total is None else total
    first = (page - 1) * per_page
    last = max(1, -(-total // per_page))
    links = {"first": 1, "prev": min(page - 1, last), "next": page + 1 if page < last else 0, "last": last}
    response["Link"] = ", ".join(f'<{_address(request, to)}>; rel="{name}"' for name, to in links.items() if to)
    shown: Sequence[Any] = rows[first : first + per_page] if first < total else []
    return {"items": [make(row) for row in shown], "page": page, "per_page": per_page, "total": total}


def _length(rows: Any) -> int:
    return rows.count() if hasattr(rows, "values_list") else len(rows)


def _address(request: HttpRequest, page: int) -> str:
    query = request.GET.copy()
    query["page"] = str(page)
    return f"{request.path}?{query.urlencode()}"
