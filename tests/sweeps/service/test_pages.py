import json
import shutil
from datetime import UTC, datetime

import pytest

from analysis.schema import TRIALS
from sweeps.store import Store, TableName

LIMIT_MS = 150_000  # of anything a browser waits for on a busy machine


def text(service, path, **more):
    status, _, content = service.ask("GET", path, **more)
    assert status == 200, content
    return content.decode()


@pytest.fixture
def opened(browser):
    """Opens addresses of services in fresh pages: (service, path) -> page.

    What a page asked for and complained of is kept on it.
    """
    contexts = []

    def open_page(service, path="/", *, width=1280, theme="light", token=None):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=theme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(LIMIT_MS)
        page.requests, page.complaints = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on(
            "console",
            lambda m: m.type in ("error", "warning") and page.complaints.append(m.text),
        )
        join = "&" if "?" in path else "?"
        page.goto(f"{service.url}{path}{join}token={token or service.token}")
        page.wait_for_url(f"{service.url}{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()


def until(page, expression):
    """Waits for a truth; Playwright's own waiting evaluates text, which the policy forbids."""
    for _ in range(LIMIT_MS // 50):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never came true: {expression}")


def see_all(page):
    """Looks at every chart until it is drawn."""
    page.wait_for_selector("#body[data-tag]", state="attached")
    until(page, "document.querySelectorAll('[data-chart]').length > 0")
    until(
        page,
        """(() => {
          const left = [...document.querySelectorAll("[data-chart]")]
            .filter((chart) => !chart.closest("[hidden]") && !chart.querySelector("canvas"));
          left[0]?.scrollIntoView({ behavior: "instant" });
          return left.length === 0;
        })()""",
    )


def test_from_the_link_to_the_best_trial_all_is_drawn_by_what_the_service_itself_sends(
    seen, opened
):
    page = opened(seen)
    assert "token" not in page.url
    page.click("text=small")
    see_all(page)
    assert page.inner_text("h1") == "small"
    assert "6 of 6 trials" in page.inner_text(".standing")
    assert page.locator("#board tbody tr").count() == 6
    assert page.locator("[data-chart]").count() >= 3
    page.click("text=trial 1")
    page.wait_for_url("**/sweeps/small/trials/1")
    see_all(page)
    assert "1 of" in page.inner_text(".pairs")
    assert page.locator(".member").count() == 2
    widths = page.evaluate(
        """Promise.all([...document.querySelectorAll(".member img")].map(
          (image) => image.decode().then(() => image.naturalWidth)))"""
    )
    assert widths
    assert min(widths) > 8
    assert "gansweep export small 1" in page.inner_text("#body")
    assert page.complaints == []
    assert {url for url in page.requests if not url.startswith((seen.url, "data:"))} == set()


def add_trial(directory, trial):
    """A trial of the small sweep that has ended, as a worker writes it."""
    known = {"sweep": "small", "trial": trial, "seed": 2 * trial, "attempt": 0}
    measured = {"status": "complete", "steps": 40, "trial_objective": 0.5, "objective": 0.5}
    row = dict.fromkeys(TRIALS.names) | known | measured | {"loss": "hinge"}
    Store(directory).write(TableName.TRIALS, [row | {"ended_at": datetime.now(UTC)}], f"t{trial}")


def test_a_sweep_is_begun_watched_and_stopped_without_loading_a_page_again(
    serve, shelf, opened, small_sweep
):
    service = serve(shelf)
    page = opened(service, "/new")
    page.fill("input[name=name]", "mine")
    page.fill("input[name=trials]", "3")
    page.fill("input[name=steps]", "150")
    page.click("#check")
    until(page, "document.getElementById('wrong').textContent.includes('train.steps = 150')")
    page.fill("input[name=steps]", "200")
    page.click("#check")
    until(page, "document.getElementById('plan').textContent.startsWith('Right: mine trains 3')")
    page.click("#start")
    page.wait_for_url("**/sweeps/mine")
    assert shelf.configs["mine"].search.trials == 3
    assert shelf.configs["mine"].train.steps == 200
    assert page.inner_text(".state") == "pending"

    # What a worker writes meanwhile.
    shutil.copytree(small_sweep, service.storage / "mine")
    shelf.set("mine", "RUNNING")
    until(page, "document.querySelector('.state').textContent.trim() === 'running'")
    until(page, "document.querySelectorAll('#board tbody tr').length === 6")
    page.evaluate("window.loadedOnce = true")
    add_trial(service.storage / "mine", 6)
    until(page, "document.querySelectorAll('#board tbody tr').length === 7")

    page.click("#stop")
    page.click("#confirm button[value=no]")
    assert shelf.stopped == []
    page.click("#stop")
    page.click("#confirm button[value=yes]")
    until(page, "document.querySelector('.state').textContent.trim() !== 'running'")
    assert shelf.stopped == ["mine"]
    assert page.evaluate("window.loadedOnce")
    assert [c for c in page.complaints if "404" not in c and "422" not in c] == []


def test_who_may_only_look_is_shown_no_button_that_changes_anything(seen):
    for path in ("/", "/sweeps/small", "/sweeps/small/parts/head", "/new"):
        shown = text(seen, path, token=seen.viewer)
        assert "data-act" not in shown
        assert 'href="/new"' not in shown
        assert 'id="start"' not in shown


def test_what_has_not_changed_is_not_sent_again(seen):
    for part in ("/parts/sweeps", "/sweeps/small/parts/head", "/sweeps/small/parts/body",
                 "/sweeps/small/parts/charts", "/sweeps/small/trials/1/parts/body"):  # fmt: skip
        status, headers, _ = seen.ask("GET", part)
        assert status == 200
        status, _, content = seen.ask("GET", part, headers={"If-None-Match": headers["etag"]})
        assert (status, content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/sweeps/none",
        "/sweeps/none/parts/body",
        "/sweeps/small/trials/99/parts/body",
        "/sweeps/small/trials/-1",
        "/sweeps/small/trials/1e3",
        "/static/pages.py",
        "/static/..%2fpages.py",
        "/compare/parts/body?a=none&b=small",
        "/compare/parts/other?a=small&b=small",
        "/new?preset=../digits",
    ],
)
def test_what_is_not_there_is_404(seen, path):
    assert seen.ask("GET", path)[0] == 404


def test_pages_name_nothing_inline_that_the_policy_would_refuse(seen):
    for path in ("/", "/sweeps/small", "/sweeps/small/trials/1", "/compare", "/new",
                 "/sweeps/small/parts/body", "/sweeps/small/trials/1/parts/body"):  # fmt: skip
        shown = text(seen, path)
        assert " style=" not in shown
        assert "onclick" not in shown
        assert "http://" not in shown
        assert "https://" not in shown


def fresh(several):
    """The name of the sweep that has nothing yet."""
    return next(path.name for path in several.storage.iterdir() if path.name.startswith("fresh"))


def test_a_sweep_without_results_says_so_on_its_page(several):
    name = fresh(several)
    assert len(name) >= 99
    assert "Nothing has been measured yet" in text(several, f"/sweeps/{name}/parts/body")
    assert "0 of 60 trials" in text(several, f"/sweeps/{name}")


def test_the_whole_report_is_there_with_a_policy_of_its_own(seen):
    status, headers, content = seen.ask("GET", "/sweeps/small/report")
    assert status == 200
    assert b"What was found" in content
    assert "'unsafe-inline'" in headers["content-security-policy"]
    assert "connect-src" not in headers["content-security-policy"]  # default-src 'none'


def test_two_sweeps_are_held_side_by_side_with_what_differs(several):
    body = text(several, "/compare/parts/body?a=small&b=more").replace("<wbr>", "")
    assert "search.trials" in body
    assert "train.steps" not in body
    charts = json.loads(text(several, "/compare/parts/charts?a=small&b=more"))
    assert set(charts["specs"]) == {"verdicts", "budget"}
    assert "Choose two that differ" in text(several, "/compare?a=small&b=small")
    assert "There is no sweep none" in text(several, "/compare?a=small&b=none")


@pytest.mark.slow  # seconds in a browser
@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1280, "light")])
def test_no_page_is_scrolled_sideways(several, opened, width, theme):
    drawn = ("/sweeps/small", "/sweeps/small/trials/1", "/compare?a=small&b=more")
    for path in (*drawn, "/", f"/sweeps/{fresh(several)}", "/compare", "/new"):
        page = opened(several, path, width=width, theme=theme)
        if path in drawn:
            see_all(page)
        assert page.evaluate("document.documentElement.scrollWidth") == width, path
        assert page.complaints == []


@pytest.mark.slow  # seconds in a browser
def test_the_keyboard_alone_reaches_a_trial_and_its_grids(seen, opened):
    page = opened(seen)
    page.focus(".sweeps a")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sweeps/small")
    see_all(page)
    page.focus("#board a")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sweeps/small/trials/1")
    assert page.evaluate("document.querySelector('.skip').href").endswith("#content")
