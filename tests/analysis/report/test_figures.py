import pytest

from analysis.report.figures import write_figures


@pytest.mark.slow  # draws every chart three times
def test_every_figure_becomes_files_for_paper_in_the_order_of_the_page(mixed, figures, tmp_path):
    files = write_figures(mixed.path, tmp_path / "figures", ["svg", "png", "json"])
    assert [file.stem for file in files[::3]] == [figure.key for figure in figures]
    assert {file.suffix for file in files} == {".svg", ".png", ".json"}
    assert all(file.stat().st_size > 1000 for file in files)


def test_an_unknown_format_is_refused_before_anything_is_written(mixed, tmp_path):
    with pytest.raises(ValueError, match="formats = 'pdf': must be of svg, png, html, json"):
        write_figures(mixed.path, tmp_path / "new", ["svg", "pdf"])
    assert not (tmp_path / "new").exists()
