from itertools import combinations

import numpy as np
import pytest

from analysis.plots.palette import INK, VERDICT_NAMES, VERDICT_ORDER, VERDICTS, stylesheet, to_dark
from analysis.rules import Verdict

# Machado et al. 2009, doi:10.1109/TVCG.2009.113, at full severity, on linear RGB.
SIGHT = {
    "full": np.eye(3),
    "protan": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0993], [-0.0039, -0.0481, 1.0520]],
    "deutan": [[0.3673, 0.8607, -0.2280], [0.2803, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    "tritan": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
}
XYZ = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]])


def linear(color):
    parts = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(a, b):
    dark, bright = sorted(XYZ[1] @ linear(color) for color in (a, b))
    return (bright + 0.05) / (dark + 0.05)


def lab(rgb):
    t = XYZ @ np.clip(rgb, 0, 1) / XYZ.sum(axis=1)
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("sight", SIGHT)
def test_any_two_verdicts_are_told_apart_by_every_kind_of_sight(theme, sight):
    seen = [lab(np.array(SIGHT[sight]) @ linear(getattr(s, theme))) for s in VERDICTS.values()]
    # 2.3 is just noticeable (Mahy et al. 1994).
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 18


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_stands_out_from_its_background_as_wcag_asks(theme):
    on = [getattr(INK[name], theme) for name in ("surface", "page")]
    marks = [getattr(shade, theme) for shade in VERDICTS.values()]
    words = [getattr(INK[name], theme) for name in ("text", "muted")]
    assert min(contrast(mark, on[0]) for mark in marks) >= 3
    assert min(contrast(word, ground) for word in words for ground in on) >= 4.5


def test_every_verdict_has_a_colour_and_a_name():
    assert set(VERDICTS) == set(Verdict)
    assert set(VERDICT_ORDER) == set(VERDICT_NAMES) == {verdict.value for verdict in Verdict}
    assert VERDICT_NAMES["d_saturated"] == "D saturated"


def test_no_light_colour_has_two_dark_ones():
    light = [shade.light for shade in (*VERDICTS.values(), *INK.values())]
    assert len(set(light)) == len(light) == len(to_dark())


def test_the_stylesheet_has_every_colour_for_either_theme():
    text = stylesheet()
    for name, shade in {**INK, **{f"v-{v.value}": shade for v, shade in VERDICTS.items()}}.items():
        assert text.count(f"--{name}:{shade.light};") == text.count(f"--{name}:{shade.dark};") == 2
