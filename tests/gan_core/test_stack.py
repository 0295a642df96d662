import pytest
import torch
from torch import nn

from gan_core.config import ConfigError
from gan_core.networks.mlp import MlpGenerator
from gan_core.stack import Stack

SLOTS, LATENT = 4, 7
WIDTHS, SHAPE = (5, 9), (1, 3, 3)


def player(latent_dim=LATENT, seed=0):
    torch.manual_seed(seed)
    return MlpGenerator(latent_dim, WIDTHS, SHAPE).double()


@pytest.fixture(autouse=True)
def _global_stream_as_it_was():
    with torch.random.fork_rng(devices=[]):
        yield


def empty():
    return Stack(player(), SLOTS, dtype=torch.float64, device="cpu")


def filled(dims=(7, 3, 5, 1)):
    stack, modules = empty(), [player(dim, seed) for seed, dim in enumerate(dims)]
    for row, module in enumerate(modules):
        stack.admit(row, dict(module.named_parameters()))
    return stack, modules


def shapes(module):
    return {name: p.shape for name, p in module.named_parameters()}


def test_the_template_is_not_what_is_trained():
    stack = empty()
    assert not stack.parameters.any()
    assert stack.parameters.shape == stack.moment1.shape == stack.moment2.shape


def test_every_tensor_of_every_slot_begins_at_64_bytes():
    for dtype in (torch.float32, torch.float64):
        stack = Stack(player(), SLOTS, dtype=dtype, device="cpu")
        for tensor in stack.tensors(stack.parameters).values():
            for row in tensor:
                assert row.storage_offset() * dtype.itemsize % 64 == 0
                assert row.is_contiguous()


def test_tensors_do_not_overlap():
    stack = empty()
    for i, tensor in enumerate(stack.tensors(stack.parameters).values(), start=1):
        assert not tensor.any()
        tensor.fill_(i)
    for i, tensor in enumerate(stack.tensors(stack.parameters).values(), start=1):
        assert (tensor == i).all()


def test_the_stacked_forward_is_each_modules_own():
    stack, modules = filled()
    z = torch.zeros(SLOTS, 6, LATENT, dtype=torch.float64)
    for row, module in enumerate(modules):
        z[row, :, : shapes(module)["layers.0.weight"][1]] = torch.randn(6, 1, dtype=torch.float64)
    images = stack.forward(stack.tensors(stack.parameters), z)
    for row, module in enumerate(modules):
        own = module(z[row, :, : shapes(module)["layers.0.weight"][1]])
        # The rounding of a few dozen products, added up in another order.
        torch.testing.assert_close(images[row], own, rtol=0, atol=1e-13)


def test_a_members_tensors_stand_in_the_corner_and_zeros_beyond():
    stack, modules = filled()
    for row, module in enumerate(modules):
        for name, tensor in stack.tensors(stack.parameters).items():
            own = dict(module.named_parameters())[name].detach()
            corner = tuple(slice(size) for size in own.shape)
            assert torch.equal(tensor[row][corner], own)
            assert tensor[row].count_nonzero() == own.count_nonzero()


def test_what_is_exported_is_the_plain_module_again():
    stack, modules = filled()
    for row, module in enumerate(modules):
        exported = stack.export(row, shapes(module))
        assert all(torch.equal(exported[n], p) for n, p in module.state_dict().items())
        player(shapes(module)["layers.0.weight"][1], seed=99).load_state_dict(exported)


def test_an_export_is_a_copy():
    stack, modules = filled()
    before = stack.parameters.clone()
    for tensor in stack.export(0, shapes(modules[0])).values():
        tensor.fill_(7)
    assert torch.equal(stack.parameters, before)


def test_a_newcomer_inherits_nothing_and_disturbs_nobody():
    stack, _ = filled()
    flats = (stack.parameters, stack.moment1, stack.moment2)
    stack.moment1.fill_(3.0)
    stack.moment2.fill_(4.0)
    before = [flat.clone() for flat in flats]
    stack.parameters[2] = torch.nan
    stack.admit(2, dict(player(2, seed=9).named_parameters()))
    assert not stack.moment1[2].any()
    assert not stack.moment2[2].any()
    assert stack.parameters[2].isfinite().all()
    others = [0, 1, 3]
    for flat, old in zip(flats, before, strict=True):
        assert torch.equal(flat[others], old[others])


def test_rearranging_moves_parameters_and_moments_together():
    stack, _ = filled()
    stack.moment1.copy_(stack.parameters * 2)
    stack.moment2.copy_(stack.parameters * 3)
    before = stack.parameters.clone()
    stack.rearrange([2, 0, 1])
    expected = before[[2, 0, 1, 3]]
    assert torch.equal(stack.parameters, expected)
    assert torch.equal(stack.moment1, expected * 2)
    assert torch.equal(stack.moment2, expected * 3)


def test_gradients_are_laid_out_as_parameters_are_and_added_to():
    stack, _ = filled()
    tensors = list(stack.tensors(stack.parameters).values())
    flat = stack.collect([tensor[:3].clone() for tensor in tensors])
    assert torch.equal(flat, stack.parameters[:3])
    assert flat.data_ptr() == stack.gradient.data_ptr()
    stack.accumulate(slice(1, 3), [tensor[1:3].clone() for tensor in tensors])
    assert torch.equal(flat[0], stack.parameters[0])
    assert torch.equal(flat[1:], stack.parameters[1:3] * 2)


def test_leaves_share_memory_with_the_rows_and_are_differentiable_apart():
    stack, _ = filled()
    leaves = stack.leaves(slice(1, 3), requires_grad=True)
    assert all(leaf.is_leaf and leaf.requires_grad for leaf in leaves.values())
    assert not any(leaf.requires_grad for leaf in stack.leaves(slice(1, 3)).values())
    with torch.no_grad():
        stack.parameters[1:3] = 5
    assert all((leaf == 5).all() for leaf in leaves.values())


def test_buffers_are_refused_by_name():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    with pytest.raises(ConfigError) as caught:
        Stack(module, 2, dtype=torch.float32, device="cpu")
    assert str(caught.value) == (
        'model.architecture = "Sequential": has buffers (1.running_mean, 1.running_var, '
        "1.num_batches_tracked), which a cohort cannot hold"
    )


def test_a_network_that_draws_noise_of_its_own_is_an_error():
    stack = Stack(nn.Dropout(), 2, dtype=torch.float32, device="cpu")
    with pytest.raises(RuntimeError, match="randomness"):
        stack.forward({}, torch.ones(2, 3))
