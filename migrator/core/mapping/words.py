"""Words that the styles spell otherwise (mapping, section 5)."""

from __future__ import annotations

from collections.abc import Mapping

from migrator.core.mapping.shapes import DPS, XCORE, Word

CONTENT = "https://ns.adobe.com/experience/offer-management/content-component-"
"""What stands before the kind of a content in xcore."""

_KINDS = ((f"{CONTENT}html", "html"), (f"{CONTENT}imagelink", "imagelink"), (f"{CONTENT}json", "json"))

COMPONENT_TYPE = Word(
    "table 5.1",
    pairs=(*_KINDS, (f"{CONTENT}text", "component-text")),
    accepted=((), (("text", f"{CONTENT}text"),)),
    prefix=CONTENT,
)
"""Of a component."""

PLACEMENT_TYPE = Word(
    "table 5.1",
    pairs=(*_KINDS, (f"{CONTENT}text", "text")),
    accepted=((), (("component-text", f"{CONTENT}text"),)),
    prefix=CONTENT,
)
"""Of a placement: odd, but it is what documents show of either."""

OFFER_STATUS = Word(
    pairs=(("draft", "draft"), ("approved", "approved"), ("archived", "archived")),
    downgraded=(("pending", "draft"), ("rejected", "draft")),
)

DECISION_STATUS = Word(
    pairs=tuple((word, word) for word in ("draft", "live", "complete", "completed", "archived")),
)


def _hyphened(*words: tuple[str, str]) -> Word:
    """Return words that are camel case in xcore and kebab case in dps; either is read in both (C-25)."""
    return Word(
        "camel case ↔ kebab case",
        pairs=words,
        accepted=(tuple((kebab, kebab) for _, kebab in words), tuple((camel, camel) for camel, _ in words)),
    )


FILTER_TYPE = _hyphened(("offers", "offers"), ("anyTags", "any-tags"), ("allTags", "all-tags"))

EVALUATION_TYPE = _hyphened(
    ("static", "static"), ("scoringFunction", "scoring-function"), ("rankingStrategy", "ranking-strategy")
)

OPTION_SELECTION_TYPE = _hyphened(("filter", "filter"), ("directList", "direct-list"))

_CONSTRAINTS = ("none", "eligibilityRule", "anySegments", "allSegments", "rules")
_KEBAB = (("eligibility-rule", "eligibilityRule"), ("any-segments", "anySegments"), ("all-segments", "allSegments"))

PROFILE_CONSTRAINT_TYPE = Word(
    "camel case is written, kebab case read",
    pairs=tuple((word, word) for word in _CONSTRAINTS),
    accepted=(_KEBAB, _KEBAB),
)


def spelling(word: Word, to: str) -> dict[str, str]:
    """Return what each known word becomes in a direction."""
    pairs = word.pairs if to == DPS else tuple((dps, xcore) for xcore, dps in word.pairs)
    return {**dict(word.accepted[0 if to == DPS else 1]), **dict(pairs)}


PROFILE_CONSTRAINT: Mapping[str, Mapping[str, str]] = {to: spelling(PROFILE_CONSTRAINT_TYPE, to) for to in (DPS, XCORE)}
"""Who an offer is for, by the style that it is written in."""
