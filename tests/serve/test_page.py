"""The page in a real browser. Without one on PATH these tests are skipped, and say so."""

from __future__ import annotations

import re
import shutil

import pytest

from segue.core.types import Event
from segue.store import events, tastes

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on PATH: apt-get install chromium runs the page's tests"
)


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """A page that fails its test when the console shows an error."""
    complaints = []
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(8000)
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.complaints = complaints
    yield page
    context.close()
    assert complaints == []


def _titles(page, rail="for-you"):
    return page.locator(f"[data-rail={rail}] .card").evaluate_all(
        "cards => cards.map(card => card.dataset.item)"
    )


def _card(page, item, rail="for-you"):
    return page.locator(f"[data-rail={rail}] .card[data-item='{item}']")


def _wait_for_list(page):
    page.locator("#toast.toast--on", has_text=re.compile(r"new list in \d+ ms")).wait_for()


def test_a_person_is_chosen_from_the_list(page):
    page.goto("/")
    assert page.locator("h1").inner_text() == "New visitor"
    page.locator("#choose").click()
    page.locator(".people__row", has_text="technician").wait_for()
    page.locator("#people-search").fill("woman 53")
    page.locator(".people__row", has_text="Person 1").wait_for(state="detached")
    row = page.locator(".people__row", has_text="Person 2")
    assert "woman · 53 · writer · 1 event" in row.inner_text()
    assert "Film 2 (1962)" in row.inner_text()
    row.click()
    page.wait_for_url("**/?user=2")
    assert page.locator("h1").inner_text() == "Person 2"
    rails = page.locator(".rail h2").all_inner_texts()
    assert rails == [
        "For you",
        "Because you liked Film 2 (1962)",
        "New here",
        "From your media folder",
    ]


def test_a_like_is_stored_reorders_in_place_and_shows_the_delay(page, service):
    page.goto("/?user=2")
    before = _titles(page)
    kept = before[0]
    _card(page, kept).evaluate("card => { card.mark = 1; }")
    _card(page, "film/3").locator("[data-act=like]").click()
    _wait_for_list(page)
    after = _titles(page)
    assert before != after
    assert "film/3" not in after
    assert after[:2] == [kept, "film/7"]
    assert "film/7" not in before
    newest = events.recent(service.engine, "2", 1)[0]
    assert (newest.item_id, newest.kind) == ("film/3", "like")
    page.locator(".rail h2", has_text="Because you liked Film 3 (1963)").wait_for()
    # The node itself moved: its picture did not load again.
    assert _card(page, kept).evaluate("card => card.mark") == 1


def test_undo_brings_the_old_list_back(page):
    page.goto("/?user=2")
    before = _titles(page)
    _card(page, before[1]).locator("[data-act=dislike]").click()
    _wait_for_list(page)
    assert _titles(page) != before
    page.locator("#toast button").click()
    page.locator("#toast", has_text="Took back").wait_for()
    assert _titles(page) == before


def test_hide_removes_the_card(page):
    page.goto("/?user=1")
    first = _titles(page)[0]
    _card(page, first).locator("[data-act=hide]").click()
    _wait_for_list(page)
    page.locator(f".card[data-item='{first}']").first.wait_for(state="detached")
    page.reload()
    assert page.locator(f".card[data-item='{first}']").count() == 0


def test_why_lists_every_reason_with_its_share(page):
    page.goto("/?user=1")
    card = page.locator("[data-rail=for-you] .card").first
    assert re.search(r"\d+ %", card.locator(".why__share").inner_text())
    card.locator("summary").click()
    shares = card.locator("progress").evaluate_all("bars => bars.map(bar => bar.value)")
    assert len(shares) == 3
    assert sum(shares) == pytest.approx(1, abs=1e-3)
    assert "because you liked Film 5 (1965)" in card.locator(".bars").inner_text()


def test_search_finds_in_english_and_chinese(page):
    page.goto("/?user=1")
    for words, item in (("the sea", "film/7"), ("海", "media-1"), ("Film 12", "film/12")):
        page.locator("#search").fill(words)
        page.locator(f"#results .card[data-item='{item}']").wait_for()
    assert page.locator("#home").is_hidden()
    page.locator("#search").fill("")
    page.locator("#home").wait_for()


def test_the_dialog_shows_details_player_and_similar(page):
    page.goto("/?user=1")
    card = page.locator(".card[data-item='media-0']").first
    assert "archive · CC-BY-4.0" in card.inner_text()
    card.locator("[data-open]").click()
    dialog = page.locator("#item")
    dialog.locator("video").wait_for(state="attached")
    assert dialog.locator("h2").inner_text() == "<script>alert(1)</script>"
    assert "Licence: CC-BY-4.0" in dialog.inner_text()
    dialog.locator(".frames--tall [data-open]").first.click()
    page.locator("#item h2", has_text="Film").wait_for()
    assert "Licence" not in dialog.inner_text()
    page.keyboard.press("Escape")
    assert dialog.is_hidden()


def test_a_book_is_a_link(page):
    page.goto("/?user=1")
    page.locator(".card[data-item='media-3'] [data-open]").first.click()
    link = page.locator("#item [data-read]")
    link.wait_for()
    assert link.get_attribute("href") == "/media/media-3"


def test_a_new_visitor_gets_answers_after_one_like_and_keeps_them(page):
    page.goto("/new")
    assert "Cold start" in page.locator("[data-rail=for-you]").inner_text()
    page.locator("[data-rail=for-you] .card [data-act=like]").first.click()
    _wait_for_list(page)
    after = _titles(page)
    assert "Cold start" not in page.locator("[data-rail=for-you]").inner_text()
    page.reload()
    assert _titles(page) == after


def test_the_keyboard_alone_can_like(page):
    page.goto("/?user=1")
    first = _titles(page)[0]
    _card(page, first).locator("[data-act=like]").focus()
    page.keyboard.press("Enter")
    _wait_for_list(page)
    assert page.evaluate("document.activeElement.dataset.act") == "like"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"


def test_phone_width_never_scrolls_sideways(page):
    page.set_viewport_size({"width": 360, "height": 780})
    page.goto("/?user=1")
    sideways = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(sideways) == 0
    page.locator("[data-rail=for-you] .card [data-act=like]").first.click()
    _wait_for_list(page)
    page.locator("[data-open]").last.click()
    page.locator("#item h2").wait_for()
    assert page.evaluate(sideways) == 0
    page.keyboard.press("Escape")
    page.locator("#search").fill("film")
    page.locator("#results .card").first.wait_for()
    assert page.evaluate(sideways) == 0
    page.goto("/docs")
    assert page.evaluate(sideways) == 0


def test_a_failed_write_says_so_and_keeps_the_card(page, service):
    page.goto("/?user=1")
    before = _titles(page)
    page.route("**/v1/events", lambda route: route.abort())
    _card(page, before[0]).locator("[data-act=like]").click()
    page.locator("#toast", has_text="Not saved").wait_for()
    assert _titles(page) == before
    assert page.locator(".card--going").count() == 0
    page.complaints.clear()  # the browser itself reports the broken request


@pytest.fixture
def fan(service):
    """Somebody with two interests."""
    rows = [f"film/{n}" for n in (0, 4, 8, 12, 16, 1, 5, 9, 13)]
    batch = [Event(f"t{n}", "fan", i, "like", 1e9 + 3600.0 * n) for n, i in enumerate(rows)]
    service.record(batch)
    return "fan"


def test_an_interest_is_turned_down_by_keyboard_and_taken_back(page, service, fan):
    page.goto(f"/?user={fan}")
    interests = page.locator(".interest h3")
    assert interests.all_inner_texts() == ["1970s drama films", "1960s comedy films"]
    before = _titles(page)
    button = page.get_by_role("button", name="1970s drama films is not my taste")
    button.focus()
    page.keyboard.press("Enter")
    _wait_for_list(page)
    assert _titles(page) != before
    page.locator(".interest--less h3", has_text="1970s drama films").wait_for()
    assert [edit.kind for edit in tastes.edits(service.engine, fan)] == ["less"]
    page.get_by_role("button", name="Take back what you said of 1970s drama films").click()
    page.locator("#toast", has_text="Taken back").wait_for()
    page.locator(".interest--less").wait_for(state="detached")
    assert _titles(page) == before


def test_lent_days_are_chosen_left_out_and_taken_back(page, service, fan):
    page.goto(f"/?user={fan}")
    page.get_by_role("button", name="I lent my account").click()
    assert page.locator("#lend-to").input_value() == "2001-09-09"  # the last thing they did
    page.locator("#lend-to").fill("2001-09-01")
    page.get_by_role("button", name="Leave it out").click()
    assert "not before" in page.locator("#lend-problem").inner_text()
    page.locator("#lend-from").fill("2001-09-08")
    page.locator("#lend-to").fill("2001-09-10")
    page.get_by_role("button", name="Leave it out").click()
    page.locator(".taste__lent", has_text="Lent 8 Sep 2001 – 10 Sep 2001").wait_for()
    assert page.locator(".interest").count() == 0
    page.get_by_role("button", name="Take back: lent from 8 Sep 2001").click()
    page.locator(".interest").nth(1).wait_for()
    assert tastes.edits(service.engine, fan) == ()


def test_a_visitor_is_asked_answers_and_may_skip(browser, asking, serve):
    with browser.new_context(base_url=str(serve(asking).base_url)) as context:
        page = context.new_page()
        page.set_default_timeout(8000)
        page.goto("/")
        asked = page.locator(".ask").evaluate_all("all => all.map(one => one.dataset.ask)")
        assert asked == [f"film/{n}" for n in range(7)]
        before = _titles(page)
        page.get_by_role("button", name="I like Film 3 (1963)").click()
        _wait_for_list(page)
        assert _titles(page) != before
        page.locator("[data-ask='film/3']").wait_for(state="detached")
        page.get_by_role("button", name="I do not know Film 0 (1960)").click()
        page.locator("[data-ask='film/0']").wait_for(state="detached")
        assert page.locator(".asking__bar .on").count() == 1
        user = page.evaluate("document.body.dataset.user")
        kinds = [event.kind for event in events.recent(asking.engine, user)]
        assert sorted(kinds) == ["impression", "like"]
        assert page.locator(".seen").count() == 1  # what was not known was not seen
        page.get_by_role("button", name="Skip", exact=True).click()
        assert page.locator("#asking").is_hidden()
        page.reload()
        assert page.locator("#asking").is_hidden()
