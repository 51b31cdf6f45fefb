"""The half of a case set in the database: drawn when the set is imported, and kept for ever.

Two sets of the same content have the same secret, and so the same half: of two halves of the same cases more would be
known than of one, and nobody imports a set again until its half pleases; so the secret outlives a set that is deleted.
A set that mends another one has that one's half, and its commitment: it was drawn by the references as they were then.
The secret has a table of its own: no row that pages read brings it along. A set that was imported before secrets has
neither secret nor commitment.
"""

import math
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from leaderboard.challenge.casesets.official import CheckedCase
from leaderboard.challenge.halves.commitment import SECRET_BYTES, commitment_to, opening, tag
from leaderboard.challenge.halves.drawing import Line, balance, draw
from leaderboard.challenge.halves.strata import CaseFacts
from leaderboard.models import Case, CaseSet, DeletedHalf, Finding, HalfSecret


def draw_half(case_set: CaseSet, cases: Iterable[CheckedCase]) -> frozenset[str]:
    """Draw the half of a set that is being imported, in its transaction: the names of its cases."""
    return draw_by(_secret_for(case_set.digest), case_set, [_facts_of(case) for case in cases])


def half_of(case_set: CaseSet) -> frozenset[str]:
    """The names of the half of a set, as it has been since it was drawn."""
    return frozenset(case_set.cases.filter(in_public_half=True).values_list("name", flat=True))


def keep_secret_of(case_set: CaseSet) -> None:
    """Call before a set is deleted, in that transaction: the same content gets the same half again."""
    secret = HalfSecret.objects.filter(case_set=case_set).first()
    if secret:
        DeletedHalf.objects.get_or_create(digest=case_set.digest, defaults={"secret": secret.secret})


def draw_by(secret: bytes, case_set: CaseSet, cases: Sequence[CaseFacts]) -> frozenset[str]:
    """Draw the half by this secret, and keep it, with the commitment on the set. Its cases are not marked yet."""
    half = draw(cases, secret)
    text = opening(secret, [one.name for one in cases], half, case_set.digest)
    case_set.half_commitment = commitment_to(text)
    case_set.save(update_fields=["half_commitment"])
    HalfSecret.objects.create(case_set=case_set, secret=secret.hex())
    return half


def _secret_for(digest: str) -> bytes:
    same = (
        HalfSecret.objects.filter(case_set__digest=digest).first() or DeletedHalf.objects.filter(digest=digest).first()
    )
    return bytes.fromhex(same.secret) if same else secrets.token_bytes(SECRET_BYTES)


def _facts_of(case: CheckedCase) -> CaseFacts:
    findings = [(finding.category or "", finding.voxels or 0) for finding in case.findings]
    return _facts(case.name, case.shape, case.spacing_mm, findings)


def _facts(
    name: str, shape: Sequence[int], spacing_mm: Sequence[float], findings: Iterable[tuple[str, int]]
) -> CaseFacts:
    voxels = math.prod(shape)
    return CaseFacts(name, tuple((category, held / voxels) for category, held in findings), math.prod(spacing_mm))


@dataclass(frozen=True)
class Half:
    """The half of a case set as the database has it: for organisers, and at the reveal in part for everybody.

    What may be shown to whom, `board/disclosure.py` decides.
    """

    case_set: CaseSet

    @cached_property
    def _rows(self) -> list[Case]:
        return list(self.case_set.cases.only("case_set", "name", "shape", "spacing_mm", "in_public_half"))

    @property
    def names(self) -> list[str]:
        """All cases, by name."""
        return [case.name for case in self._rows]

    @cached_property
    def public(self) -> frozenset[str]:
        """The names of its cases."""
        return frozenset(case.name for case in self._rows if case.in_public_half)

    @cached_property
    def cases(self) -> list[CaseFacts]:
        """What the half was balanced by, case by case, by name."""
        findings: dict[int, list[tuple[str, int]]] = defaultdict(list)
        of_set = Finding.objects.filter(case__case_set=self.case_set).order_by("case", "channel")
        for case, category, voxels in of_set.values_list("case", "category", "voxels"):
            findings[case].append((category, voxels))
        return [_facts(one.name, one.shape, one.spacing_mm, findings[one.pk]) for one in self._rows]

    @cached_property
    def secret(self) -> bytes | None:
        """What it was drawn by; None for a set that was imported before."""
        kept = HalfSecret.objects.filter(case_set=self.case_set.first).first()
        return bytes.fromhex(kept.secret) if kept else None

    @property
    def balance(self) -> list[Line]:
        """How many findings of each group, and cases of each quarter of spacing, each half has."""
        return balance(self.cases, self.public)

    @cached_property
    def opening(self) -> str:
        """The text that the set's commitment is to, as the rows are now; "" without a secret."""
        if self.secret is None:
            return ""
        return opening(self.secret, self.names, self.public, self.case_set.first.digest)

    @property
    def is_as_committed(self) -> bool:
        """Whether the commitment of the import is to the half that the rows have now."""
        return bool(self.opening) and commitment_to(self.opening) == self.case_set.half_commitment

    @property
    def is_as_drawn(self) -> bool:
        """Whether the secret and the set give this very half again."""
        drawn_of = Half(self.case_set.mends).cases if self.case_set.mends else self.cases
        return self.secret is not None and draw(drawn_of, self.secret) == self.public

    @cached_property
    def tags(self) -> dict[str, str]:
        """Each case's name with what stands for it in the opening; empty without a secret."""
        return {name: tag(self.secret, name) for name in self.names} if self.secret is not None else {}
