"""`migrator report`: the page as a person has it, in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from migrator.core.model import Base, Change, EntityType, Kind, Operation, Row, Touched
from migrator.core.states import State
from migrator.emulator import Emulator, EmulatorSettings, seeded_offer_id
from migrator.ledger.planfile import PlanFile
from migrator.ledger.records import RunRecord
from migrator.ledger.runledger import RunLedger
from migrator.ports import Intent, Outcome
from migrator.reports import page as report_page
from migrator.reports.page import write_page
from migrator.sources import InputShape
from tests.browser import CHROMIUM, Page, browser
from tests.plans import written
from tests.shell.test_upgrade import OLD, load

in_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium")

EVIL = "<img src=x onerror=document.title='owned'></script><script>document.title='owned'</script>\u2028"
"""What runs if it ever becomes more than text."""

T = 1_800_000_000.0
ROWS = 260
SETTINGS = {
    "style": "dps",
    "sandbox": "dev",
    "rate": 40.0,
    "client_secret": "s3cret-1",
    "access_token_command": "s3cret-2",
}

READY = "document.querySelector('#table:not([hidden])')"
OPEN = "document.querySelector('button.line').click()"

CONTRAST = """
(() => {
  const light = (color) => {
    const [red, green, blue] = color.match(/[\\d.]+/g).map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return color === "rgba(0, 0, 0, 0)" && element.parentElement ? behind(element.parentElement) : color;
  };
  const texts = [...document.querySelectorAll("main *, header *, footer *")].filter((element) =>
    element.checkVisibility() && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return texts.map((element) => {
    const [one, other] = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a);
    return [(one + 0.05) / (other + 0.05), element.className || element.tagName];
  }).filter(([ratio]) => ratio < 4.5);
})()
"""
"""Texts whose colour is too near to that of their ground (WCAG 2.2, 1.4.3)."""


async def ledger_of(path: Path, rows: int, word: str = "offer") -> Path:
    """Make the ledger of a run of which every tenth row failed and every ninth is still to be sent."""
    shape = msgspec.json.encode(InputShape("csv", ("id", "/name", word), ",", "\n")).decode()
    with PlanFile(path, "dps") as plan:
        for line in range(2, rows + 2):
            object_ = f"{word}-{line}"
            edits = (Operation("replace", "/name", f"new {word}"),)
            raw = json.dumps([object_, f"new {word}", f"cell {word}"])
            change = Change(line, f"box {word}", EntityType.PERSONALIZED_OFFER, object_, Kind.PATCH, edits)
            plan.add(Row(line, {}, raw), change)
        plan.merge()
        settings = json.dumps(SETTINGS)
        plan.finish(RunRecord("spring", T, "dps", f"{word}.csv", "0" * 64, shape, "f" * 64, settings, rows, rows))
    async with RunLedger(path) as ledger:
        for line in range(2, rows + 2):
            if line % 9 == 0:
                continue
            touched = (Touched(f"/{word}", f"The old {word} of summer", f"The new {word} of summer"),)
            ledger.keep(line, Base(3, touched, b"[]", guarded=True, name=f"{word} no. {line}"))
            await written(ledger, Intent(line, 1, f"request-{line}", T + line / 30))
            failed = line % 10 == 0
            state, status = (State.REJECTED, 422) if failed else (State.APPLIED, 200)
            said = ("validation", f"HTTP 422: {word} cannot be read on {line}") if failed else ("", "")
            ledger.record(Outcome(line, state, T + line / 30 + 0.2, status, *said, etag=4))
    return path


def write(ledger: Path, *, running: bool = False) -> str:
    """Write the page of a ledger beside it and return its address."""
    path = ledger.with_suffix(".html")
    write_page(ledger, path, lambda _: "migrator results spring", T + 3600, running=running)
    return path.absolute().as_uri()


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """A browser, which has nothing to complain of and asks for nothing but the page until the test is over."""
    async with browser(tmp_path / "profile") as page:
        yield page
        assert page.complaints == []
        assert [url for url in page.requests if not url.startswith(("file:", "data:", "about:"))] == []


@in_browser
async def test_rows_are_filtered_searched_paged_and_opened(page: Page, tmp_path: Path) -> None:
    ledger = await ledger_of(tmp_path / "l.sqlite", ROWS)
    await page.open(write(ledger))
    await page.until(READY)

    shown = "[...document.querySelectorAll('#filter label')].filter((one) => one.checkVisibility()).length"
    assert await page.run(shown) == 3, "there is one sandbox, among which nobody has to choose"
    # Of the lines 2 to 261, 29 are multiples of 9 and 26 of 10, of which 2 (90 and 180) are of both.
    assert await page.text("#found") == "53 rows of 260, 1 to 50 shown"
    assert await page.run("document.querySelectorAll('#table tbody tr').length") == 50
    await page.click("#next")
    assert await page.run("document.querySelectorAll('#table tbody tr').length") == 3
    assert await page.text("#page") == "Page 2 of 2"

    await page.click("[data-error=validation]")
    assert (await page.text("#found")).startswith("24 rows")
    await page.run("document.querySelector('#text').focus()")
    await page.type("offer-100")
    await page.until("document.querySelector('#found').textContent.startsWith('1 row ')")
    assert "HTTP 422: offer cannot be read on 100" in await page.text("#table tbody")

    await page.click("button.line")
    detail = await page.text(".detail")
    assert "The old offer of summer" in detail.replace("\n", "")
    assert "request-100" in detail
    assert "cell offer" in detail
    assert await page.run("[...document.querySelectorAll('.place b')].map((one) => one.textContent)") == ["old", "new"]
    await page.click("button.line")
    assert await page.run("document.querySelector('.detail')") is None

    await page.click("[type=reset]")
    assert (await page.text("#found")).startswith("260 rows")


@in_browser
async def test_all_can_be_done_by_the_keyboard(page: Page, tmp_path: Path) -> None:
    await page.open(write(await ledger_of(tmp_path / "l.sqlite", 30)))
    await page.until(READY)

    async def focused() -> str:
        return str(await page.run("document.activeElement.id || document.activeElement.className"))

    passed = []
    for _ in range(30):
        await page.press("Tab", 9)
        passed.append(await focused())
        if passed[-1] == "line":
            break
    assert passed[0] == "skip"
    assert [one for one in passed if one in {"text", "by-outcome", "by-error"}] == ["text", "by-outcome", "by-error"]
    outline = await page.run("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "one sees where one is"
    await page.press("Enter", 13, "\r")
    assert await page.run("document.activeElement.getAttribute('aria-expanded')") == "true"
    assert "request-" in await page.text(".detail") or "nothing was sent" in await page.text(".detail")


@in_browser
async def test_values_are_shown_as_text_and_nothing_in_them_runs(page: Page, tmp_path: Path) -> None:
    await page.open(write(await ledger_of(tmp_path / "l.sqlite", 30, EVIL)))
    await page.until(READY)
    await page.run(OPEN)
    await page.click("[type=reset]")
    await page.run("document.querySelectorAll('button.line').forEach((line) => line.click())")

    assert "owned" not in await page.run("document.title")
    assert await page.run("document.querySelectorAll('img').length") == 0
    whole = await page.text("body")
    assert whole.count("<img src=x onerror=document.title='owned'></script>") > 100
    assert await page.run("document.querySelectorAll('script:not([type])').length") == 1


@in_browser
async def test_markup_that_got_in_all_the_same_could_not_run_or_load_anything(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "l.html"
    write(await ledger_of(tmp_path / "l.sqlite", 3))
    evil = "<img src=http://127.0.0.1:9/x onerror=document.title='owned'><script>document.title='owned'</script>"
    path.write_text(path.read_text(encoding="utf-8").replace("<main>", f"<main>{evil}"), encoding="utf-8")

    await page.open(path.as_uri())
    await page.until(READY)

    assert await page.run("document.title") != "owned"
    assert len(page.complaints) == 3, "the browser says of each of the two scripts and of the image that it is refused"
    page.complaints.clear()
    page.requests.clear()


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_texts_stand_out_from_their_ground(page: Page, tmp_path: Path, scheme: str) -> None:
    await page.prefer(scheme)
    await page.open(write(await ledger_of(tmp_path / "l.sqlite", 30), running=True))
    await page.until(READY)
    await page.click("[type=reset]")
    await page.run("document.querySelectorAll('button.line, summary').forEach((one) => one.click())")

    assert await page.run(CONTRAST) == []
    paper = await page.run("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", paper)[0]) < 64) == (scheme == "dark")


@in_browser
async def test_a_phone_shows_all_of_it_without_scrolling_sideways(page: Page, tmp_path: Path) -> None:
    await page.resize(360, 740, phone=True)
    await page.open(write(await ledger_of(tmp_path / "l.sqlite", 30, "a-word-that-is-" + "long" * 30)))
    await page.until(READY)
    await page.run("document.querySelectorAll('button.line, summary').forEach((one) => one.click())")

    assert await page.run("document.documentElement.scrollWidth") == 360
    fields = "[...document.querySelectorAll('#filter :is(input, select, button)')].filter((one) => one.offsetParent)"
    assert min(await page.run(f"{fields}.map((one) => one.offsetHeight)")) >= 40, "large enough for a thumb"


@in_browser
async def test_the_page_is_said_in_the_words_of_a_page(page: Page, tmp_path: Path) -> None:
    await page.open(write(await ledger_of(tmp_path / "l.sqlite", 30)))
    await page.until(READY)

    async def count(selector: str) -> int:
        return int(await page.run(f"document.querySelectorAll({json.dumps(selector)}).length"))

    assert [await count(landmark) for landmark in ("header", "main", "footer", "nav[aria-label]", "h1")] == [1] * 5
    assert await count("section") == await count("section[aria-labelledby]") >= 6
    assert await count("thead th") == await count("thead th[scope=col]") > 5
    assert await count("svg[role=img][aria-label], svg svg, svg[aria-hidden]") == await count("svg")
    assert await page.run("[...document.querySelectorAll('input, select')].every((one) => one.labels.length === 1)")
    assert await page.run("document.documentElement.lang") == "en"


@in_browser
async def test_what_is_printed_has_the_rows_and_no_controls(page: Page, tmp_path: Path) -> None:
    await page.open(write(await ledger_of(tmp_path / "l.sqlite", ROWS)))
    await page.until(READY)

    await page.prefer("light", "print")
    assert await page.run("getComputedStyle(document.querySelector('#filter')).display") == "none"
    await page.run("dispatchEvent(new Event('beforeprint'))")
    assert await page.run("document.querySelectorAll('#table tbody tr').length") == 53, "not only those of one page"
    await page.run("dispatchEvent(new Event('afterprint'))")
    assert (await page.printed()).startswith(b"%PDF")


@in_browser
async def test_without_scripts_one_reads_how_it_went_and_where_the_rows_are(page: Page, tmp_path: Path) -> None:
    await page.ask("Emulation.setScriptExecutionDisabled", value=True)
    await page.open(write(await ledger_of(tmp_path / "l.sqlite", 30)))
    await page.ask("Emulation.setScriptExecutionDisabled", value=False)

    assert "migrator results spring" in await page.text("noscript")
    assert "applied" in await page.text("main")
    assert await page.run("document.querySelector('#filter').checkVisibility()") is False


async def test_no_secret_is_in_it_whatever_the_ledger_has(tmp_path: Path) -> None:
    write(await ledger_of(tmp_path / "l.sqlite", 3))

    text = (tmp_path / "l.html").read_text(encoding="utf-8")
    assert "s3cret" not in text
    assert "client_secret" not in text
    assert "Requests a second, all together" in text, "settings are there, with what they mean"


async def test_of_more_rows_than_a_page_can_have_those_to_look_at_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_page, "MOST_ROWS", 20)
    write(await ledger_of(tmp_path / "l.sqlite", 50))

    text = (tmp_path / "l.html").read_text(encoding="utf-8")
    rows = json.loads(re.findall(r'class="rows">(.*?)</script>', text)[0])
    care = [line for line in range(2, 52) if line % 9 == 0 or line % 10 == 0]
    assert len(rows) == 20
    assert set(care) < {row[0] for row in rows}
    assert "The page has 20 of 50 rows" in text


@pytest.fixture(params=OLD, ids=lambda dump: f"{dump.parent.name}-{dump.stem}")
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return load(request.param, tmp_path / "ledger.sqlite")


def test_a_ledger_of_an_earlier_format_is_told_as_it_is(old: Path) -> None:
    before = old.read_bytes()
    summary = write_page(old, old.with_suffix(".html"), lambda _: "", T, running=False)

    text = old.with_suffix(".html").read_text(encoding="utf-8")
    rows = [row for chunk in re.findall(r'class="rows">(.*?)</script>', text) for row in json.loads(chunk)]
    assert len(rows) == summary.run.rows
    assert old.read_bytes() == before


@in_browser
async def test_a_run_is_reported_with_its_errors_and_what_to_type(migrator: Any, page: Page) -> None:
    async with Emulator(EmulatorSettings(seed_offers=3)) as server:
        rows = [(seeded_offer_id(0), "New", "ann"), ("dps:personalized-offer:0000000000000000", "Nobody", "ben")]
        migrator.point_at(server.url).write("c.csv", ("id", "/name", "owner"), rows)
        await migrator("apply", "c.csv", "--yes", "--run-id", "spring")

        written_ = await migrator("report", "--out", "r.html", "--output", "json")
        in_folder = await migrator("report", "spring")

        assert json.loads(written_.out) == {"event": "file", "path": "r.html", "rows": 2}
        assert in_folder.out == "runs/spring/report.html\n"
        path = migrator.folder / "r.html"
        for secret in ("test-secret-3f9a", "Bearer", "eyJ"):
            assert secret not in path.read_text(encoding="utf-8")
        await page.open(path.as_uri())
        await page.until(READY)
        main = await page.text("main")
        assert "1 applied" in main.replace("\n", " ")
        assert "migrator results spring" in main
        assert "check the id, the container and the sandbox" in main
        assert "1 row of 2" in await page.text("#found")
        await page.click("[type=reset]")
        await page.run("document.querySelector('button.line').click()")
        assert "ann" in await page.text(".detail")
        changed = await page.run(
            "[...document.querySelectorAll('.place code code, .place > code')].map((one) => one.innerText)"
        )
        assert any("/name" in one for one in changed)


async def test_a_file_that_cannot_be_written_is_named_and_nothing_is_left_of_it(migrator: Any) -> None:
    async with Emulator(EmulatorSettings(seed_offers=1)) as server:
        migrator.point_at(server.url).write("c.csv", ("id", "/name"), [(seeded_offer_id(0), "New")])
        await migrator("apply", "c.csv", "--yes")

        ended = await migrator("report", "--out", "nowhere/r.html")

        assert ended.code == 2
        assert "nowhere/r.html cannot be written" in ended.err
