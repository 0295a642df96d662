import torch
from torch import nn

from gan_core.networks.initial import initialise
from gan_core.networks.norms import BatchNorm
from gan_core.networks.spectral import SpectralConv2d


def test_affine_layers_are_drawn_and_everything_else_is_left():
    network = nn.Sequential(
        nn.Conv2d(2, 3, 3),
        BatchNorm(3),
        nn.ConvTranspose2d(3, 3, 4, bias=False),
        nn.Sequential(nn.Flatten(), nn.Linear(5, 4)),
    )
    initialise(network, lambda layer: nn.init.constant_(layer.weight, 7))
    for name, parameter in network.named_parameters():
        expected = 0 if name.endswith("bias") else 1 if name.startswith("1.") else 7
        assert (parameter == expected).all()


def test_spectral_layers_are_aligned_to_what_was_drawn():
    layer = SpectralConv2d(2, 3, 3)
    initialise(layer, lambda drawn: nn.init.normal_(drawn.weight, 0, 9))
    norm = torch.linalg.svdvals(layer.eval().normalised().flatten(1))[0]
    torch.testing.assert_close(norm, torch.tensor(1.0), rtol=0.05, atol=0)
