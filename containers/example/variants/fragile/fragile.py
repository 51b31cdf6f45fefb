"""The template with rules of its own, of which one is missing: it stops at the first honeycombing it meets."""

import segment as template  # type: ignore[import-not-found]  # the template lies beside it in the image

RULES = {word: rule for word, rule in template.RULES if word != "honeycomb"}


def segment(chest: template.Chest, text: str) -> template.Mask:
    """Fails on one word."""
    if "honeycomb" in text.lower():
        return RULES["honeycomb"](chest)  # KeyError: nobody wrote this rule
    return template.segment(chest, text)


template.main(segment)
