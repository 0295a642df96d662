from analysis.plots.theme import is_empty
from analysis.report.catalog import catalog

SECTIONS = {"leaderboard", "training", "modes", "variants", "budget", "importance", "regions"}


def test_each_part_of_the_page_has_figures_with_words_of_their_own(figures):
    assert {figure.section for figure in figures} == SECTIONS
    assert len({figure.key for figure in figures}) == len(figures)
    assert all(figure.caption.endswith(".") and len(figure.caption) < 110 for figure in figures)
    assert all(figure.title[0].isupper() for figure in figures)


def test_axes_have_titles(figures):
    for figure in figures:
        spec = figure.chart.to_dict(validate=False)
        part = spec.get("spec", spec)
        layers = part.get("layer") or [part]
        titles = [layer.get("encoding", {}).get("x", {}).get("title") for layer in layers]
        nested = [t["encoding"]["x"]["title"] for layer in layers for t in layer.get("layer", ())]
        assert any([*titles, *nested]) or figure.key == "parallel", figure.key


def test_half_figures_come_in_pairs(figures):
    for section in SECTIONS:
        halves = [f for f in figures if f.section == section and f.size == "half"]
        assert len(halves) % 2 == 0


def test_a_sweep_without_members_has_no_figures(nothing):
    assert catalog(nothing) == []


def test_a_single_trial_has_figures_of_what_there_is(single):
    figures = catalog(single)
    assert {"frechet_distance", "modes", "verdicts"} <= {figure.key for figure in figures}
    assert not any(is_empty(figure.chart) for figure in figures)


def test_sections_can_be_asked_for_alone(tables, figures):
    wanted = {"budget", "importance"}
    found = [figure.key for figure in catalog(tables, wanted)]
    assert found == [figure.key for figure in figures if figure.section in wanted]
