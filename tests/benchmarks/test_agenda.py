import dataclasses

import pytest

from benchmarks.agenda import CONTENDERS, FIGURES, Item, Request, agenda, measure_item
from benchmarks.cases import CASES
from benchmarks.effort import FULL, QUICK
from benchmarks.results import Key, Record, Results

ALL = Request(
    cases=list(CASES), contenders=CONTENDERS, figures=list(FIGURES), effort=FULL, device="cpu",
    workers=2, root=None, bfloat16=True,
)  # fmt: skip


def labels(items, figure):
    keys = [key for item in items for key in item.keys if key.figure == figure]
    return list(dict.fromkeys(key.label for key in keys))


def test_on_a_cpu_everything_is_measured_and_digits_alone_is_searched():
    items = list(agenda(ALL))
    assert labels(items, "rates")[:4] == ["matmul", "solo", "tutorial", "gansweep K=1"]
    assert labels(items, "sweeps") == [
        "stock", "stock reuse_actors", "gansweep", "gansweep all in flight",
        "gansweep all in flight bfloat16",
    ]  # fmt: skip
    assert labels(items, "target") == [
        "stock ASHA", "stock ASHA reuse_actors", "gansweep", "gansweep 512 trials",
    ]  # fmt: skip
    assert labels(items, "overhead") == ["gansweep 64 slots"]
    searched = {key.case for item in items for key in item.keys if key.figure != "rates"}
    assert searched == {"digits"}
    assert {key.case for key in items[0].keys} == {"ring8"}


def test_bfloat16_is_measured_for_fully_connected_networks_where_the_cpu_has_it():
    def variants(request):
        keys = [key for item in agenda(request) for key in item.keys]
        return {(key.figure, key.case, key.variant) for key in keys if "bfloat16" in key.variant}

    assert variants(ALL) == {
        ("rates", "ring8", "K=32 bfloat16"), ("rates", "digits", "K=32 bfloat16"),
        ("rates", "mnist", "K=16 bfloat16"), ("sweeps", "digits", "all in flight bfloat16"),
    }  # fmt: skip
    assert variants(dataclasses.replace(ALL, bfloat16=False)) == set()


def searches(monkeypatch, request):
    """Of every variant of gansweep on digits, what it asks for."""
    asked = {}
    for name in ("run_gansweep", "run_timed"):
        monkeypatch.setattr(f"benchmarks.agenda.{name}", lambda search: {"search": search})
    few = dataclasses.replace(request, cases=["digits"], contenders=["gansweep"])
    for item in agenda(few):
        if item.keys[0].figure != "rates":
            asked |= {(key.figure, key.variant): v["search"] for key, v in item.measure(print)}
    return asked


def test_a_search_of_many_trials_fills_the_slots_of_every_worker_and_prunes(monkeypatch):
    asked = searches(monkeypatch, dataclasses.replace(ALL, workers=3))
    many, few = asked["target", "512 trials"], asked["target", ""]
    assert (many.trials, many.slots, many.in_flight) == (512, 64, 3 * 64)
    assert (few.trials, few.slots, few.in_flight) == (64, None, None)
    assert (many.prunes, few.prunes) == (True, True)
    assert many == dataclasses.replace(few, trials=512, slots=64, in_flight=192)
    filled = asked["overhead", "64 slots"]
    assert (filled.trials, filled.in_flight, filled.prunes) == (2 * 3 * 64, 3 * 64, False)


def test_bfloat16_changes_the_precision_of_a_search_and_nothing_else(monkeypatch):
    asked = searches(monkeypatch, ALL)
    coarse, at_once = asked["sweeps", "all in flight bfloat16"], asked["sweeps", "all in flight"]
    assert coarse == dataclasses.replace(at_once, precision="bfloat16")
    assert {s.precision for key, s in asked.items() if "bfloat16" not in key[1]} == {"float32"}


def test_on_a_gpu_stock_gets_several_trials_on_it_and_mnist_is_searched_where_it_is():
    on_gpu = dataclasses.replace(ALL, device="cuda", workers=1, cases=["mnist"])
    assert labels(agenda(on_gpu), "sweeps") == []
    items = list(agenda(dataclasses.replace(on_gpu, root="data")))
    found = labels(items, "sweeps")
    assert "stock 1 per GPU" in found
    assert "stock reuse_actors 16 per GPU" in found
    assert "gansweep K=1024" in labels(items, "rates")


def test_contenders_figures_and_cases_are_as_asked_for():
    few = dataclasses.replace(
        ALL, cases=["digits"], contenders=["gansweep"], figures=["sweeps"], effort=QUICK,
        bfloat16=False,
    )  # fmt: skip
    assert [item.title for item in agenda(few)] == [
        "digits, sweeps: gansweep", "digits, sweeps: gansweep all in flight",
    ]  # fmt: skip


def key(name):
    return Key(figure="sweeps", case="digits", contender=name)


def test_what_fails_is_noted_and_what_came_before_it_is_kept():
    def measure(tell):
        yield key("a"), {"wall_s": 1}
        raise ValueError("no more")

    results = Results([{}])
    item = Item("some", (key("a"), key("b")), 0, measure)
    first, second = measure_item(item, results, print)
    assert (first.values, second.error) == ({"wall_s": 1}, "ValueError: no more")
    assert results.records == [first, second]
    again = Item("some", (key("b"),), 0, lambda tell: iter([(key("b"), {"wall_s": 2})]))
    assert [record.turn for record in measure_item(again, results, print)] == [0]


def test_turns_are_counted_over_sittings_and_what_is_there_is_not_measured_again():
    def measure(tell):
        yield key("a"), {"wall_s": 1}

    results = Results([{}])
    items = [Item("some", (key("a"),), turn, measure) for turn in range(2)]
    assert [item.is_in(results) for item in items] == [False, False]
    list(measure_item(items[0], results, print))
    assert [item.is_in(results) for item in items] == [True, False]
    results.sessions.append({})
    list(measure_item(items[1], results, print))
    assert set(results.of(key("a"))) == {0, 1}
    assert [item.is_in(results) for item in items] == [True, True]


def test_what_failed_is_tried_again_but_not_what_was_too_large():
    item = Item("some", (key("a"),), 0, print)
    wrong, large = "ValueError: no", "torch.OutOfMemoryError: CUDA out of memory."
    for reason, is_done in ((wrong, False), (large, True)):
        results = Results([{}], [Record(key=key("a"), session=0, turn=0, error=reason)])
        assert item.is_in(results) is is_done


def test_a_smoke_is_tiny():
    for name in ("trials", "many_trials"):
        tiny, full = getattr(QUICK, name), getattr(FULL, name)
        assert tiny * QUICK.steps < full * FULL.steps / 100
    assert "gansweep K=4 bfloat16" in labels(
        agenda(dataclasses.replace(ALL, effort=QUICK)), "rates"
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        QUICK.trials = 1
