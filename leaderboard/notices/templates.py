"""Beginnings of announcements: what organisers most often have to say, with what the server knows filled in."""

from django.conf import settings
from django.urls import reverse

from leaderboard.core.text import instant
from leaderboard.models import Announcement, Phase

Occasion = Announcement.Occasion


def draft(occasion: str, phase: Phase | None) -> Announcement:
    """A draft that is not saved, to be changed; empty where there is no such template, or no phase for it."""
    if phase is None or occasion not in _TEMPLATES:
        return Announcement()
    subject, body, is_for_entrants = _TEMPLATES[Occasion(occasion)]
    after = phase.post_challenge_closes_at
    known = {
        "phase": phase.name,
        "opens": instant(phase.opens_at),
        "closes": instant(phase.closes_at),
        "after_until": f" until {instant(after)}" if after else "",
        "runs": f"{phase.runs_per_day} a day, {phase.runs_total} in all",
        "board": f"See the phase: {settings.SITE_URL}{reverse('board', args=[phase.slug])}",
        "submit": f"Submit a run: {settings.SITE_URL}{reverse('submit_to', args=[phase.slug])}",
    }
    audience = Announcement.Audience.TEAMS if is_for_entrants else Announcement.Audience.ALL
    return Announcement(
        subject=subject.format_map(known),
        body=body.format_map(known),
        audience=audience,
        phase=phase if is_for_entrants else None,
        occasion=occasion,
        of_phase=phase,
    )


_TEMPLATES: dict[Occasion, tuple[str, str, bool]] = {
    Occasion.OPENING: (
        "The {phase} opens on {opens}",
        (
            "The {phase} takes runs from {opens} until {closes}: {runs}.\n\n"
            "Try your image out before: it finds most mistakes at no cost.\n\n{submit}"
        ),
        False,
    ),
    Occasion.DEADLINE: (
        "The deadline of the {phase} was moved",
        "The {phase} now closes on {closes}.\n\nThe reason: (write it here).\n\n{board}",
        False,
    ),
    Occasion.REVEAL: (
        "The results of the {phase} are out",
        "Thank you for taking part. The full result of the {phase} is on its board now.\n\n{board}",
        True,
    ),
    Occasion.POST_CHALLENGE: (
        "The {phase} takes post-challenge runs",
        (
            "You can hand in to the {phase} again{after_until}. Such runs are shown on the board apart, and have no "
            "rank.\n\n{submit}"
        ),
        True,
    ),
}
