import re
from datetime import UTC, datetime

import pytest

from analysis.report.page import render
from analysis.report.tables import gather

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ALL_DRAWN = "document.querySelectorAll('main [data-chart] canvas').length"
ALL = "document.querySelectorAll('main [data-chart]').length"


def until(page, expression):
    """Waits for a truth; Playwright's own waiting evaluates text, which the policy forbids."""
    for _ in range(600):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(30)
    raise AssertionError(f"never came true: {expression:.200}")


def see_all(page):
    """Looks at every chart until it is drawn."""
    page.evaluate(
        """async () => {
          for (const chart of document.querySelectorAll("main [data-chart]")) {
            chart.scrollIntoView({ behavior: "instant" });
            for (let i = 0; i < 500 && !chart.querySelector("canvas"); i++) {
              await new Promise((done) => setTimeout(done, 10));
            }
          }
        }"""
    )
    assert page.evaluate(ALL_DRAWN) == page.evaluate(ALL)


def test_every_chart_is_drawn_without_a_request_or_a_complaint(page_file, opened):
    page = opened(page_file)
    at_once = page.evaluate(ALL_DRAWN)
    see_all(page)
    assert page.evaluate(ALL) > 15
    assert at_once < page.evaluate(ALL) / 2  # the others waited until they were looked at
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert [url for url in page.requests if url.startswith("file:")] == [page_file.as_uri()]


def test_the_file_names_nothing_that_a_browser_would_fetch(page_file):
    text = re.sub(r"<script.*?</script>", "", page_file.read_text(), flags=re.S)
    assert not re.search(r"""(src|href|action|poster)\s*=\s*["']?(https?:)?//""", text)
    assert not re.search(r"@import|url\((?!data:)", text)


def test_the_policy_lets_no_other_script_run_and_nothing_be_fetched(page_file, opened):
    page = opened(page_file)
    page.evaluate("setTimeout('window.ran = 1')")
    page.evaluate("document.body.append(document.createElement('script'))")
    page.evaluate("document.body.lastElementChild.text = 'window.ran = 1'")
    assert page.evaluate("fetch('https://example.org').then(() => 1, () => 0)") == 0
    page.wait_for_timeout(50)
    assert page.evaluate("window.ran") is None
    assert len(page.complaints) >= 3  # the browser says what it refused


@pytest.mark.slow  # seconds in a browser
def test_each_figure_has_a_heading_a_caption_and_a_name_for_those_who_cannot_see_it(
    page_file, opened
):
    page = opened(page_file)
    figures = page.evaluate(
        """[...document.querySelectorAll('figure.plot')].map((f) => [
          f.querySelector('h3').textContent, f.querySelector('figcaption p').textContent,
          f.querySelector('[role=img]').getAttribute('aria-label')])"""
    )
    assert len(figures) > 15
    assert all(
        title and caption.endswith(".") and title in name for title, caption, name in figures
    )


@pytest.mark.slow  # seconds in a browser
@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1280, "light")])
def test_the_page_is_never_scrolled_sideways(page_file, opened, width, theme):
    page = opened(page_file, width=width, theme=theme)
    see_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.evaluate("location.hash = '#trial-3'")
    page.wait_for_selector("#trial[open] canvas")
    assert page.evaluate("document.getElementById('trial').scrollWidth") <= width


def test_a_click_on_a_row_opens_the_trial_with_its_curves_and_samples(page_file, opened):
    page = opened(page_file)
    page.click("tr[data-trial='5'] td:nth-child(3)")
    until(page, "document.querySelectorAll('#trial canvas').length >= 8")
    assert page.inner_text("#trial-title") == "Trial 5"
    assert page.evaluate("location.hash") == "#trial-5"
    assert "mode collapse" in page.inner_text(".members")
    widths = page.evaluate(
        """Promise.all([...document.querySelectorAll('#trial img')].map(
          (image) => image.decode().then(() => image.naturalWidth)))"""
    )
    assert widths == [16, 16]
    assert page.complaints == []


def test_a_trial_is_reached_by_number_and_by_keyboard_alone(page_file, opened):
    page = opened(page_file)
    page.focus("#jump")
    page.keyboard.type("4")
    page.keyboard.press("Enter")
    page.wait_for_selector("#trial[open]")
    assert page.inner_text("#trial-title") == "Trial 4"
    page.keyboard.press("ArrowRight")
    following = page.inner_text("#trial-title")
    assert following != "Trial 4"
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#trial-title") == "Trial 4"
    page.keyboard.press("Escape")
    page.wait_for_selector("#trial", state="hidden")
    until(page, "location.hash === ''")
    page.fill("#jump", "99")
    page.keyboard.press("Enter")
    assert (
        page.evaluate("document.getElementById('jump').validationMessage")
        == "There is no trial 99."
    )


def column(page, i):
    return page.evaluate(
        f"[...document.querySelectorAll('#board tbody tr')].map((r) => r.cells[{i}].textContent)"
    )


def test_the_leaderboard_sorts_either_way_and_filters(page_file, opened):
    page = opened(page_file)
    assert column(page, 0)[:2] == ["1", "2"]
    page.click("#board th:nth-child(2) button")
    assert column(page, 1) == [str(trial) for trial in range(13)]
    page.click("#board th:nth-child(2) button")
    assert column(page, 1) == [str(trial) for trial in reversed(range(13))]
    assert page.get_attribute("#board th:nth-child(2)", "aria-sort") == "descending"
    page.fill("#filter", "hinge")
    assert column(page, 1) == ["9", "5", "1"]
    page.fill("#filter", "hinge healthy")
    assert "No trial matches" in page.inner_text("#board")


@pytest.mark.slow  # seconds in a browser
def test_what_is_not_known_is_last_whichever_way_a_column_is_sorted(page_file, opened):
    page = opened(page_file)
    for _ in range(2):
        page.click("#board th:nth-child(3) button")
        assert set(column(page, 1)[-2:]) == {"11", "12"}  # diverged and broken: none


@pytest.mark.slow  # seconds in a browser
def test_the_switch_turns_the_page_and_its_charts_dark_and_is_remembered(page_file, opened):
    page = opened(page_file)
    shade = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(shade)
    page.evaluate("document.getElementById('figure-seeds').scrollIntoView()")
    page.wait_for_selector("#figure-seeds canvas")
    chart = "document.querySelector('#figure-seeds canvas').toDataURL()"
    before = page.evaluate(chart)
    page.click("#theme")
    assert page.evaluate(shade) != light
    until(page, f"{chart} !== {before!r}")
    page.reload()
    until(page, "document.documentElement.dataset.theme === 'dark'")


@pytest.mark.slow  # seconds in a browser
def test_one_verdict_can_be_seen_alone_in_all_curves(page_file, opened):
    page = opened(page_file)
    see_all(page)
    chart = "document.querySelector('#figure-mode_entropy canvas').toDataURL()"
    before = page.evaluate(chart)
    page.click("#chips button[data-verdict='healthy']")
    until(page, f"{chart} !== {before!r}")
    page.click("#chips button[data-verdict='healthy']")
    until(page, f"{chart} === {before!r}")
    assert page.complaints == []


@pytest.mark.slow  # seconds in a browser
def test_paper_gets_every_chart_whatever_was_looked_at(page_file, opened):
    page = opened(page_file, theme="dark")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    until(page, f"{ALL_DRAWN} === {ALL}")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") is None


@pytest.mark.slow  # seconds in a browser
def test_a_page_that_refreshes_keeps_its_place_and_its_open_trial(tables, tmp_path, opened):
    file = tmp_path / "report.html"
    file.write_text(render(tables, made_at=NOW, refresh_s=3))
    page = opened(file)
    with page.expect_event("load"):
        page.evaluate("scrollTo({ top: 900, behavior: 'instant' })")
        page.evaluate("location.hash = '#trial-5'")
    assert page.inner_text("#trial-title") == "Trial 5"
    assert abs(page.evaluate("scrollY") - 900) < 5
    assert page.complaints == []


def test_names_and_errors_are_text_and_never_markup(page_file, opened, hostile):
    page = opened(page_file)
    assert page.inner_text("h1") == hostile
    assert page.inner_text(".brand") == hostile
    page.evaluate("location.hash = '#trial-12'")  # the broken one
    page.wait_for_selector("#trial[open]")
    assert page.inner_text("#trial .error") == hostile
    assert page.evaluate("window.hacked") is None
    assert page.query_selector("img[src=x]") is None


@pytest.mark.slow  # seconds in a browser
def test_a_sweep_that_has_nothing_yet_has_a_page_that_says_so(writer, opened):
    file = writer.path / "report.html"
    file.write_text(render(gather(writer.load()), made_at=NOW))
    page = opened(file)
    assert "No member has ended yet" in page.inner_text(".findings")
    assert "No trial has ended yet" in page.inner_text("#board")
    assert page.complaints == []


def begun(writer):
    writer.config('name = "s"\n[search]\ntrials = 8\n')
    writer.members(writer.member(0), writer.member(1, seed=1, rungs=3), ended=False)


def single(writer):
    writer.members(writer.member(0))
    writer.control()


def diverged(writer):
    row = {"diverged_step": 420, "trial_objective": None}
    writer.members(*[writer.member(t, status="diverged", rungs=4, row=row) for t in range(3)])


def broken(writer):
    writer.members(*[writer.member(t, status="failed", rungs=0) for t in range(2)])


def without_modes(writer):
    nothing = {"shares": lambda r: [float("nan")] * 10, "spread": lambda r: float("nan")}
    writer.members(*[writer.member(t, seed=t, **nothing) for t in range(3)])


@pytest.mark.slow  # five pages, each drawn to its end
@pytest.mark.parametrize("write", [begun, single, diverged, broken, without_modes])
def test_whatever_a_sweep_lacks_its_page_is_sound(writer, opened, write):
    write(writer)
    file = writer.path / "report.html"
    file.write_text(render(gather(writer.load()), made_at=NOW))
    page = opened(file, width=390)
    see_all(page)
    page.evaluate("location.hash = '#trial-0'")
    page.wait_for_selector("#trial[open]")
    page.wait_for_timeout(500)
    assert page.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.slow  # seconds in a browser
def test_a_running_sweep_says_how_far_it_is(writer):
    begun(writer)
    html = render(gather(writer.load()), made_at=NOW, refresh_s=7)
    assert "0 of 8 trials have ended; 2 members in training" in html
    assert 'data-refresh-s="7"' in html
    assert "refreshes every 7 s" in html
