import pytest
import torch

from gan_core.networks.stylegan import SIDES, StyleganDiscriminator, StyleganGenerator


def test_noise_is_one_image_for_each_styled_layer():
    sizes = {side: StyleganGenerator(4, 1, (1, side, side)).noise_numel for side in SIDES}
    assert sizes == {
        8: 16 + 2 * 64,
        16: 16 + 2 * (64 + 256),
        32: 16 + 2 * (64 + 256 + 1024),
        64: 16 + 2 * (64 + 256 + 1024 + 4096),
    }


@pytest.mark.parametrize("side", SIDES)
def test_every_side_is_made_and_judged(side):
    G, D = StyleganGenerator(4, 1, (3, side, side)), StyleganDiscriminator(1, (3, side, side))
    images = G(torch.randn(2, 4), torch.randn(2, G.noise_numel))
    assert images.shape == (2, 3, side, side)
    assert D(images).shape == (2,)


def test_noise_matters_by_each_layers_strength_which_begins_at_zero():
    G = StyleganGenerator(4, 2, (1, 8, 8)).double()
    z = torch.randn(2, 4, dtype=torch.float64)
    one, other = torch.randn(2, 2, G.noise_numel, dtype=torch.float64)
    assert torch.equal(G(z, one), G(z, other))
    # The last layer of 8x8 hears the last 64 numbers, and no others.
    G.layers[-1].strength.data.fill_(0.5)
    mixed = torch.cat((other[:, :-64], one[:, -64:]), dim=1)
    assert torch.equal(G(z, one), G(z, mixed))
    assert not torch.allclose(G(z, one), G(z, other))


def test_z_acts_through_styles_alone():
    G = StyleganGenerator(4, 2, (1, 8, 8)).double()
    for module in G.modules():
        if hasattr(module, "style"):
            module.style.weight.data.zero_()
    z = torch.randn(2, 4, dtype=torch.float64)
    noise = torch.zeros(2, G.noise_numel, dtype=torch.float64)
    images = G(z, noise)
    assert torch.equal(images[0], images[1])


def test_feature_maps_are_the_wider_the_smaller():
    G = StyleganGenerator(4, 2, (1, 64, 64))
    assert [layer.bias.numel() for layer in G.layers] == [8, 8, 8, 4, 4, 2, 2, 2, 2]


def test_the_initial_image_is_of_moderate_size_at_any_width():
    for channels in (4, 32):
        G = StyleganGenerator(8, channels, (1, 16, 16))
        images = G(torch.randn(64, 8), torch.randn(64, G.noise_numel))
        assert 0.2 < images.atanh().std() < 5


def test_ds_blocks_keep_the_mean_square_that_their_two_paths_bring():
    block = StyleganDiscriminator(2, (1, 16, 16)).layers[2].double()
    x = torch.randn(2, 4, 16, 16, dtype=torch.float64)
    paths = block.residual(x) + block.shortcut(x)
    assert block(x).shape == (2, 8, 8, 8)
    torch.testing.assert_close(block(x).square() * 2, paths.square(), rtol=1e-12, atol=1e-15)
