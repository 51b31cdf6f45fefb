"""A GPU host without an engine: it speaks the hosts' API as it is written down, and runs the algorithm as it is.

What a real worker does in its own time, this one does when it is told to, so that a batch stays where a test wants it.
"""

import hashlib
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import requests

from tests.upgrade import algorithm

Order = dict[str, Any]
Answer = dict[str, Any]
TIMEOUT = 60


@dataclass(frozen=True)
class ApiHost:
    """A host of the server at `address`. A refusal of the server's is a requests.HTTPError."""

    address: str
    token: str

    def hello(self, slots: list[str], **more: Any) -> Answer:
        """Offer these slots, none with a GPU."""
        offered = [{"name": name, "gpus": []} for name in slots]
        return self._post("hello", {"version": "0", "slots": offered, "engine": "none", **more})

    def claim(self, batch: str, slot: str) -> Order:
        """Lease a batch; the order."""
        return self._post(f"batches/{batch}/claim", {"key": str(uuid.uuid4()), "slot": slot})

    def beat(self, order: Order, done: int) -> Answer:
        """Renew the lease."""
        return self._post(f"batches/{order['batch']}/heartbeat", {"fence": order["fence"], "done": done})

    def deliver(self, order: Order, arguments: tuple[str, ...]) -> Answer:
        """Run the algorithm on the cases of the order, upload its masks, report."""
        volumes = {case["name"]: self._fetch(case["blob"]) for case in order["cases"]}
        masks = algorithm.run(arguments, [case["entry"] for case in order["cases"]], volumes)
        cases = [self._upload(order, case["name"], masks.get(case["name"])) for case in order["cases"]]
        container = {"exit_code": 0, "oom_killed": False, "seconds": 1.5, "warnings": ["A warning."]}
        return self._report(order, cases, container, None)

    def fail(self, order: Order, fault: str, detail: str) -> Answer:
        """Report that our side could not carry out the order."""
        names = [case["name"] for case in order["cases"]]
        untouched = {"status": "untouched", "reason": None, "seconds": None, "output": None}
        return self._report(order, [{"name": name, **untouched} for name in names], None, fault, detail)

    def _report(
        self, order: Order, cases: list[Answer], container: Answer | None, fault: str | None, detail: str = ""
    ) -> Answer:
        said = {
            "fence": order["fence"],
            "cases": cases,
            "container": container,
            "fault": {"code": fault, "detail": detail} if fault else None,
            "log": "What the container printed.\n",
        }
        return self._post(f"batches/{order['batch']}/report", said)

    def _upload(self, order: Order, name: str, mask: bytes | None) -> Answer:
        if mask is None:
            return {"name": name, "status": "missing", "reason": "missing", "seconds": None, "output": None}
        digest = hashlib.sha256(mask).hexdigest()
        answer = requests.put(
            f"{self.address}/worker/v1/batches/{order['batch']}/outputs/{name}",
            params={"fence": order["fence"]},
            data=mask,
            headers={**self._headers, "X-Content-SHA256": digest},
            timeout=TIMEOUT,
        )
        answer.raise_for_status()
        output = {"blob": f"sha256:{digest}", "size": len(mask)}
        return {"name": name, "status": "finished", "reason": None, "seconds": 0.5, "output": output}

    def _fetch(self, digest: str) -> bytes:
        answer = requests.get(f"{self.address}/worker/v1/blobs/{digest}", headers=self._headers, timeout=TIMEOUT)
        answer.raise_for_status()
        return answer.content

    def _post(self, path: str, body: dict[str, Any]) -> Answer:
        answer = requests.post(f"{self.address}/worker/v1/{path}", json=body, headers=self._headers, timeout=TIMEOUT)
        if answer.status_code >= HTTPStatus.BAD_REQUEST:
            raise requests.HTTPError(f"{path}: HTTP {answer.status_code}: {answer.text[:300]}", response=answer)
        said: Answer = answer.json()
        return said

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}
