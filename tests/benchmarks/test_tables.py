from benchmarks.tables import BLOCKS, markdown, rates, target, targets


def test_the_markdown_of_stored_results_has_every_figure_and_ends_with_the_targets(results):
    text = markdown(results)
    assert "| gansweep K=32 | 250 | 5.0x |" in text
    assert "| stock | 16 | 250 |" in text
    assert "| all but training | 20.0% |" in text
    assert "- digits, gansweep K=256: too little memory" in text
    assert "0.5 to 1.5" in text
    assert text.index("## What is not training") < text.index("## Targets")
    assert text.endswith(targets(results) + "\n")


def test_the_matmul_is_a_measure_and_no_contender(results):
    assert "matmul" not in rates(results).partition("\n")[2].replace("the matmul rate", "")


def test_targets_of_a_gpu_are_not_measured_on_a_cpu(results):
    lines = targets(results).splitlines()
    assert all("not measured" in line for line in lines if line.startswith("| GPU"))
    # Those, ring8 and mnist, and the sweep in bfloat16.
    assert sum("not measured" in line for line in lines) == 3 + 2 + 1
    assert "| digits, one core, K = 32, member-steps/s against `solo` | 4.0x | 6.0x | 5.0x |" in (
        "\n".join(lines)
    )


def test_all_rows_of_a_table_are_as_wide_as_its_head(results):
    for make in BLOCKS.values():
        for part in make(results).split("\n\n"):
            widths = [line.count("|") for line in part.splitlines() if line.startswith("|")]
            assert len(set(widths)) <= 1


def test_every_search_of_ours_is_held_against_every_best_of_stocks(results):
    text = target(results)
    assert "| gansweep 512 trials | 512 | 51,200 | 100 | 3 | 40 |" in text
    assert "| stock ASHA | gansweep | 20 | 3.0x | 6.0x |" in text
    assert "| stock ASHA | gansweep 512 trials | 12 | 5.0x | 10.0x |" in text
    results.records = [r for r in results.records if r.key.contender != "stock"]
    assert "until the best of" not in target(results)


def test_what_was_not_measured_has_no_section(results):
    results.records = [r for r in results.records if r.key.figure == "rates" and not r.error]
    text = markdown(results)
    assert "Whole sweeps" not in text
    assert "## Not measured" not in text
