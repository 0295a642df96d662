import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate

from gan_core.config import Normalisation
from gan_core.networks.norms import BatchNorm
from gan_core.networks.sn_resnet import SnResnetDiscriminator, SnResnetGenerator
from gan_core.networks.spectral import Spectral

SHAPE = (3, 32, 32)


def affine(module):
    kinds = nn.Linear | nn.Conv2d
    return [layer for layer in module.modules() if isinstance(layer, kinds)]


def test_at_64_channels_parameters_are_those_of_the_papers_table():
    G, D = SnResnetGenerator(128, 64, SHAPE), SnResnetDiscriminator(64, SHAPE)

    def kernel(inputs, outputs, side):
        return inputs * outputs * side**2 + outputs

    up = 2 * kernel(256, 256, 3) + kernel(256, 256, 1) + 2 * 2 * 256
    generator = 128 * 4096 + 4096 + 3 * up + 2 * 256 + kernel(256, 3, 3)
    assert sum(p.numel() for p in G.parameters()) == generator
    block = 2 * kernel(128, 128, 3)
    first = kernel(3, 128, 3) + kernel(128, 128, 3) + kernel(3, 128, 1)
    discriminator = first + 3 * block + kernel(128, 128, 1) + 128 + 1
    assert sum(p.numel() for p in D.parameters()) == discriminator


def test_spectral_normalisation_is_of_every_weight_of_d():
    D = SnResnetDiscriminator(2, SHAPE, norm=Normalisation.SPECTRAL, classes=3)
    assert all(isinstance(layer, Spectral) for layer in affine(D))
    assert isinstance(D.head.embedding, Spectral)
    for layer in affine(D.eval()):
        norm = torch.linalg.svdvals(layer.normalised().flatten(1))[0]
        assert 1 - 1e-5 < norm < 1.2


@pytest.mark.parametrize(("norm", "count"), [(Normalisation.BATCH, 7), (Normalisation.NONE, 0)])
def test_d_is_normalised_before_its_relus_but_the_first_and_the_last(norm, count):
    D = SnResnetDiscriminator(2, SHAPE, norm=norm)
    assert sum(isinstance(m, nn.ReLU) for m in D.modules()) == 8
    assert sum(isinstance(m, BatchNorm) for m in D.modules()) == count


def test_shortcuts_may_take_the_smaller_image():
    up = SnResnetGenerator(4, 1, SHAPE).layers[2].shortcut.double()
    x = torch.randn(2, 4, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(up(x), up[0](interpolate(x, scale_factor=2)), rtol=0, atol=1e-12)
    down = SnResnetDiscriminator(1, SHAPE).layers[1].shortcut.double()
    x = torch.randn(2, 2, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(down(x), avg_pool2d(down[1](x), 2), rtol=0, atol=1e-12)


def test_weights_begin_as_glorots_and_kernels_of_3_by_the_root_of_2_wider():
    for layer in affine(SnResnetGenerator(64, 8, SHAPE)):
        outputs, inputs, *kernel = layer.weight.shape
        area = kernel[0] ** 2 if kernel else 1
        variance = 2 / ((inputs + outputs) * area) * (2 if area == 9 else 1)
        assert layer.weight.var().item() == pytest.approx(variance, rel=0.15)
        assert not layer.bias.any()


def test_ds_features_are_summed_over_the_image():
    D = SnResnetDiscriminator(1, SHAPE).double()
    x = torch.rand(2, *SHAPE, dtype=torch.float64)
    features = D.layers(x)
    assert features.shape == (2, 2, 8, 8)
    expected = D.head(torch.einsum("nchw->nc", features))
    torch.testing.assert_close(D(x), expected, rtol=1e-12, atol=0)
