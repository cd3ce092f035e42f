"""What an answer means for a step: the one place where a status or a failure is judged.

Everything that decides between "done", "refused", "again" and "in doubt" lives here, and nothing else may. The rules,
from `reference/errors-and-limits.md` section 6 and `reference/resumption.md` section 4:

* A write that may have been executed is never sent again by guess. Only two things prove that it was not: a failure
  before anything was sent, and an answer of the gateway, which stands in front of the service and turns a request away
  before the service sees it (401, 429, 503 with a code 5030xx).
* A 500 may have written. So may 502, 503, 504 and a connection that broke (`core.failures` says which proves what).
* What is wrong with the host, the credentials or the rate is not the row's fault: it delays or stops the run, and the
  row stays pending. Only the service's word on the row itself rejects the row.
* Attempts and total time are both bounded, because a long Retry-After makes a bound on either alone meaningless.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

import msgspec
from msgspec import Struct

from migrator.core.answers import error_body, gateway_code, message_of, retry_after_s
from migrator.core.model import CREATES, Answer, Failure, FailureKind, Kind, Receipt, Response
from migrator.core.states import Move
from migrator.core.styles.base import Style


class ErrorClass(StrEnum):
    """Why a request did not succeed; a closed list that reports and scripts can rely on."""

    NONE = ""
    VALIDATION = "validation"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    CREDENTIALS = "credentials"
    PERMISSION = "permission"
    RATE_LIMITED = "rate_limited"
    UNREACHABLE = "unreachable"
    UNAVAILABLE = "unavailable"
    SERVER = "server"
    NO_ANSWER = "no_answer"
    UNREADABLE = "unreadable_answer"
    REDIRECT = "redirect"
    GUARD_FAILED = "guard_failed"
    UNDECIDED = "undecided"
    UNCONFIRMED = "unconfirmed"
    CANNOT_APPLY = "cannot_apply"
    DRIFTED = "drifted"


class Scope(StrEnum):
    """Whom a delay concerns."""

    STEP = "step"
    RUN = "run"


class Policy(Struct, frozen=True):
    """How long to go on.

    Attributes:
        max_attempts: requests for one step at the most, the first included.
        budget_s: seconds from the first attempt of a step to the start of its last.
        backoff_base_s: upper bound of the first random delay; doubled with each attempt.
        backoff_cap_s: no random delay is longer.
    """

    max_attempts: int = 5
    budget_s: float = 900.0
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 60.0


class Attempt(Struct, frozen=True, gc=False):
    """Where a step stands when an answer comes in.

    Attributes:
        number: attempts made so far, this one included.
        elapsed_s: seconds since the first one was sent.
        renewable: whether a new token can be had after a 401, and this step has not just had one.
        guarded: whether the request carried a guard of ours.
        missed: whether an earlier request for the step was lost, and a look did not find its effect.
    """

    number: int
    elapsed_s: float
    renewable: bool
    guarded: bool = False
    missed: bool = False


class Settled(Struct, frozen=True, gc=False):
    """The attempt is over and the step makes `move` (`APPLY`, `REJECT` or `LOSE`)."""

    move: Move
    error: ErrorClass
    message: str
    receipt: Receipt | None = None


class Again(Struct, frozen=True, gc=False):
    """Nothing was executed: wait `delay_s` seconds and send again; everybody waits if the scope is the run."""

    error: ErrorClass
    message: str
    delay_s: float
    scope: Scope


class Halt(Struct, frozen=True):
    """Nothing was executed and the run cannot go on.

    Attributes:
        refused: the service refuses the run as a whole; otherwise patience ran out, and the same may work later.
    """

    error: ErrorClass
    message: str
    hint: str
    refused: bool


Verdict = Settled | Again | Halt

GATEWAY_503 = frozenset({"503000", "503010", "503020", "503030", "503071"})
"""Gateway codes that are given before the service sees the request (errors-and-limits 2.1). 503020 comes with a 403."""

BAD_TOKEN = frozenset({"401013", "403020"})
"""Gateway codes that a new token cures."""

NO_ROUTE = "404040"
"""Gateway code for a path that leads nowhere: the address of the run is wrong, whatever the object is."""

REFUSALS: Mapping[int, ErrorClass] = {
    400: ErrorClass.VALIDATION,
    404: ErrorClass.NOT_FOUND,
    405: ErrorClass.VALIDATION,
    406: ErrorClass.VALIDATION,
    409: ErrorClass.CONFLICT,
    410: ErrorClass.NOT_FOUND,
    412: ErrorClass.CONFLICT,
    413: ErrorClass.TOO_LARGE,
    415: ErrorClass.VALIDATION,
    422: ErrorClass.VALIDATION,
}
"""The service's no to one object. A 4xx that is not listed is a `VALIDATION` too: it says no, whatever its reason."""

LOCKED = frozenset({423, 425})
"""Not executed, and only this object is concerned."""


def judge(
    answer: Answer,
    kind: Kind,
    style: Style,
    attempt: Attempt,
    policy: Policy,
    *,
    now: float,
    chance: float,
) -> Verdict:
    """Judge the answer to a write.

    Args:
        answer: what the transport returned.
        kind: what the step does.
        style: reads the receipt.
        attempt: how often and how long this step has been tried.
        policy: the bounds.
        now: wall-clock seconds since the epoch, for a Retry-After that is a date.
        chance: a random number in [0, 1): the jitter.
    """
    if isinstance(answer, Failure):
        if answer.kind is FailureKind.LOST:
            return Settled(Move.LOSE, ErrorClass.NO_ANSWER, answer.message)
        return _not_sent(answer, attempt, policy, chance)
    if 200 <= answer.status < 300:
        receipt = style.receipt(answer)
        # Looked for only where there may be one: nearly every answer comes by here.
        inner = None if receipt and b'"status"' not in answer.body else _inner_status(answer)
        if inner is None:
            return _accepted(answer, kind, receipt)
        answer = msgspec.structs.replace(answer, status=inner)
    if answer.status == 303:
        # "See other" is also how it is said that a request was carried out, and where to read of it (RFC 9110, 15.4.4).
        return Settled(Move.LOSE, ErrorClass.REDIRECT, message_of(answer))
    return _not_executed(answer, attempt, policy, now, chance) or _refused(answer, kind, attempt)


def judge_read(answer: Answer, attempt: Attempt, policy: Policy, *, scope: Scope, now: float, chance: float) -> Verdict:
    """Judge the answer to a read. A read may always be repeated.

    Args:
        answer: what the transport returned.
        attempt: how often and how long this read has been tried.
        policy: the bounds.
        scope: whom it concerns if the service cannot answer: the run, if the read stands for all of it.
        now: wall-clock seconds since the epoch.
        chance: a random number in [0, 1): the jitter.

    Returns:
        `Settled` with `APPLY` if it is answered, with `REJECT` if it is refused or patience has run out.
    """
    if isinstance(answer, Failure):
        if answer.kind is FailureKind.LOST:
            return _later(ErrorClass.NO_ANSWER, answer.message, scope, None, attempt, policy, chance)
        return _not_sent(answer, attempt, policy, chance)
    if 200 <= answer.status < 300:
        inner = _inner_status(answer)
        if inner is None:
            return Settled(Move.APPLY, ErrorClass.NONE, "")
        answer = msgspec.structs.replace(answer, status=inner)
    if answer.status in LOCKED:
        return _later(ErrorClass.CONFLICT, message_of(answer), scope, None, attempt, policy, chance)
    if verdict := _not_executed(answer, attempt, policy, now, chance):
        return verdict
    if answer.status >= 500 or answer.status == 408:
        return _later(ErrorClass.SERVER, message_of(answer), scope, None, attempt, policy, chance)
    return Settled(Move.REJECT, REFUSALS.get(answer.status, ErrorClass.VALIDATION), message_of(answer))


def _not_sent(failure: Failure, attempt: Attempt, policy: Policy, chance: float) -> Verdict:
    """Wait for a host that cannot be reached; stop for an identity service that says no."""
    if failure.kind is FailureKind.NO_CREDENTIALS:
        return Halt(ErrorClass.CREDENTIALS, failure.message, "check MIGRATOR_CLIENT_ID and its secret", refused=True)
    return _later(ErrorClass.UNREACHABLE, failure.message, Scope.RUN, None, attempt, policy, chance)


def _inner_status(answer: Response) -> int | None:
    """Find the error that a body reports under a 2xx: the status that the answer should have had."""
    body = error_body(answer)
    return body.status if body is not None and 400 <= body.status < 600 else None


def _accepted(answer: Response, kind: Kind, receipt: Receipt | None) -> Verdict:
    """A 2xx with a receipt is done, and so is a deletion, which needs none. Anything else is in doubt.

    A receipt may be cut; and a page, where a deletion is answered with no body or a JSON object, is somebody else's.
    """
    done = receipt is not None
    if kind is Kind.DELETE:
        if answer.status == 202:
            # Contract 3.10: accepted is not done, and a later refusal is told to nobody.
            return Settled(Move.LOSE, ErrorClass.UNCONFIRMED, "HTTP 202: accepted, but is it gone?")
        done = done or not answer.body.strip() or error_body(answer) is not None
    if done:
        return Settled(Move.APPLY, ErrorClass.NONE, "", receipt)
    return Settled(Move.LOSE, ErrorClass.UNREADABLE, f"HTTP {answer.status} without a readable receipt")


def _not_executed(answer: Response, attempt: Attempt, policy: Policy, now: float, chance: float) -> Verdict | None:
    """Judge what was turned away before the service saw it, or `None` if it was not."""
    code = gateway_code(answer)
    status = answer.status
    if status == 401 or code in BAD_TOKEN:
        return _bad_token(answer, attempt)
    if status == 429:
        wait = retry_after_s(answer.headers, now)
        return _later(ErrorClass.RATE_LIMITED, message_of(answer), Scope.RUN, wait, attempt, policy, chance)
    if code in GATEWAY_503:
        wait = retry_after_s(answer.headers, now)
        return _later(ErrorClass.UNAVAILABLE, message_of(answer), Scope.RUN, wait, attempt, policy, chance)
    if status in LOCKED:
        return _later(ErrorClass.CONFLICT, message_of(answer), Scope.STEP, None, attempt, policy, chance)
    if status == 407:
        hint = "put its credentials into https_proxy: http://user:password@proxy:port"
        return Halt(ErrorClass.PERMISSION, "the proxy wants credentials", hint, refused=True)
    if status == 403:
        hint = "check the product profile of the API credentials and the sandbox name"
        return Halt(ErrorClass.PERMISSION, message_of(answer), hint, refused=True)
    if code == NO_ROUTE:
        hint = "check MIGRATOR_BASE_URL and --style: the gateway knows no such path"
        return Halt(ErrorClass.NOT_FOUND, message_of(answer), hint, refused=True)
    if 300 <= status < 400:
        # Only the place: the query and the fragment of a log-in page may hold a token.
        place = answer.headers.get("location", "nowhere").partition("?")[0].partition("#")[0]
        hint = "check MIGRATOR_BASE_URL and any proxy: the service does not redirect"
        return Halt(ErrorClass.REDIRECT, f"HTTP {status} sends us to {place}", hint, refused=True)
    return None


def _bad_token(answer: Response, attempt: Attempt) -> Verdict:
    """The first refusal of a token that can be renewed is repaired; a second in a row stops the run."""
    if attempt.renewable:
        return Again(ErrorClass.CREDENTIALS, message_of(answer), 0.0, Scope.STEP)
    hint = "check the client id and secret, or get a new access token"
    return Halt(ErrorClass.CREDENTIALS, message_of(answer), hint, refused=True)


def _refused(answer: Response, kind: Kind, attempt: Attempt) -> Verdict:
    """Judge what reached the service: a 4xx is its no, anything else may have been executed."""
    status = answer.status
    if status in (404, 410) and kind is Kind.DELETE:
        return Settled(Move.APPLY, ErrorClass.NONE, "it was gone already")
    if _may_be_our_own_doing(answer, kind, attempt):
        return Settled(Move.LOSE, ErrorClass.GUARD_FAILED, message_of(answer))
    if 400 <= status < 500 and status != 408:
        error = REFUSALS.get(status, ErrorClass.VALIDATION)
        return Settled(Move.REJECT, error, message_of(answer))
    return Settled(Move.LOSE, ErrorClass.SERVER, message_of(answer))


def _may_be_our_own_doing(answer: Response, kind: Kind, attempt: Attempt) -> bool:
    """Whether the object may have been refused for not being what it was, which an earlier request may have done.

    A guard that fails says 409 or 412, and in dps, where the documents are silent, perhaps 422 or 400 (C-16). Those are
    the row's own faults, too, so without an earlier request in play they count only if they name the `test`. With one
    in play no refusal counts: it says nothing about the other request. A create that was lost and not found may have
    come late, and then its name is taken. A deletion that was lost goes again at once, so that the one before it may
    still come.
    """
    status = answer.status
    if not 400 <= status < 500 or status == 408:
        return False
    if kind in CREATES:
        return status == 409 and attempt.missed
    if kind is Kind.DELETE:
        return attempt.missed
    if not attempt.guarded:
        return False
    names_test = status in (400, 422) and _NAMES_TEST.search(message_of(answer)) is not None
    return attempt.missed or status in (409, 412) or names_test


_NAMES_TEST = re.compile(r"\btest(ed)?\b", re.IGNORECASE)


def _later(
    error: ErrorClass,
    message: str,
    scope: Scope,
    wait_s: float | None,
    attempt: Attempt,
    policy: Policy,
    chance: float,
) -> Verdict:
    """Send again after what the service asked for, or a random delay; give up when a bound is reached."""
    delay = backoff_s(attempt.number, policy, chance) if wait_s is None else wait_s
    if attempt.number < policy.max_attempts and attempt.elapsed_s + delay <= policy.budget_s:
        return Again(error, message, delay, scope)
    if scope is Scope.STEP:
        return Settled(Move.REJECT, error, message)
    return Halt(error, message, _patience(attempt, delay, policy), refused=False)


def _patience(attempt: Attempt, delay_s: float, policy: Policy) -> str:
    """Say which bound was reached."""
    if attempt.number >= policy.max_attempts:
        return f"tried {attempt.number} times; --max-attempts allows no more"
    return f"the next attempt would be in {delay_s:.0f} s, later than --retry-budget of {policy.budget_s:.0f} s allows"


def backoff_s(number: int, policy: Policy, chance: float) -> float:
    """Return seconds to wait after attempt `number`: exponential with full jitter.

    ``chance × min(cap, base × 2^(number − 1))``
    """
    # The exponent is clamped so that a large number of attempts cannot overflow a float.
    ceiling = policy.backoff_base_s * 2.0 ** min(number - 1, 60)
    return chance * min(policy.backoff_cap_s, ceiling)
