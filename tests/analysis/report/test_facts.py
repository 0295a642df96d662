import dataclasses
import math

import pytest

from analysis.report.facts import (
    VARIANT_HEAD,
    config_text,
    headline_facts,
    origin,
    plural,
    progress_text,
    sweep_name,
    variant_cells,
    verdict_counts,
    version,
)


def test_the_headline_counts_what_there_is(tables):
    facts = {fact["name"]: fact for fact in headline_facts(tables)}
    assert facts["Trials"] == {"name": "Trials", "value": "13", "note": "26 members"}
    assert facts["Best Fréchet distance"]["value"] == "5"
    assert facts["Real data"]["value"] == "0.6"
    assert facts["Training"]["value"] == "36 min"  # 24 members of 90 s


def test_members_that_train_at_once_share_their_worker_s_time(tables):
    trials = tables.sweep.trials.assign(slots=12)
    shared = dataclasses.replace(tables, sweep=dataclasses.replace(tables.sweep, trials=trials))
    facts = {fact["name"]: fact for fact in headline_facts(shared)}
    assert facts["Training"]["value"] == "3 min"


def test_verdicts_are_counted_in_the_order_of_the_palette(tables):
    counts = verdict_counts(tables)
    assert sum(entry["count"] for entry in counts) == 26
    assert counts[0]["key"] == "healthy"
    assert {entry["key"] for entry in counts} >= {"mode_collapse", "diverged", "undetermined"}


def test_a_sweep_without_anything_has_facts_too(nothing):
    facts = {fact["name"]: fact["value"] for fact in headline_facts(nothing)}
    assert facts["Trials"] == "0"
    assert facts["Best Fréchet distance"] == "none"
    assert verdict_counts(nothing) == []
    assert version(nothing) == ""


def test_a_running_sweep_says_how_far_it_is(single, tables):
    text = progress_text(single)
    assert text.startswith("1 of 8 trials have ended; 1 member in training.")
    assert progress_text(tables) == ""


def test_a_sweep_is_named_by_its_config_or_its_directory(tables, hostile):
    assert sweep_name(tables) == hostile
    unnamed = dataclasses.replace(tables.sweep, config={})
    assert sweep_name(dataclasses.replace(tables, sweep=unnamed)) == "mixed"


def test_the_config_is_shown_as_toml(single):
    sweep = dataclasses.replace(single.sweep, config={"data": {"dataset": "digits"}})
    assert origin(dataclasses.replace(single, sweep=sweep)) == "digits"
    assert 'name = "s"' in config_text(single)
    assert "[space]\nlr_g = { low = 1e-05, log = true }" in config_text(single)


def test_a_row_of_variants_has_a_cell_for_each_heading_and_sorts_by_numbers(tables):
    for row in tables.variants.to_dict("records"):
        cells = variant_cells(row)
        assert len(cells) == len(VARIANT_HEAD)
        assert cells[0]["text"] == row["variant"]
        assert all(c["text"] == "" or math.isfinite(float(c["value"])) for c in cells[1:])


@pytest.mark.parametrize(
    ("by", "heading"), [("loss", "Losses"), ("lr_schedule", "By schedule of the rates")]
)
def test_variants_have_a_heading(by, heading):
    assert plural(by) == heading
