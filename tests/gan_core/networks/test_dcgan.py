import pytest
import torch
from torch import nn

from gan_core.config import Normalisation
from gan_core.networks.dcgan import SIDES, DcganDiscriminator, DcganGenerator
from gan_core.networks.norms import BatchNorm


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("colours", [1, 3])
def test_every_side_is_made_and_judged(side, colours):
    shape = (colours, side, side)
    images = DcganGenerator(5, 2, shape)(torch.randn(3, 5))
    assert images.shape == (3, *shape)
    assert images.abs().max() < 1
    assert DcganDiscriminator(2, shape)(images).shape == (3,)


def test_parameters_are_those_counted_by_hand():
    # 32 pixels, 2 channels: maps of 4x4x8, 8x8x4, 16x16x2, then the image.
    generator = 5 * 8 * 16 + 2 * 8 + 8 * 4 * 16 + 2 * 4 + 4 * 2 * 16 + 2 * 2 + 2 * 3 * 16 + 3
    assert count(DcganGenerator(5, 2, (3, 32, 32))) == generator
    weights = 3 * 2 * 16 + 2 * 4 * 16 + 4 * 8 * 16 + 8 * 16
    plain = weights + 2 + 4 + 8 + 1
    assert count(DcganDiscriminator(2, (3, 32, 32))) == plain
    norms = {Normalisation.BATCH: -4 - 8 + 2 * (4 + 8), Normalisation.LAYER: 2 * (4 + 8)}
    for norm, more in norms.items():
        assert count(DcganDiscriminator(2, (3, 32, 32), norm=norm)) == plain + more
    assert count(DcganDiscriminator(2, (3, 32, 32), norm=Normalisation.SPECTRAL)) == plain


def test_at_64_pixels_it_is_pytorchs_example_but_for_biases_at_the_ends():
    G = DcganGenerator(100, 64, (3, 64, 64))
    D = DcganDiscriminator(64, (3, 64, 64), norm=Normalisation.BATCH)
    assert count(G) == 3_576_704 + 3
    assert count(D) == 2_765_568 + 64 + 1


def test_28_pixels_come_from_maps_of_7():
    G = DcganGenerator(5, 2, (1, 28, 28))
    assert count(G) == 5 * 4 * 49 + 2 * 4 + 4 * 2 * 16 + 2 * 2 + 2 * 16 + 1


def test_weights_begin_as_the_papers():
    for module in (DcganGenerator(20, 16, (3, 32, 32)), DcganDiscriminator(16, (3, 32, 32))):
        for layer in module.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                weight = layer.weight.detach()
                # 5 standard errors of a standard deviation.
                assert weight.std().item() == pytest.approx(
                    0.02, rel=5 / (2 * weight.numel()) ** 0.5
                )
                assert layer.bias is None or not layer.bias.any()
            elif isinstance(layer, BatchNorm):
                assert 0.9 < layer.weight.min() < 1 < layer.weight.max() < 1.1
                assert not layer.bias.any()


def test_neither_the_image_nor_what_d_sees_first_is_normalised():
    *_, last, _ = DcganGenerator(5, 2, (3, 32, 32)).layers
    assert isinstance(last, nn.ConvTranspose2d)
    layers = DcganDiscriminator(2, (3, 32, 32), norm=Normalisation.BATCH).layers
    assert [type(layer) for layer in layers[:2]] == [nn.Conv2d, nn.LeakyReLU]
    assert sum(isinstance(layer, BatchNorm) for layer in layers) == 2
