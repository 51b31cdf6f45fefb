"""Files of public case sets: who may let them be downloaded, and where they lie then."""

import math
import stat
from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from leaderboard.challenge import downloads
from leaderboard.core import blobs, task_queue
from leaderboard.core.refusal import Refused
from leaderboard.models import AuditEntry, Case, CaseSet, DataAcceptance, Phase
from leaderboard.operations import retention
from leaderboard.processes import sweeper, tasks
from tests.leaderboard import cast, masks

pytestmark = pytest.mark.django_db


def case_set(name: str, first: int) -> CaseSet:
    """Two cases with files of their own."""
    made = cast.case_set(2, name=name)
    for number, case in enumerate(made.cases.all()):
        masks.give_files(case, first + number, masks.cube(start=first + number))
    return made


@pytest.fixture
def public() -> CaseSet:
    """The cases of a phase that shows them, with terms."""
    made = case_set("val", 1)
    cast.phase(made, slug="dev", cases_are_public=True)
    downloads.publish_terms(made, "For research alone.", by=cast.OPERATOR)
    return made


def copied() -> tuple[set[str], set[str]]:
    return set(blobs.public_volumes.digests()), set(blobs.public_masks.digests())


def test_allowing_it_copies_the_files_and_ending_it_removes_them(public, store):
    volumes, references = (set(Case.objects.values_list(name, flat=True)) for name in ("volume", "reference"))
    assert copied() == (set(), set())
    downloads.allow(public, by=cast.OPERATOR, why="agreed")
    assert [one.name for one in downloads.uncopied()] == ["val"]
    assert not downloads.copy_next(for_seconds=60)
    assert copied() == (volumes, references)
    mask = blobs.public_masks.path(public.cases.all()[0].reference)
    assert stat.S_IMODE(mask.stat().st_mode) == 0o644, "whoever may enter the folder may read it"
    assert stat.S_IMODE((store / "public").stat().st_mode) == 0o700, "which is nobody, unless an operator says who"
    assert stat.S_IMODE((store / "references").stat().st_mode) == 0o700
    public.refresh_from_db()
    assert public.copied_at
    assert public.cases.all()[0].reference_bytes == mask.stat().st_size
    retention.tidy()
    assert copied() == (volumes, references)

    downloads.end(public, by=cast.OPERATOR)
    retention.tidy()
    assert copied() == (set(), set())
    assert set(blobs.volumes.digests()) == volumes
    assert set(blobs.references.digests()) == references
    decided = AuditEntry.objects.filter(target_type="caseset").order_by("pk").values_list("action", "why")
    assert list(decided) == [("allow downloads", "agreed"), ("end downloads", "")]


def _hide(public: CaseSet) -> None:
    public.phases.update(cases_are_public=False)


def _share_a_mask(public: CaseSet) -> None:
    hidden = case_set("test", 7)
    cast.phase(hidden, slug="final")
    hidden.cases.filter(name="case_000.nii.gz").update(reference=public.cases.all()[1].reference)


def _share_a_volume(public: CaseSet) -> None:
    hidden = case_set("test", 7)
    cast.phase(hidden, slug="final")
    hidden.cases.filter(name="case_001.nii.gz").update(volume=public.cases.all()[0].volume)


def _no_phase(public: CaseSet) -> None:
    public.phases.all().delete()


@pytest.mark.parametrize("spoil", [_hide, _share_a_mask, _share_a_volume, _no_phase], ids=lambda one: one.__name__)
def test_files_of_cases_that_anything_hides_cannot_be_downloaded(public, spoil: Callable[[CaseSet], None]):
    spoil(public)
    with pytest.raises(Refused, match="Only files of public cases can be downloaded"):
        downloads.allow(public, by=cast.OPERATOR)
    assert not downloads.copy_next(for_seconds=60)
    assert copied() == (set(), set())


@pytest.mark.parametrize("spoil", [_share_a_mask, _share_a_volume, _no_phase], ids=lambda one: one.__name__)
def test_what_is_hidden_later_is_gone_at_once_and_its_copies_soon(public, spoil: Callable[[CaseSet], None]):
    downloads.allow(public, by=cast.OPERATOR)
    downloads.copy_next(for_seconds=60)
    spoil(public)
    assert not downloads.allowed().exists()
    retention.tidy()
    assert copied() == (set(), set())
    public.refresh_from_db()
    assert public.copied_at is None, "if it may be downloaded again, the files are copied again"


def test_what_a_draft_alone_shows_cannot_be_downloaded(public):
    Phase.objects.update(is_draft=True)
    with pytest.raises(Refused, match="a phase must show them"):
        downloads.allow(public, by=cast.OPERATOR)
    Phase.objects.update(is_draft=False)
    downloads.allow(public, by=cast.OPERATOR)
    assert list(downloads.allowed()) == [public]


def test_the_database_itself_keeps_files_of_hidden_cases_here(public):
    hidden = case_set("test", 7)
    cast.phase(hidden, slug="final")
    with pytest.raises(IntegrityError, match="hidden cases"), transaction.atomic():
        CaseSet.objects.filter(pk=hidden.pk).update(allows_downloads=True)
    downloads.allow(public, by=cast.OPERATOR)
    with pytest.raises(IntegrityError, match="hidden cases"), transaction.atomic():
        public.phases.update(cases_are_public=False)
    with pytest.raises(IntegrityError, match="hidden cases"), transaction.atomic():
        cast.phase(public, slug="other")
    public.refresh_from_db()
    shown = public.phases.get()
    shown.cases_are_public = False
    with pytest.raises(ValidationError, match="The files of these cases can be downloaded"):
        shown.clean()


def test_without_terms_nothing_can_be_allowed():
    made = case_set("val", 1)
    cast.phase(made, slug="dev", cases_are_public=True)
    with pytest.raises(Refused, match="no terms"):
        downloads.allow(made, by=cast.OPERATOR)


def test_a_full_disk_gets_no_copies(public, settings):
    downloads.allow(public, by=cast.OPERATOR)
    settings.FREE_BYTES = 1 << 60
    assert not downloads.copy_next(for_seconds=60)
    assert copied() == (set(), set())
    settings.FREE_BYTES = 0
    downloads.copy_next(for_seconds=60)
    assert len(copied()[1]) == 2


def test_copying_makes_way_for_other_work_and_goes_on_where_it_was(public):
    downloads.allow(public, by=cast.OPERATOR)
    assert downloads.copy_next(for_seconds=-1), "there is more to do"
    assert copied() == (set(), set())
    assert not downloads.copy_next(for_seconds=60)
    assert not downloads.uncopied().exists()


def test_a_new_version_of_the_terms_asks_again_and_an_old_one_cannot_be_accepted(public, alice):
    downloads.accept(alice, public, "1")
    downloads.accept(alice, public, "1")
    assert DataAcceptance.objects.count() == 1
    downloads.publish_terms(public, "For research, with a citation.", by=cast.OPERATOR)
    assert downloads.acceptance_of(alice, downloads.present_terms(public)) is None
    for version in ("1", "3", "", "x", "2 ", "9" * 50):
        with pytest.raises(Refused, match="The terms have changed"):
            downloads.accept(alice, public, version)
    downloads.accept(alice, public, "2")
    assert list(DataAcceptance.objects.order_by("pk").values_list("terms__version", flat=True)) == [1, 2]
    with pytest.raises(Refused, match="Version 2 says this already"):
        downloads.publish_terms(public, " For research, with a citation.\n", by=cast.OPERATOR)


def test_a_lost_message_is_sent_again_and_one_worker_copies(public, monkeypatch, django_capture_on_commit_callbacks):
    sent: list[tuple[str, str, str]] = []
    monkeypatch.setattr(task_queue, "_send", lambda *message: sent.append(message))
    monkeypatch.setattr(sweeper, "_copies_asked_at", -math.inf)
    message = ("leaderboard.copy_public_files", str(public.pk), "control")
    with django_capture_on_commit_callbacks(execute=True):
        downloads.allow(public, by=cast.OPERATOR)
    with django_capture_on_commit_callbacks(execute=True):
        sweeper._ask_for_copies()
        sweeper._ask_for_copies()
    assert sent == [message, message], "not again at once"
    tasks.copy_public_files(str(public.pk))
    monkeypatch.setattr(sweeper, "_copies_asked_at", -math.inf)
    with django_capture_on_commit_callbacks(execute=True):
        sweeper._ask_for_copies()
    assert len(sent) == 2, "all is there"
