import pytest
import torch

from gan_core.config import Normalisation
from gan_core.networks.conditioning import LatentInput, LogitHead


def test_z_comes_last_so_that_padding_it_pads_the_layer_that_follows():
    entrance = LatentInput(4, classes=3)
    z, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 1, 0])
    both = entrance(z, labels)
    assert entrance.features == both.shape[1] == 7
    assert torch.equal(both[:, 3:], z)
    assert torch.equal(both[:, :3], entrance.embedding.weight[labels])


def test_without_classes_z_passes_as_it_is():
    entrance, z = LatentInput(4, classes=0), torch.randn(5, 4)
    assert torch.equal(entrance(z), z)
    assert entrance.features == 4
    assert not list(entrance.parameters())


@pytest.mark.parametrize(("classes", "entries"), [(1, 1), (10, 10), (1000, 64)])
def test_an_embedding_has_as_many_entries_as_classes_up_to_a_bound(classes, entries):
    assert LatentInput(4, classes).features == entries + 4


@pytest.mark.parametrize("norm", list(Normalisation))
def test_the_logit_is_affine_plus_the_projection_on_the_labels_embedding(norm):
    head = LogitHead(6, 3, norm).double().eval()
    h, labels = torch.randn(5, 6, dtype=torch.float64), torch.tensor([2, 0, 1, 1, 2])
    rows = head.embedding(labels)
    expected = torch.stack([head.linear(h[i])[0] + rows[i] @ h[i] for i in range(5)])
    torch.testing.assert_close(head(h, labels), expected, rtol=0, atol=1e-12)
    table = head.embedding(torch.arange(3))
    if norm is Normalisation.SPECTRAL:
        assert torch.linalg.svdvals(table)[0].item() == pytest.approx(1, abs=0.05)


def test_labels_without_classes_and_classes_without_labels_are_refused():
    h = torch.randn(5, 6)
    labels = torch.zeros(5, dtype=torch.int64)
    for plain in (LatentInput(6, 0), LogitHead(6, 0, Normalisation.NONE)):
        with pytest.raises(TypeError, match="built without classes"):
            plain(h, labels)
    for conditional in (LatentInput(6, 3), LogitHead(6, 3, Normalisation.NONE)):
        with pytest.raises(TypeError):
            conditional(h)
