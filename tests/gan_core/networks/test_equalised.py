import math

import pytest
import torch
from torch.nn.functional import conv2d, interpolate

from gan_core.networks.equalised import (
    EqualConv2d,
    EqualLinear,
    LeakyRelu,
    ModulatedConv2d,
    bilinear_double,
)


@pytest.mark.parametrize("size", [(1, 1, 1, 1), (2, 3, 4, 4), (1, 2, 3, 7)])
def test_doubling_is_torchs_bilinear_interpolation(size):
    x = torch.randn(size, dtype=torch.float64)
    expected = interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(bilinear_double(x), expected, rtol=0, atol=1e-14)


def by_sample(layer, x, w):
    """Equations 1 and 3 as they are written, one kernel for each sample."""
    kernel = layer.convolution.weight * layer.convolution.scale
    outputs = []
    for sample, s in zip(x, layer.style(w), strict=True):
        own = kernel * s[None, :, None, None]
        if layer.demodulate:
            own = own / (own.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        outputs.append(conv2d(sample[None], own, padding=layer.convolution.padding)[0])
    return torch.stack(outputs)


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("kernel", [1, 3])
def test_scaling_inputs_and_outputs_is_scaling_each_samples_kernel(kernel, demodulate):
    layer = ModulatedConv2d(3, 5, kernel, styles=4, demodulate=demodulate).double()
    x = torch.randn(6, 3, 4, 4, dtype=torch.float64)
    w = torch.randn(6, 4, dtype=torch.float64)
    torch.testing.assert_close(layer(x, w), by_sample(layer, x, w), rtol=0, atol=1e-12)


def test_demodulation_takes_the_styles_scale_away():
    layer = ModulatedConv2d(3, 5, 3, styles=4).double()
    layer.style.bias.data.zero_()
    x = torch.randn(6, 3, 4, 4, dtype=torch.float64)
    w = torch.randn(6, 4, dtype=torch.float64)
    torch.testing.assert_close(layer(x, 1e3 * w), layer(x, w), rtol=1e-5, atol=0)
    layer.demodulate = False
    torch.testing.assert_close(layer(x, 1e3 * w), 1e3 * layer(x, w), rtol=1e-12, atol=0)


def test_outputs_have_the_variance_of_the_inputs():
    # 256 inputs, 4096 outputs: each variance is known to 1 / sqrt(2048), about 2 percent.
    x = torch.randn(16, 256)
    assert EqualLinear(256, 256)(x).var().item() == pytest.approx(1, abs=0.1)
    assert EqualLinear(256, 256, rate=0.01)(x).var().item() == pytest.approx(1, abs=0.1)
    image = torch.randn(4, 32, 16, 16)
    inner = EqualConv2d(32, 32, 3)(image)[..., 1:-1, 1:-1]
    assert inner.var().item() == pytest.approx(1, abs=0.15)


def test_leaky_relu_about_keeps_the_mean_square():
    x = torch.randn(10_000, dtype=torch.float64)
    # (1 + 0.2^2) / 2 of a symmetric input's, times 2.
    assert LeakyRelu()(x).square().mean().item() == pytest.approx(1.04, abs=0.06)


def test_the_rate_scales_what_a_step_on_the_parameters_changes():
    x = torch.randn(2, 8, dtype=torch.float64)
    moved = []
    for rate in (1.0, 0.01):
        layer = EqualLinear(8, 3, rate=rate, bias=1.0).double()
        before = layer(x).detach()
        assert layer.bias[0].item() * rate == pytest.approx(1)
        for parameter in layer.parameters():
            parameter.data += 1
        moved.append(layer(x) - before)
    torch.testing.assert_close(moved[1], 0.01 * moved[0])


def test_a_scale_computed_for_another_width_leaves_the_first_outputs_alike():
    layer = EqualLinear(8, 500, scaled_for=2)
    assert layer.scale == 1 / math.sqrt(2)
    assert (layer.weight * layer.scale).var().item() == pytest.approx(1 / 8, rel=0.1)
