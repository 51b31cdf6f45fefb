"""An order is believed only when every field of it makes sense."""

from collections.abc import Callable
from typing import Any

import pytest

from containers.protocol.orders import OrderRejected, parse_batch_id, parse_order
from tests.containers.conftest import order_json


def test_a_sound_order_is_parsed() -> None:
    order = parse_order(order_json(None, None, cpus=1.5))
    assert order.names == ("case0.nii.gz", "case1.nii.gz")
    assert order.limits.cpus == 1.5


def _set(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(order: Any) -> None:
        for key in path[:-1]:
            order = order[key]
        order[path[-1]] = to

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("batch", to="../../x"),
        _set("fence", to=-1),
        _set("fence", to=True),
        _set("fence", to="1"),
        _set("lease_seconds", to=float("nan")),
        _set("image", "id", to="latest"),
        _set("image", "id", to="sha256:" + "A" * 64),
        _set("image", "blob", to="sha256:" + "0" * 64 + "\n"),
        _set("image", "extra", to=1),
        _set("limits", "memory_bytes", to=0),
        _set("limits", "case_seconds", to=-1),
        _set("limits", "cpus", to=float("inf")),
        _set("gpus", to=-1),
        _set("cases", to=[]),
        _set("cases", to={}),
        _set("cases", 0, to="case"),
        _set("cases", 0, "name", to="../case0.nii.gz"),
        _set("cases", 0, "name", to="-case0.nii.gz"),
        _set("cases", 0, "name", to="case0.nii"),
        _set("cases", 0, "name", to="case0.nii.gz\n"),
        _set("cases", 0, "name", to="CASE1.nii.gz"),
        _set("cases", 0, "entry", to=[]),
        _set("cases", 0, "entry", "name", to="other.nii.gz"),
        _set("cases", 0, "entry", "long", to="x" * 300_000),
        _set("cases", 1, "name", to="case0.nii.gz"),
        _set("surprise", to=1),
    ],
)
def test_an_odd_order_is_rejected(change: Callable[[dict[str, Any]], None]) -> None:
    order = order_json(None, None)
    change(order)
    with pytest.raises(OrderRejected):
        parse_order(order)


@pytest.mark.parametrize("field", list(order_json(None)))
def test_a_missing_field_is_rejected_by_its_name(field: str) -> None:
    order = order_json(None)
    del order[field]
    with pytest.raises(OrderRejected, match=field):
        parse_order(order)


@pytest.mark.parametrize("value", [None, 7, [], "order"])
def test_what_is_no_object_is_rejected(value: object) -> None:
    with pytest.raises(OrderRejected):
        parse_order(value)


def test_a_batch_id_becomes_canonical() -> None:
    assert parse_batch_id("{0B9F1D1E-6F0A-4B5C-8D7E-0123456789AB}") == "0b9f1d1e-6f0a-4b5c-8d7e-0123456789ab"
