import itertools

import pytest

from benchmarks.cases import CASES
from benchmarks.flops import step_flops


@pytest.mark.parametrize(("name", "pixels"), [("digits", 64), ("mnist", 784)])
def test_a_step_of_fully_connected_networks_costs_what_its_layers_do(name, pixels):
    case = CASES[name]
    g = (case.latent_dim, *case.generator_widths, pixels)
    d = (pixels, *case.discriminator_widths, 1)
    g_all, d_all = (sum(2 * i * o for i, o in itertools.pairwise(w)) for w in (g, d))
    g_first, d_first = 2 * g[0] * g[1], 2 * d[0] * d[1]
    # G: forward, and gradients of weights and of inputs but its own. D: both halves forward and
    # back without its input, then the fakes forward and back to the input without its weights.
    expected = 3 * g_all - g_first + 2 * (3 * d_all - d_first) + 2 * d_all
    assert step_flops(case, (1, *[int(pixels**0.5)] * 2)) == case.batch_size * expected
