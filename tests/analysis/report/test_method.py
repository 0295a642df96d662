from analysis.report.method import method


def test_every_word_that_the_page_uses_is_explained(tables):
    words = dict(method(tables))
    assert {"Verdict", "Failure rate", "Interquartile mean", "Budget curve", "Real data"} <= set(
        words
    )
    assert "0.6" in words["Real data"]
    assert all(text.endswith(".") for text in words.values())


def test_what_is_not_known_of_real_data_is_not_told(nothing):
    assert "nan" not in dict(method(nothing))["Real data"]
