"""What the demonstration's organisers tell: news, a question with its answer, data to download."""

from leaderboard.challenge import downloads
from leaderboard.core import clock
from leaderboard.core.audit import Actor
from leaderboard.models import CaseSet, FaqSection, NewsItem, Question

NEWS = """\
Both phases of this demonstration are open: the development phase on public cases, whose every score you see, and the
test phase on hidden ones.

* The [guidelines](/guidelines/) say what an image gets, and what it has to write.
* The cases of the development phase [can be downloaded](/data/), with their masks.
* Sign in as one of the teams to see how its runs went.
"""
ANSWER = """\
Any data and any model, public or private. Describe each of them when you submit; “none” is an answer, too. It is
published with your row on the leaderboard.
"""
TERMS = """\
These CTs are made up by a program, and show nobody. Do with them what you like; name the program if you pass them on.
"""


def tell(case_set: CaseSet) -> None:
    """Write what visitors then find, and let the files of a public case set be downloaded."""
    by, now = Actor.command_line(), clock.now()
    NewsItem.objects.create(title="Both phases are open", slug="both-phases-are-open", body=NEWS, published_at=now)
    section = FaqSection.objects.create(name="Training")
    Question.objects.create(
        section=section,
        question="What may a model be trained on?",
        slug="external-data",
        answer=ANSWER,
        published_at=now,
    )
    downloads.publish_terms(case_set, TERMS, by=by)
    downloads.allow(case_set, by=by)
