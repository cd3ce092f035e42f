"""What an answer means, as tables: one line for each cell of the contract's classification."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.core.model import Answer, Failure, FailureKind, Kind
from migrator.core.states import Move
from migrator.core.styles import DPS
from migrator.core.verdict import (
    Again,
    Attempt,
    ErrorClass,
    Halt,
    Policy,
    Scope,
    Settled,
    Verdict,
    backoff_s,
    judge,
    judge_read,
)
from tests.core.answers import NOW, response

FIRST = Attempt(number=1, elapsed_s=0.0, renewable=True)
POLICY = Policy(max_attempts=5, budget_s=900, backoff_base_s=1, backoff_cap_s=60)


def judged(answer: Answer, kind: Kind = Kind.PATCH, attempt: Attempt = FIRST, chance: float = 0.5) -> Verdict:
    return judge(answer, kind, DPS, attempt, POLICY, now=NOW, chance=chance)


def outline(verdict: Verdict) -> str:
    """Spell a verdict as the tables below do."""
    match verdict:
        case Settled(move, error):
            return f"{move}:{error}"
        case Again(error, _, _, scope):
            return f"again {scope}:{error}"
        case Halt(error, _, _, refused):
            return f"{'refused' if refused else 'halt'}:{error}"


GATEWAY = {"error_code": "", "message": "…"}


def gateway(code: str) -> dict[str, str]:
    return {**GATEWAY, "error_code": code}


@pytest.mark.parametrize(
    ("answer", "patch", "create", "delete"),
    [
        # What was turned away before the service saw it may be sent again, whatever it was.
        (response(401), "again step:credentials", None, None),
        (response(401, gateway("401013")), "again step:credentials", None, None),
        (response(403, gateway("403020")), "again step:credentials", None, None),
        (response(401, gateway("401014")), "again step:credentials", None, None),
        (response(401, gateway("401015")), "again step:credentials", None, None),
        (response(429), "again run:rate_limited", None, None),
        (response(429, gateway("429001")), "again run:rate_limited", None, None),
        (response(429, gateway("429002")), "again run:rate_limited", None, None),
        (response(429, gateway("429050")), "again run:rate_limited", None, None),
        (response(429, {"type": "https://ns/CJMOC-6104-429", "report": {}}), "again run:rate_limited", None, None),
        (response(429, b"<html>"), "again run:rate_limited", None, None),
        (response(503, gateway("503000")), "again run:unavailable", None, None),
        (response(503, gateway("503010")), "again run:unavailable", None, None),
        (response(403, gateway("503020")), "again run:unavailable", None, None),
        (response(503, gateway("503030")), "again run:unavailable", None, None),
        (response(503, gateway("503071")), "again run:unavailable", None, None),
        (response(423), "again step:conflict", None, None),
        (response(425), "again step:conflict", None, None),
        (response(423, {"title": "Locked"}), "again step:conflict", None, None),
        (response(425, b"<html>"), "again step:conflict", None, None),
        (Failure(FailureKind.NOT_SENT, "refused"), "again run:unreachable", None, None),
        # What refuses the run as a whole.
        (response(403), "refused:permission", None, None),
        (response(403, gateway("403025")), "refused:permission", None, None),
        (response(403, gateway("403000")), "refused:permission", None, None),
        (response(403, gateway("403010")), "refused:permission", None, None),
        (response(403, gateway("403027")), "refused:permission", None, None),
        (response(403, b"<html>blocked</html>"), "refused:permission", None, None),
        (response(407), "refused:permission", None, None),
        (response(404, gateway("404040")), "refused:not_found", None, None),
        (response(300), "refused:redirect", None, None),
        (response(301, location="https://login.example"), "refused:redirect", None, None),
        (response(302, location="https://login.example"), "refused:redirect", None, None),
        (response(304), "refused:redirect", None, None),
        (response(307, location="/there"), "refused:redirect", None, None),
        (response(308, location="/there"), "refused:redirect", None, None),
        (Failure(FailureKind.NO_CREDENTIALS, "invalid_client"), "refused:credentials", None, None),
        # The service's no to one object.
        (response(400), "reject:validation", None, None),
        (response(400, gateway("400003")), "reject:validation", None, None),
        (response(400, b"<html>"), "reject:validation", None, None),
        (response(404), "reject:not_found", "reject:not_found", "apply:"),
        (response(404, {"title": "Not Found"}), "reject:not_found", "reject:not_found", "apply:"),
        (response(404, b"<html>"), "reject:not_found", "reject:not_found", "apply:"),
        (response(410), "reject:not_found", "reject:not_found", "apply:"),
        (response(405), "reject:validation", None, None),
        (response(406), "reject:validation", None, None),
        (response(409), "reject:conflict", None, None),
        (response(409, {"errorMessage": "Supplied version=[1] does not match"}), "reject:conflict", None, None),
        (response(412), "reject:conflict", None, None),
        (response(413), "reject:too_large", None, None),
        (response(415), "reject:validation", None, None),
        (response(422), "reject:validation", None, None),
        *[
            (response(status), "reject:validation", None, None)
            for status in (402, 411, 414, 416, 417, 418, 421, 424, 426, 428, 431, 451, 499)
        ],
        # What may have been executed is in doubt.
        (response(303, location="/operations/7"), "lose:redirect", None, None),
        (response(408), "lose:server", None, None),
        (response(408, {"title": "Request Timeout"}), "lose:server", None, None),
        (response(500), "lose:server", None, None),
        (response(500, {"status": 500, "title": "x"}), "lose:server", None, None),
        (response(501), "lose:server", None, None),
        (response(502, b"<html>bad gateway</html>"), "lose:server", None, None),
        (response(503), "lose:server", None, None),
        (response(503, retry_after="5"), "lose:server", None, None),
        # … also where its code is none of those the gateway gives before the service sees the request.
        (response(503, gateway("503999")), "lose:server", None, None),
        (response(503, gateway("429050")), "lose:server", None, None),
        (response(503, b"<html>unavailable</html>"), "lose:server", None, None),
        (response(504), "lose:server", None, None),
        (response(504, b"<html>gateway time-out</html>"), "lose:server", None, None),
        *[
            (response(status, b"error code: %d" % status), "lose:server", None, None)
            for status in (505, 507, 508, 511, *range(520, 528), 530, 599, 999)
        ],
        (Failure(FailureKind.LOST, "reset"), "lose:no_answer", None, None),
        # A 2xx is done when its receipt can be read.
        (response(200, {"id": "x", "etag": 2}), "apply:", "apply:", "apply:"),
        (response(201, {"id": "x", "etag": 1}), "apply:", "apply:", "apply:"),
        (response(200, {"id": "x"}), "apply:", "apply:", "apply:"),
        (response(200, {"etag": 2}), "lose:unreadable_answer", "lose:unreadable_answer", "apply:"),
        (response(200, {}), "lose:unreadable_answer", "lose:unreadable_answer", "apply:"),
        (response(200), "lose:unreadable_answer", "lose:unreadable_answer", "apply:"),
        (response(200, b" \r\n"), "lose:unreadable_answer", "lose:unreadable_answer", "apply:"),
        (response(202), "lose:unreadable_answer", "lose:unreadable_answer", "lose:unconfirmed"),
        (response(204), "lose:unreadable_answer", "lose:unreadable_answer", "apply:"),
        (response(200, b'{"id": "caf\xe9"}'), "lose:unreadable_answer", "lose:unreadable_answer", "apply:"),
        # A deletion needs no receipt, but what it is answered with must not be a stranger's page.
        (response(200, b"<html>Welcome</html>"), "lose:unreadable_answer", None, None),
        (response(200, b"[]"), "lose:unreadable_answer", None, None),
        (response(200, b"null"), "lose:unreadable_answer", None, None),
        (response(200, b'{"id": "x", "et'), "lose:unreadable_answer", None, None),
        (response(200, b"[" * 100_000), "lose:unreadable_answer", None, None),
        (response(422, b'{"title": "caf\xe9"}'), "reject:validation", None, None),
        (response(500, b"[" * 100_000), "lose:server", None, None),
        # A 2xx whose body reports an error is judged by that error.
        (response(200, {"status": 500, "title": "x"}), "lose:server", None, None),
        (response(200, {"status": 422, "title": "x"}), "reject:validation", None, None),
        (response(200, {"status": "422"}), "reject:validation", None, None),
        (response(207, {"status": 409}), "reject:conflict", None, None),
        (response(200, {"status": 404}), "reject:not_found", "reject:not_found", "apply:"),
        (response(200, {"status": 401}), "again step:credentials", None, None),
        (response(200, {"status": 403}), "refused:permission", None, None),
        (response(200, {"status": 408}), "lose:server", None, None),
        (response(200, {"status": 425}), "again step:conflict", None, None),
        (response(200, {"status": 429}), "again run:rate_limited", None, None),
        (response(200, {"status": 503}), "lose:server", None, None),
        (response(200, {"status": 503, "error_code": "503010"}), "again run:unavailable", None, None),
        (response(200, {"status": 404, "error_code": "404040"}), "refused:not_found", None, None),
        # … where it is one, and there is no receipt.
        (response(200, {"status": 302}), "lose:unreadable_answer", "lose:unreadable_answer", "apply:"),
        (response(200, {"status": 200}), "lose:unreadable_answer", "lose:unreadable_answer", "apply:"),
        (response(200, {"status": 600}), "lose:unreadable_answer", "lose:unreadable_answer", "apply:"),
        (response(200, {"status": 422, "id": "x"}), "reject:validation", None, None),
        (response(200, {"status": "approved", "id": "x"}), "apply:", "apply:", "apply:"),
        # A member of a wrong type does not hide the others.
        (response(503, {"error_code": "503010", "message": None}), "again run:unavailable", None, None),
        (response(503, {"error_code": 503010, "status": "x", "title": 5}), "again run:unavailable", None, None),
        (response(403, {"error_code": "403020", "message": None}), "again step:credentials", None, None),
        (
            response(503, b'{"error_code": "503010", "detail": 1e999, "title": "caf\xe9"}'),
            "again run:unavailable",
            None,
            None,
        ),
        (response(200, {"status": 422, "title": ["x"]}), "reject:validation", None, None),
    ],
)
def test_an_answer_to_a_write_is_judged(answer: Answer, patch: str, create: str | None, delete: str | None) -> None:
    assert outline(judged(answer, Kind.PATCH)) == outline(judged(answer, Kind.REPLACE)) == patch
    assert outline(judged(answer, Kind.CREATE)) == (create or patch)
    assert outline(judged(answer, Kind.DELETE)) == (delete or patch)


GUARDED = Attempt(1, 0.0, renewable=True, guarded=True)
MISSED = Attempt(1, 0.0, renewable=True, missed=True)
BOTH = Attempt(1, 0.0, renewable=True, guarded=True, missed=True)

NAMES_TEST = {"title": "a test operation failed"}


@pytest.mark.parametrize(
    ("answer", "guarded", "missed", "both", "create_missed", "delete_missed"),
    [
        # What a guard that fails may say is no refusal of the row while there is a guard; with an earlier request in
        # play nothing is. Without one the row was meant.
        (response(409), "guard_failed", "conflict", "guard_failed", "guard_failed", "guard_failed"),
        (response(412), "guard_failed", "conflict", "guard_failed", "conflict", "guard_failed"),
        (response(422, NAMES_TEST), "guard_failed", "validation", "guard_failed", "validation", "guard_failed"),
        (response(400, NAMES_TEST), "guard_failed", "validation", "guard_failed", "validation", "guard_failed"),
        (response(422, {"detail": "TESTED: no"}), "guard_failed", "validation", "guard_failed", "validation", None),
        (response(200, {"status": 412}), "guard_failed", "conflict", "guard_failed", "conflict", None),
        (response(422), "validation", "validation", "guard_failed", "validation", "guard_failed"),
        (response(422, {"title": "contest, latest"}), "validation", "validation", "guard_failed", "validation", None),
        (response(400), "validation", "validation", "guard_failed", "validation", "guard_failed"),
        (response(404, NAMES_TEST), "not_found", "not_found", "guard_failed", "not_found", "none"),
        (response(410), "not_found", "not_found", "guard_failed", "not_found", "none"),
        (response(405), "validation", "validation", "guard_failed", "validation", "guard_failed"),
        (response(413), "too_large", "too_large", "guard_failed", "too_large", "guard_failed"),
        (response(418), "validation", "validation", "guard_failed", "validation", "guard_failed"),
        # What may have been executed is in doubt for that reason.
        (response(408), "server", "server", "server", "server", "server"),
        (response(500, NAMES_TEST), "server", "server", "server", "server", "server"),
        (response(503), "server", "server", "server", "server", "server"),
    ],
)
def test_a_refusal_is_judged_by_what_else_is_in_play(
    answer: Answer, guarded: str, missed: str, both: str, create_missed: str, delete_missed: str | None
) -> None:
    def error(kind: Kind, attempt: Attempt) -> str:
        verdict = judged(answer, kind, attempt)
        assert isinstance(verdict, Settled)
        in_doubt = verdict.error in (ErrorClass.GUARD_FAILED, ErrorClass.SERVER)
        assert verdict.move is (Move.LOSE if in_doubt else Move.REJECT if verdict.error else Move.APPLY)
        return verdict.error or "none"

    for kind in (Kind.PATCH, Kind.EDIT, Kind.REPLACE):
        assert error(kind, GUARDED) == guarded
        assert error(kind, MISSED) == missed
        assert error(kind, BOTH) == both
    assert error(Kind.CREATE, MISSED) == create_missed
    assert error(Kind.DELETE, MISSED) == (delete_missed or "guard_failed")
    for kind in (Kind.CREATE, Kind.DELETE):  # which never have one
        assert error(kind, FIRST) in (missed, "none")


@pytest.mark.parametrize("attempt", [GUARDED, MISSED, BOTH])
@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (response(200, {"id": "x", "etag": 2}), "apply:"),
        (response(401), "again step:credentials"),
        (response(403), "refused:permission"),
        (response(423), "again step:conflict"),
        (response(429), "again run:rate_limited"),
        (response(503, gateway("503010")), "again run:unavailable"),
        (response(404, gateway("404040")), "refused:not_found"),
        (Failure(FailureKind.LOST, "reset"), "lose:no_answer"),
    ],
)
def test_what_is_not_a_refusal_is_judged_as_ever(attempt: Attempt, answer: Answer, verdict: str) -> None:
    assert outline(judged(answer, Kind.PATCH, attempt)) == verdict


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (response(200), "apply:"),
        (response(500), "again run:server"),
        (response(504), "again run:server"),
        (response(503), "again run:server"),
        (response(429), "again run:rate_limited"),
        (response(401), "again step:credentials"),
        (response(403), "refused:permission"),
        (response(404), "reject:not_found"),
        (response(404, gateway("404040")), "refused:not_found"),
        (response(408), "again run:server"),
        (response(303), "refused:redirect"),
        (response(520), "again run:server"),
        (response(503, gateway("503010")), "again run:unavailable"),
        (response(410), "reject:not_found"),
        (response(400), "reject:validation"),
        (response(423), "again run:conflict"),
        (response(425), "again run:conflict"),
        # A 2xx whose body reports an error is judged by that error.
        (response(200, {"status": 403, "title": "x"}), "refused:permission"),
        (response(200, {"status": "500"}), "again run:server"),
        (response(200, {"status": 423}), "again run:conflict"),
        (response(200, {"status": "approved", "results": []}), "apply:"),
        (Failure(FailureKind.LOST, "reset"), "again run:no_answer"),
        (Failure(FailureKind.NOT_SENT, "refused"), "again run:unreachable"),
        (Failure(FailureKind.NO_CREDENTIALS, "no"), "refused:credentials"),
    ],
)
def test_an_answer_to_a_read_is_judged(answer: Answer, verdict: str) -> None:
    assert outline(judge_read(answer, FIRST, POLICY, scope=Scope.RUN, now=NOW, chance=0.5)) == verdict


@given(status=st.integers(100, 599), inner=st.integers(0, 999))
def test_a_read_for_the_whole_run_is_not_tried_without_end(status: int, inner: int) -> None:
    last = Attempt(number=5, elapsed_s=10, renewable=False)

    verdict = judge_read(response(status, {"status": inner}), last, POLICY, scope=Scope.RUN, now=NOW, chance=0.5)

    assert isinstance(verdict, Halt) or (isinstance(verdict, Settled) and verdict.move in (Move.APPLY, Move.REJECT))


def test_a_redirect_is_quoted_without_what_may_hold_a_token() -> None:
    verdict = judged(response(302, location="https://login.example/in?token=s3cret#id=s3cret"))

    assert isinstance(verdict, Halt)
    assert verdict.message == "HTTP 302 sends us to https://login.example/in"


def test_a_receipt_is_read_into_the_verdict() -> None:
    verdict = judged(response(200, {"id": "dps:offer:1", "etag": 7, "datasetId": "ignored"}))

    assert isinstance(verdict, Settled)
    assert verdict.receipt is not None
    assert (verdict.receipt.object, verdict.receipt.etag, verdict.receipt.reference) == (
        "dps:offer:1",
        7,
        "dps:offer:1",
    )


def test_a_second_refusal_of_a_token_in_a_row_stops_the_run() -> None:
    renewed = Attempt(number=2, elapsed_s=1, renewable=False)

    assert outline(judged(response(401), attempt=renewed)) == "refused:credentials"


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_attempts_below_the_bound_go_on(number: int) -> None:
    assert outline(judged(response(429), attempt=Attempt(number, 0, renewable=True))) == "again run:rate_limited"


def test_the_last_attempt_stops_the_run_when_it_was_not_the_rows_fault() -> None:
    verdict = judged(response(429), attempt=Attempt(5, 10, renewable=True))

    assert outline(verdict) == "halt:rate_limited"
    assert isinstance(verdict, Halt)
    assert verdict.hint == "tried 5 times; --max-attempts allows no more"


def test_the_last_attempt_rejects_the_row_when_it_alone_is_locked() -> None:
    assert outline(judged(response(423), attempt=Attempt(5, 10, renewable=True))) == "reject:conflict"


def test_a_wait_longer_than_the_budget_stops_the_run_instead_of_sleeping_for_hours() -> None:
    verdict = judged(response(429, retry_after="3600"), attempt=Attempt(1, 0, renewable=True))

    assert isinstance(verdict, Halt)
    assert "in 3600 s" in verdict.hint


def test_retry_after_is_obeyed_and_without_it_the_delay_is_random() -> None:
    asked = judged(response(429, retry_after="7"), chance=0.25)
    unasked = judged(response(429), attempt=Attempt(3, 0, renewable=True), chance=0.25)

    assert isinstance(asked, Again)
    assert isinstance(unasked, Again)
    assert asked.delay_s == 7.0
    assert unasked.delay_s == 0.25 * 1 * 2**2  # chance × base × 2^(3 − 1)


@pytest.mark.parametrize(
    ("number", "ceiling"),
    [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (100, 60), (10_000, 60)],  # base 1, doubled, capped at 60
)
def test_back_off_doubles_up_to_its_cap(number: int, ceiling: float) -> None:
    assert backoff_s(number, POLICY, 1.0) == ceiling
    assert backoff_s(number, POLICY, 0.0) == 0


@given(status=st.integers(100, 599), body=st.binary(max_size=200), kind=st.sampled_from([Kind.PATCH, Kind.CREATE]))
def test_whatever_the_service_says_a_write_is_repeated_only_on_proof(status: int, body: bytes, kind: Kind) -> None:
    verdict = judged(response(status, body), kind)

    if isinstance(verdict, Again):
        assert status in (401, 403, 423, 425, 429, 503)
        assert status not in (403, 503) or b"error_code" in body
    if isinstance(verdict, Settled) and verdict.move is Move.APPLY:
        assert 200 <= status < 300


def test_every_error_class_is_one_word() -> None:
    assert all(error.value.replace("_", "a").isalpha() for error in ErrorClass if error)
    assert set(Scope) == {Scope.STEP, Scope.RUN}
