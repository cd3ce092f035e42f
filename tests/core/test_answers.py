"""What an answer says of itself: in one line, and how long to wait."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.core.answers import message_of, retry_after_s
from migrator.core.model import Response
from tests.core.answers import NOW, response


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("38", 38.0),
        (" 2 ", 2.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("Sun, 22 Nov 2026 18:01:30 GMT", 90.0),  # 90 s after NOW
        ("Sunday, 22-Nov-26 18:01:30 GMT", 90.0),  # the obsolete RFC 850 form
        ("Sun, 22 Nov 2026 17:00:00 GMT", 0.0),  # in the past
        ("", None),
        ("   ", None),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e9", None),
        ("5, 10", None),
        ("Infinity ms", None),
    ],
)
def test_retry_after_is_read_strictly(header: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": header}, NOW) == seconds


FAR = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"


@pytest.mark.parametrize("date", [FAR, "Mon, 01 Jan , 00:00:00 GMT", "Mon, 01 Jan 2026 00:00:00 +99999999"])
def test_a_date_beyond_the_calendar_is_nonsense(date: str) -> None:
    assert retry_after_s({"retry-after": date}, NOW) is None
    assert retry_after_s({"retry-after": "Sun, 22 Nov 2026 18:01:30 GMT", "date": date}, NOW) == 90.0


PIECES = ["Mon,", "01", "Jan", ",", "00:00:00", "GMT", "2026", "9" * 20, "+99999999", ":", "0:0", "-1", "²"]
DATES = st.text() | st.lists(st.sampled_from(PIECES)).map(" ".join)


@given(retry_after=DATES, date=DATES)
def test_no_text_breaks_the_reading_of_retry_after(retry_after: str, date: str) -> None:
    seconds = retry_after_s({"retry-after": retry_after, "date": date}, NOW)

    assert seconds is None or seconds >= 0


def test_a_date_is_measured_against_the_clock_of_the_answer() -> None:
    # The service's clock is an hour ahead of ours; it asks for 30 s.
    headers = {"retry-after": "Sun, 22 Nov 2026 19:00:30 GMT", "date": "Sun, 22 Nov 2026 19:00:00 GMT"}

    assert retry_after_s(headers, NOW) == 30.0


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            response(429, {"error_code": "429050", "message": "Too many requests"}),
            "HTTP 429: 429050: Too many requests",
        ),
        (
            response(422, {"title": "Unprocessable entity", "detail": "placement does not exist", "report": {}}),
            "HTTP 422: Unprocessable entity: placement does not exist",
        ),
        (response(409, {"errorMessage": "Supplied version=[1]"}), "HTTP 409: Supplied version=[1]"),
        (response(502, b"<html>\n  bad\n</html>"), "HTTP 502: <html> bad </html>"),
        (response(500), "HTTP 500: no body"),
        (response(500, b"\xff\xfe"), "HTTP 500: ��"),
        (response(400, [1, 2]), "HTTP 400: [1, 2]"),
        (response(400, {"error_code": ["odd"]}), 'HTTP 400: {"error_code": ["odd"]}'),
    ],
)
def test_the_message_of_any_body_is_one_line(answer: Response, message: str) -> None:
    assert message_of(answer) == message


@pytest.mark.parametrize("body", [b"x" * 100_000, {"detail": "y" * 100_000}, {"message": "a\n\tb" * 1000}])
def test_a_long_message_is_cut_to_one_line_that_fits_a_screen(body: Any) -> None:
    message = message_of(response(500, body))

    assert len(message) == len("HTTP 500: ") + 500
    assert message.endswith("…")
    assert "\n" not in message
