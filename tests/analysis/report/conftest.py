"""A sweep in which everything happens that a report shows, its page, and a real browser."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from analysis.load import load
from analysis.report.catalog import catalog
from analysis.report.page import render
from analysis.report.tables import gather
from analysis.schema import SAMPLES

LOSSES = ("wgan-gp", "hinge", "lsgan", "nonsaturating")


HOSTILE = '</script><img src=x onerror="window.hacked = 1"><script>window.hacked = 1</script>'


def png(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def one_mode(rung):
    return np.eye(10)[0]


def truths():
    """(trial, what its members are like, what their row of trials says)."""
    rate = dict(zip(range(12), 10.0 ** np.linspace(-4.5, -2.1, 12), strict=True))
    for trial in range(12):
        settings = {"loss": LOSSES[trial % 4], "lr_g": rate[trial], "lr_d": rate[11 - trial]}
        like, value = {}, 5.0 + trial
        if trial % 4 == 1:  # hinge collapses
            like, value = {"shares": one_mode, "frechet": lambda r: 150 - r}, 130.0 + trial
        if trial == 7:
            like = {"frechet": lambda r: 300 - 2.0 * r}
        row = {"objective": value, "trial_objective": value, "seconds": 90.0}
        if trial == 11:
            like = {"status": "diverged", "rungs": 9}
            row |= {"diverged_step": 930, "objective": None, "trial_objective": None}
        yield trial, like | {"hyperparameters": settings}, row
    yield 12, {"status": "failed", "rungs": 0}, {"error": HOSTILE, "trial_objective": None}


def write_mixed(writer):
    writer.config(f"name = '{HOSTILE}'\n[train]\nsteps = 2000\n[search]\ntrials = 13\n")
    members = [
        writer.member(trial, seed=2 * trial + s, row=row, **like)
        for trial, like, row in truths()
        for s in range(2)
    ]
    writer.members(*members)
    writer.control()
    rows = [{**m.keys, "step": 2000, "png": png(m.seed)} for m in members]
    writer.part("samples", rows, SAMPLES)
    return writer


@pytest.fixture(scope="session")
def mixed(writer_at, tmp_path_factory):
    """Trials of two seeds: sound, collapsed, untrained, diverged and broken ones."""
    return write_mixed(writer_at(tmp_path_factory.mktemp("runs") / "mixed"))


@pytest.fixture(scope="session")
def tables(mixed):
    return gather(load(mixed.path))


@pytest.fixture(scope="session")
def figures(tables):
    return catalog(tables)


@pytest.fixture(scope="session")
def nothing(writer_at, tmp_path_factory):
    """The tables of a sweep that has a config and nothing else yet."""
    return gather(writer_at(tmp_path_factory.mktemp("runs") / "digits").load())


@pytest.fixture(scope="session")
def single(writer_at, tmp_path_factory):
    """The tables of a sweep of eight trials, of which one has ended and another is in training."""
    writer = writer_at(tmp_path_factory.mktemp("runs") / "single")
    writer.config('name = "s"\n[search]\ntrials = 8\n[space]\nlr_g = { low = 1e-5, log = true }\n')
    writer.members(writer.member(0, row={"objective": 5.0}))
    writer.members(writer.member(1, seed=1, rungs=3), ended=False)
    writer.control()
    return gather(writer.load())


@pytest.fixture(scope="session")
def page_file(tables, tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(render(tables, made_at=datetime(2026, 1, 2, tzinfo=UTC)))
    return file


@pytest.fixture
def opened(browser):
    """Opens a file in a fresh page; what it asked for and complained of is kept on the page."""
    contexts = []

    def open_file(file, *, width=1280, theme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=theme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.requests, page.complaints = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on(
            "console",
            lambda m: m.type in ("error", "warning") and page.complaints.append(m.text),
        )
        page.goto(file.as_uri())
        return page

    yield open_file
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def hostile():
    """The mixed sweep's name, and the error of its broken trial."""
    return HOSTILE


@pytest.fixture
def png_bytes():
    """A sample grid."""
    return png()
