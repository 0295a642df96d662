import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sweeps.lock import SweepLock
from sweeps.service import answers as module
from sweeps.service.answers import Answers
from sweeps.service.launching import NoLauncher
from sweeps.service.reading import Content
from sweeps.service.refusals import Refusal
from sweeps.service.sweeps_index import SweepsIndex

MADE = []


def numbered(params, *readings):
    """Says how often it was called; as large as is asked for."""
    MADE.append(params)
    if "wait" in params:
        time.sleep(float(params["wait"]))
    if "refused" in params:
        raise Refusal(404, "there is none")
    return Content(f"{len(MADE)}".ljust(int(params.get("size", 1))), "image/png")


class Here(ThreadPoolExecutor):
    """A reader in this process."""

    def close(self):
        self.shutdown(wait=False)


@pytest.fixture
def ask(begun_sweep, monkeypatch):
    """Runs a coroutine function with answers that are made in a thread of this process, of a sweep
    that runs."""
    directory = begun_sweep("digits")
    MADE.clear()
    monkeypatch.setitem(module.VIEWS, "numbered", "here:numbered")
    monkeypatch.setattr(module, "compute", compute)

    def run(use, **settings):
        async def main():
            index = SweepsIndex(directory.parent, NoLauncher())
            found = Answers(index, Here(1), **settings)
            try:
                with SweepLock(directory):
                    return await use(found, directory)
            finally:
                found.close()
                index.close()

        # In a thread of its own: a browser that a test before has opened leaves a loop in this one.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, main()).result()

    return run


def compute(view, sweeps, params):
    begun = time.monotonic()
    made = numbered(params, *sweeps)
    return made.encoded, False, made.media_type, time.monotonic() - begun


async def changed(answers, directory):
    """Waits until the index has seen that the sweep changed."""
    before = (await answers._index.get("digits")).version
    (directory / "control").mkdir(exist_ok=True)
    (directory / "control" / f"{time.monotonic_ns()}").touch()
    while (await answers._index.get("digits")).version == before:
        await asyncio.sleep(0.05)


def test_the_same_is_made_once_for_all_who_ask_at_a_time_and_after(ask):
    async def use(answers, directory):
        asked = [answers.get("numbered", ["digits"], {"wait": "0.2"}) for _ in range(20)]
        made = [found.plain for found in await asyncio.gather(*asked)]
        made.append((await answers.get("numbered", ["digits"], {"wait": "0.2"})).plain)
        other = await answers.get("numbered", ["digits"])
        return set(made), other.plain

    assert ask(use) == ({b"1"}, b"2")


def test_an_older_answer_does_until_the_new_one_is_made_but_not_for_who_must_have_it(ask):
    async def use(answers, directory):
        await answers.get("numbered", ["digits"])
        await changed(answers, directory)
        stale = await answers.get("numbered", ["digits"])
        assert (stale.plain, stale.is_stale) == (b"1", True)
        while (found := await answers.get("numbered", ["digits"])).is_stale:
            await asyncio.sleep(0.01)
        assert found.plain == b"2"
        await changed(answers, directory)
        exact = await answers.get("numbered", ["digits"], may_be_stale=False)
        assert (exact.plain, exact.is_stale) == (b"3", False)

    ask(use)


@pytest.mark.slow  # waits for three changes to be seen
def test_what_is_dear_is_not_made_again_at_every_change(ask):
    async def use(answers, directory):
        await answers.get("numbered", ["digits"], {"wait": "0.5"})
        for _ in range(3):
            await changed(answers, directory)
            stale = await answers.get("numbered", ["digits"], {"wait": "0.5"})
            assert stale.is_stale
        return len(MADE)

    assert ask(use) == 1


def test_of_a_sweep_that_runs_no_more_the_end_is_shown_without_a_rest(ask, monkeypatch):
    async def use(answers, directory):
        await answers.get("numbered", ["digits"], {"wait": "0.5"})
        monkeypatch.setattr("sweeps.service.sweeps_index.is_locked", lambda directory: False)
        await changed(answers, directory)
        begun = time.monotonic()
        while (await answers.get("numbered", ["digits"], {"wait": "0.5"})).is_stale:
            await asyncio.sleep(0.01)
        return len(MADE), time.monotonic() - begun

    made, took_s = ask(use)
    assert made == 2
    assert took_s < 0.5 / 0.05


@pytest.mark.slow  # rests
def test_all_that_is_asked_for_of_a_sweep_is_renewed_together_and_then_there_is_a_rest(ask):
    async def use(answers, directory):
        keys = [{"wait": "0.02", "n": f"{n}"} for n in range(3)]
        for key in keys:
            await answers.get("numbered", ["digits"], key)
        begun, before = time.monotonic(), len(MADE)
        while len(MADE) < before + 6:
            await changed(answers, directory)
            for key in keys:
                await answers.get("numbered", ["digits"], key)
        renewed = [made["n"] for made in MADE[before:]]
        return [set(renewed[:3]), set(renewed[3:6])], time.monotonic() - begun

    renewed, took_s = ask(use)
    assert renewed == [{"0", "1", "2"}] * 2
    assert took_s > 3 * 0.02 / 0.05


def test_older_answers_that_are_still_true_hold_no_other_back(ask, begun_sweep):
    begun_sweep("finished")

    async def use(answers, directory):
        await answers.get("numbered", ["finished"])
        await answers.get("numbered", ["digits"])
        await changed(answers, directory)
        end = time.monotonic() + 30
        while (await answers.get("numbered", ["digits"])).is_stale:
            assert not (await answers.get("numbered", ["finished"])).is_stale
            assert time.monotonic() < end
            await asyncio.sleep(0.01)

    ask(use)


def test_what_is_kept_has_a_bound(ask):
    async def use(answers, directory):
        for size in range(200, 230):
            await answers.get("numbered", ["digits"], {"size": f"{size}"})
        assert answers._kept_bytes == sum(len(kept.content) for kept in answers._kept.values())
        assert 700 < answers._kept_bytes <= 1000
        await answers.get("numbered", ["digits"], {"size": "500"})  # too large to be kept
        return [len(kept.content) for kept in answers._kept.values()]

    assert ask(use, largest_bytes=1000) == [226, 227, 228, 229]


def test_what_is_refused_is_not_kept(ask):
    async def use(answers, directory):
        for _ in range(2):
            with pytest.raises(Refusal, match="there is none"):
                await answers.get("numbered", ["digits"], {"refused": "1"})
        with pytest.raises(Refusal, match="no such sweep"):
            await answers.get("numbered", ["absent"])
        return len(MADE)

    assert ask(use) == 2


@pytest.mark.slow  # begins a service
def test_a_service_ends_whatever_is_being_computed(
    begin_service, begun_sweep, tmp_path, monkeypatch
):
    storage = begun_sweep("digits").parent
    (tmp_path / "busy.py").write_text(
        "import pathlib, time\n"
        "def wait(params, reading):\n"
        "    pathlib.Path(reading.directory, 'waits').touch()\n"
        "    time.sleep(1000)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(module.VIEWS, "table", "busy:wait")
    service, stop = begin_service(storage, NoLauncher())
    with ThreadPoolExecutor(2) as threads:
        for limit in (1, 2):
            threads.submit(service.ask, "GET", f"/api/sweeps/digits/tables/trials?limit={limit}")
        while not (storage / "digits" / "waits").exists():
            time.sleep(0.01)
        begun = time.monotonic()
        stop()
    assert time.monotonic() - begun < 30
