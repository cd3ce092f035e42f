"""Rules: what holds between several members of an object, and cannot be said member by member (mapping 4.1, 4.7).

Each rule is for one direction, and says what it reads, what it watches and what it writes; from that follows which
operations of a patch it is asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from migrator.core.mapping.losses import Loss
from migrator.core.mapping.shapes import DPS, XCORE, Rule
from migrator.core.mapping.walk import Walk
from migrator.core.mapping.words import PROFILE_CONSTRAINT
from migrator.core.model import Json, Operation

# The channel of a representation


def _settle_channel(source: dict[str, Any], target: dict[str, Any], walk: Walk, at: str) -> None:
    if "channel" in target or "xdm:channel" in source:
        return
    placement = source.get("xdm:placement")
    channel = walk.context.channel_of(placement) if isinstance(placement, str) else None
    if channel is None:
        walk.inform(at, None, Loss.FILLED, "has no channel, and the placement's is not known here: left out")
        return
    walk.inform(at, channel, Loss.FILLED, "has no channel: that of the placement is written")
    target["channel"] = channel


def _alone_channel(operation: Operation, prefix: str, walk: Walk, patch: Sequence[Operation]) -> tuple[Operation, ...]:
    del prefix, patch
    if operation.path.endswith("/xdm:placement") or operation.op == "remove":
        reason = "if the representation has no channel of its own, that of the placement is to be set beside it"
        walk.inform(operation.path, operation.value, Loss.FILLED, reason)
    return ()


CHANNEL = Rule(
    to=DPS,
    settle=_settle_channel,
    alone=_alone_channel,
    watches=frozenset({"xdm:channel", "xdm:placement"}),
    writes=frozenset({"channel"}),
)


# Text and address of a component


def _settle_copyline(source: dict[str, Any], target: dict[str, Any], walk: Walk, at: str) -> None:
    if "xdm:copyline" not in source:
        return
    copyline, place = source["xdm:copyline"], f"{at}/xdm:copyline"
    if target.get("content"):
        walk.inform(place, copyline, Loss.NO_COUNTERPART, "the component has a content: left out")
    else:
        walk.inform(place, copyline, Loss.NO_COUNTERPART, "the component has no content: written as that")
        target["content"] = copyline


def _alone_copyline(operation: Operation, prefix: str, walk: Walk, patch: Sequence[Operation]) -> tuple[Operation, ...]:
    del prefix, patch
    if operation.path.endswith("/xdm:copyline"):
        walk.refuse(operation.path, operation.value, Loss.NO_COUNTERPART, "dps has no copyline")
    elif not operation.value:
        reason = "if the component has a copyline, that is to take the place of the content"
        walk.inform(operation.path, operation.value, Loss.NO_COUNTERPART, reason)
    return ()


COPYLINE = Rule(
    to=DPS,
    settle=_settle_copyline,
    alone=_alone_copyline,
    content_with_values=True,
    reads=frozenset({"xdm:copyline"}),
    watches=frozenset({"xdm:content"}),
    writes=frozenset({"content"}),
)


def _settle_address(source: dict[str, Any], target: dict[str, Any], walk: Walk, at: str) -> None:
    bound = [name for name in ("repo:id", "repo:resolveURL") if name in source]
    needed = bound and not target.get("deliveryURL") and not target.get("content")
    address = source.get("repo:resolveURL")
    if needed and address and walk.context.asset_urls:
        walk.inform(f"{at}/repo:resolveURL", address, Loss.ASSET, "written as the address of the component")
        target["deliveryURL"] = address
        needed = False
    for name in bound:
        tell = walk.refuse if needed else walk.inform
        why = ", and without it the component has neither content nor address" if needed else ""
        tell(f"{at}/{name}", source[name], Loss.ASSET, f"dps does not know the asset library{why}")


ADDRESS = Rule(
    to=DPS,
    settle=_settle_address,
    reads=frozenset({"repo:id", "repo:resolveURL"}),
    watches=frozenset({"xdm:deliveryURL", "xdm:content", "xdm:copyline"}),
    writes=frozenset({"deliveryURL"}),
)


# Who an offer is for


def _constraint_word(word: Json, to: str) -> str:
    return PROFILE_CONSTRAINT[to].get(word, word) if isinstance(word, str) else str(word)


def _settle_profile_dps(source: dict[str, Any], target: dict[str, Any], walk: Walk, at: str) -> None:
    del walk, at
    if "xdm:profileConstraintType" in source:  # of a schema later than the documented one
        target["profileConstraintType"] = _constraint_word(source["xdm:profileConstraintType"], DPS)
    else:
        target["profileConstraintType"] = "eligibilityRule" if "xdm:eligibilityRule" in source else "none"


def _alone_profile_dps(
    operation: Operation, prefix: str, walk: Walk, patch: Sequence[Operation]
) -> tuple[Operation, ...]:
    """Say by the type whether there is a rule; `add`, because the type need not be there yet."""
    del walk, patch
    place = f"{prefix}/profileConstraintType"
    if operation.path.endswith("/xdm:profileConstraintType"):
        value = None if operation.op == "remove" else _constraint_word(operation.value, DPS)
        return (Operation(operation.op, place, value),)
    if not operation.path.endswith("/xdm:eligibilityRule"):
        return ()
    return (Operation("add", place, "none" if operation.op == "remove" else "eligibilityRule"),)


PROFILE_TO_DPS = Rule(
    to=DPS,
    settle=_settle_profile_dps,
    reads=frozenset({"xdm:profileConstraintType"}),
    watches=frozenset({"xdm:eligibilityRule"}),
    writes=frozenset({"profileConstraintType"}),
    alone=_alone_profile_dps,
)


def _settle_profile_xcore(source: dict[str, Any], target: dict[str, Any], walk: Walk, at: str) -> None:
    del target
    if "profileConstraintType" not in source:
        return
    word = _constraint_word(source["profileConstraintType"], XCORE)
    if word != ("eligibilityRule" if "eligibilityRule" in source else "none"):
        place = f"{at}/profileConstraintType"
        walk.refuse(place, word, Loss.AUDIENCE, "xcore shows the offer to all, or to those whom a rule names")


def _alone_profile_xcore(
    operation: Operation, prefix: str, walk: Walk, patch: Sequence[Operation]
) -> tuple[Operation, ...]:
    """Leave the type out where the same patch says what it implies."""
    del prefix
    if not operation.path.endswith("/profileConstraintType"):
        return ()
    beside = operation.path.removesuffix("profileConstraintType") + "eligibilityRule"
    ops = [other.op for other in patch if other.path == beside]
    implied = ("eligibilityRule" if ops[-1] in ("add", "replace", "copy") else "none") if ops else None
    word = "none" if operation.op == "remove" else _constraint_word(operation.value, XCORE)
    if word != implied:
        reason = "xcore has no such type: there it is the rule that says it, and this patch does not set that to match"
        walk.refuse(operation.path, operation.value, Loss.AUDIENCE, reason)
    return ()


PROFILE_TO_XCORE = Rule(
    to=XCORE,
    settle=_settle_profile_xcore,
    reads=frozenset({"profileConstraintType"}),
    watches=frozenset({"eligibilityRule"}),
    alone=_alone_profile_xcore,
    at_end=True,
)


def _settle_no_profile(source: dict[str, Any], target: dict[str, Any], walk: Walk, at: str) -> None:
    constraint = source.get("profileConstraint")
    if isinstance(constraint, dict) and list(constraint.items()) == [("profileConstraintType", "none")]:
        walk.inform(f"{at}/profileConstraint", constraint, Loss.NO_COUNTERPART, "says nothing: left out")
        target.pop("xdm:profileConstraint", None)


def _alone_no_profile(
    operation: Operation, prefix: str, walk: Walk, patch: Sequence[Operation]
) -> tuple[Operation, ...]:
    del prefix, patch
    if operation.op != "remove" and operation.value in ("none", {"profileConstraintType": "none"}):
        walk.inform(
            operation.path, operation.value, Loss.NO_COUNTERPART, "says nothing: an object is translated without it"
        )
    return ()


NO_PROFILE = Rule(
    to=XCORE,
    settle=_settle_no_profile,
    watches=frozenset({"profileConstraint"}),
    writes=frozenset({"xdm:profileConstraint"}),
    alone=_alone_no_profile,
)


# The oldest form of a decision


def _settle_oldest(source: dict[str, Any], target: dict[str, Any], walk: Walk, at: str) -> None:
    found: dict[str, Any] = {name: source[name] for name in ("xdm:placement", "xdm:filter") if name in source}
    if not found:
        return
    if "criteria" in target:
        for name, value in found.items():
            walk.inform(f"{at}/{name}", value, Loss.STRUCTURE, "the decision has criteria: left out")
        return
    criterion: dict[str, Any] = {}
    if placement := _reference("placement", "xdm:placement", found, walk, at):
        criterion["placements"] = [placement]
    if collection := _reference("collection", "xdm:filter", found, walk, at):
        criterion["optionSelection"] = {"filter": collection}
    target["criteria"] = [criterion]


def _reference(type_: str, name: str, found: dict[str, Any], walk: Walk, at: str) -> str | None:
    if name not in found:
        return None
    place, value = f"{at}/{name}", found[name]
    target = walk.context.resolve(type_, value) if isinstance(value, str) else None
    if target is None:
        walk.refuse(place, value, Loss.REFERENCES, f"the id map has no {type_} with this id")
    else:
        walk.inform(place, value, Loss.STRUCTURE, "the oldest form of a decision: written as a criterion")
    return target


OLDEST = Rule(
    to=DPS,
    settle=_settle_oldest,
    reads=frozenset({"xdm:placement", "xdm:filter"}),
    writes=frozenset({"criteria"}),
    needs="this is the oldest form of a decision; which criterion it is now is known only with the decision",
    at_end=True,
)
