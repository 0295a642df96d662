import copy

import pytest
import torch
from torch import nn

from gan_core.config import Normalisation
from gan_core.networks.mlp import MlpDiscriminator, MlpGenerator
from gan_core.stack import Stack, corner

SLOTS, LATENT = 4, 7
WIDTHS, SHAPE = (5, 9), (1, 3, 3)
FLATS = ("parameters", "moment1", "moment2", "average")


def player(latent_dim=LATENT, seed=0):
    torch.manual_seed(seed)
    return MlpGenerator(latent_dim, WIDTHS, SHAPE).double()


def judge(norm, seed=0):
    torch.manual_seed(seed)
    return MlpDiscriminator((6, 4), SHAPE, norm=Normalisation(norm)).double()


@pytest.fixture(autouse=True)
def _global_stream_as_it_was():
    with torch.random.fork_rng(devices=[]):
        yield


def empty(dtype=torch.float64, fused=True):
    stack = Stack(SLOTS, dtype=dtype, device="cpu", fused=fused)
    stack.add_kind("", player())
    return stack


def filled(dims=(7, 3, 5, 1)):
    stack, modules = empty(), [player(dim, seed) for seed, dim in enumerate(dims)]
    for row, module in enumerate(modules):
        stack.admit("", row, module)
    return stack, modules


KINDS = ["none", "spectral", "batch", "layer"]


def judges(fused=True):
    """A stack of discriminators, one of each kind in this order."""
    stack = Stack(SLOTS, dtype=torch.float64, device="cpu", fused=fused)
    modules = [judge(kind, seed) for seed, kind in enumerate(KINDS)]
    for row, (kind, module) in enumerate(zip(KINDS, modules, strict=True)):
        stack.add_kind(kind, judge(kind))
        stack.admit(kind, row, module)
    return stack, modules


def shapes(module):
    return {name: p.shape for name, p in module.named_parameters()}


def latent_of(module):
    return shapes(module)["layers.0.weight"][1]


def test_the_template_is_not_what_is_trained():
    stack = empty()
    assert stack.kinds == [""]
    for name in FLATS:
        assert getattr(stack, name).shape == stack.parameters.shape
        assert not getattr(stack, name).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_tensor_of_every_slot_and_kind_begins_at_64_bytes(dtype):
    stack = Stack(SLOTS, dtype=dtype, device="cpu")
    for kind in KINDS:
        stack.add_kind(kind, judge(kind))
    for kind in KINDS:
        for tensor in stack.tensors(kind, stack.parameters).values():
            for row in tensor:
                assert row.storage_offset() * dtype.itemsize % 64 == 0
                assert row.is_contiguous()


def test_tensors_do_not_overlap():
    stack = empty()
    for i, tensor in enumerate(stack.tensors("", stack.parameters).values(), start=1):
        assert not tensor.any()
        tensor.fill_(i)
    for i, tensor in enumerate(stack.tensors("", stack.parameters).values(), start=1):
        assert (tensor == i).all()


def test_the_stacked_forward_is_each_modules_own():
    stack, modules = filled()
    z = torch.zeros(SLOTS, 6, LATENT, dtype=torch.float64)
    for row, module in enumerate(modules):
        z[row, :, : latent_of(module)] = torch.randn(6, 1, dtype=torch.float64)
    images = stack.forward("", stack.tensors("", stack.parameters), {}, z)
    for row, module in enumerate(modules):
        own = module(z[row, :, : latent_of(module)])
        # The rounding of a few dozen products, added up in another order.
        torch.testing.assert_close(images[row], own, rtol=0, atol=1e-13)


def test_a_members_tensors_stand_in_the_corner_and_zeros_beyond():
    stack, modules = filled()
    for row, module in enumerate(modules):
        for name, tensor in stack.tensors("", stack.parameters).items():
            own = dict(module.named_parameters())[name].detach()
            assert torch.equal(tensor[row][corner(own.shape)], own)
            assert tensor[row].count_nonzero() == own.count_nonzero()


def test_the_average_begins_at_the_initial_weights():
    stack, _ = filled()
    assert stack.average.any()
    assert torch.equal(stack.average, stack.parameters)


def test_what_is_exported_is_the_plain_module_again():
    stack, modules = filled()
    stack.average.mul_(2)
    for row, module in enumerate(modules):
        exported = stack.export("", row, shapes(module))
        assert all(torch.equal(exported[n], p) for n, p in module.state_dict().items())
        player(latent_of(module), seed=99).load_state_dict(exported)
        averaged = stack.export("", row, shapes(module), average=True)
        assert all(torch.equal(averaged[n], 2 * p) for n, p in module.state_dict().items())


def test_an_export_is_a_copy():
    stack, modules = filled()
    before = stack.parameters.clone()
    for tensor in stack.export("", 0, shapes(modules[0])).values():
        tensor.fill_(7)
    assert torch.equal(stack.parameters, before)


def test_a_newcomer_inherits_nothing_and_disturbs_nobody():
    stack, _ = filled()
    stack.moment1.fill_(3.0)
    stack.moment2.fill_(4.0)
    before = {name: getattr(stack, name).clone() for name in FLATS}
    stack.parameters[2] = stack.average[2] = torch.nan
    stack.admit("", 2, player(2, seed=9))
    assert not stack.moment1[2].any()
    assert not stack.moment2[2].any()
    assert stack.parameters[2].isfinite().all()
    assert stack.average[2].isfinite().all()
    others = [0, 1, 3]
    for name, old in before.items():
        assert torch.equal(getattr(stack, name)[others], old[others])


def test_rearranging_moves_all_that_a_member_has_together():
    stack, _ = filled()
    stack.moment1.copy_(stack.parameters * 2)
    stack.moment2.copy_(stack.parameters * 3)
    stack.average.copy_(stack.parameters * 4)
    before = stack.parameters.clone()
    stack.rearrange([2, 0, 1])
    expected = before[[2, 0, 1, 3]]
    for factor, name in enumerate(FLATS, start=1):
        assert torch.equal(getattr(stack, name), expected * factor)


def test_gradients_are_laid_out_as_parameters_are_and_added_to():
    stack, _ = filled()
    tensors = list(stack.tensors("", stack.parameters).values())
    stack.collect("", slice(0, 3), [tensor[:3].clone() for tensor in tensors])
    assert torch.equal(stack.gradient[:3], stack.parameters[:3])
    assert not stack.gradient[3].any()
    stack.accumulate("", slice(1, 3), [tensor[1:3].clone() for tensor in tensors])
    assert torch.equal(stack.gradient[0], stack.parameters[0])
    assert torch.equal(stack.gradient[1:3], stack.parameters[1:3] * 2)


def test_leaves_share_memory_with_the_rows_and_are_differentiable_apart():
    stack, _ = filled()
    leaves = stack.leaves("", slice(1, 3), requires_grad=True)
    assert all(leaf.is_leaf and leaf.requires_grad for leaf in leaves.values())
    assert not any(leaf.requires_grad for leaf in stack.leaves("", slice(1, 3)).values())
    with torch.no_grad():
        stack.parameters[1:3] = 5
    assert all((leaf == 5).all() for leaf in leaves.values())


def test_a_wider_kind_widens_every_row_and_moves_nobody():
    stack = Stack(SLOTS, dtype=torch.float64, device="cpu")
    stack.add_kind("none", judge("none"))
    module = judge("none", seed=3)
    stack.admit("none", 1, module)
    for factor, name in enumerate(FLATS, start=1):
        getattr(stack, name)[1] *= factor
    before = {name: getattr(stack, name).clone() for name in FLATS}
    width = stack.parameters.shape[1]
    stack.add_kind("batch", judge("batch"))
    assert stack.parameters.shape[1] > width
    for name, old in before.items():
        assert torch.equal(getattr(stack, name)[:, :width], old)
        assert not getattr(stack, name)[:, width:].any()
    exported = stack.export("none", 1, shapes(module))
    assert all(torch.equal(exported[n], p) for n, p in module.state_dict().items())


def test_a_narrower_kind_leaves_the_width_and_a_newcomers_tail_is_zero():
    stack, _ = judges()
    width = stack.parameters.shape[1]
    stack.add_kind("another", judge("none"))
    assert stack.parameters.shape[1] == width
    narrow = sum(-(-p.numel() // 16) * 16 for p in judge("none").parameters())
    assert narrow < width
    for flat in (*(getattr(stack, name) for name in FLATS), stack.gradient):
        flat.fill_(torch.nan)
    stack.admit("none", 2, judge("none", seed=8))
    for flat in (*(getattr(stack, name) for name in FLATS), stack.gradient):
        assert not flat[2, narrow:].any()


def test_each_kind_is_exported_with_its_own_buffers():
    stack, modules = judges()
    for row, (kind, module) in enumerate(zip(KINDS, modules, strict=True)):
        exported = stack.export(kind, row, shapes(module))
        assert exported.keys() == module.state_dict().keys()
        assert all(torch.equal(exported[n], p) for n, p in module.state_dict().items())
        judge(kind, seed=99).load_state_dict(exported)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_training_writes_through_to_the_buffers_and_evaluation_does_not(kind, fused):
    stack = Stack(SLOTS, dtype=torch.float64, device="cpu", fused=fused)
    stack.add_kind(kind, judge(kind))
    modules = [judge(kind, seed) for seed in range(SLOTS)]
    for row, module in enumerate(modules):
        stack.admit(kind, row, module)
    x = torch.randn(3, 8, *SHAPE, dtype=torch.float64)
    rows = slice(1, 4)
    for training in (True, True, False):
        before = {name: buffer.clone() for name, buffer in stack.all_buffers().items()}
        tensors, buffers = stack.leaves(kind, rows), stack.buffers(kind, rows)
        logits = stack.forward(kind, tensors, buffers, x, training=training)
        for row, module in enumerate(modules[1:]):
            own = module.train(training)(x[row])
            torch.testing.assert_close(logits[row], own, rtol=0, atol=1e-13)
        for name, buffer in stack.all_buffers().items():
            assert torch.equal(buffer[0], before[name][0])
            assert training or torch.equal(buffer, before[name])
            for module, held in zip(modules, buffer, strict=True):
                plain = dict(module.named_buffers())[name.removeprefix(f"{kind}.")]
                torch.testing.assert_close(held, plain, rtol=0, atol=1e-13)
    has_buffers = kind in ("batch", "spectral")
    assert bool(stack.all_buffers()) is has_buffers
    fresh = judge(kind, seed=1).state_dict()
    changed = [n for n, b in stack.buffers(kind, slice(1, 2)).items() if not b[0].equal(fresh[n])]
    assert bool(changed) is has_buffers


def test_a_users_torch_batch_norm_is_kept_as_well():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).double()
    stack = Stack(2, dtype=torch.float64, device="cpu")
    stack.add_kind("", copy.deepcopy(module))
    for row in range(2):
        stack.admit("", row, module)
    x = torch.randn(2, 8, 3, dtype=torch.float64)
    rows = slice(0, 2)
    stack.forward("", stack.leaves("", rows), stack.buffers("", rows), x)
    for row in range(2):
        own = copy.deepcopy(module)
        own(x[row])
        for name, tensor in stack.export("", row, shapes(module)).items():
            torch.testing.assert_close(tensor, own.state_dict()[name], rtol=0, atol=1e-13)


def test_buffers_of_rows_picked_by_index_are_copies():
    stack, _ = judges()
    before = {name: buffer.clone() for name, buffer in stack.all_buffers().items()}
    for buffer in stack.buffers("batch", torch.tensor([2, 0])).values():
        buffer.fill_(7)
    assert all(torch.equal(b, before[name]) for name, b in stack.all_buffers().items())


def test_buffers_move_with_their_member():
    stack, modules = judges()
    before = {name: buffer.clone() for name, buffer in stack.all_buffers().items()}
    order = [2, 3, 0, 1]
    stack.rearrange(order)
    for name, buffer in stack.all_buffers().items():
        assert torch.equal(buffer, before[name][order])
    exported = stack.export("batch", 0, shapes(modules[2]))
    assert all(torch.equal(exported[n], p) for n, p in modules[2].state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_one_by_one_and_fused_agree_in_values_gradients_and_second_derivatives(kind):
    rows = slice(0, SLOTS)
    x = torch.randn(SLOTS, 8, *SHAPE, dtype=torch.float64)
    seen = []
    for fused in (True, False):
        stack = Stack(SLOTS, dtype=torch.float64, device="cpu", fused=fused)
        stack.add_kind(kind, judge(kind))
        for row in range(SLOTS):
            stack.admit(kind, row, judge(kind, seed=row))
        leaves = stack.leaves(kind, rows, requires_grad=True)
        inputs = x.clone().requires_grad_()
        logits = stack.forward(kind, leaves, stack.buffers(kind, rows), inputs, twice=True)
        (slope,) = torch.autograd.grad(logits.square().sum(), inputs, create_graph=True)
        total = logits.sum() + slope.square().sum()
        gradients = torch.autograd.grad(total, list(leaves.values()), materialize_grads=True)
        seen.append([logits, slope, *gradients, *stack.all_buffers().values()])
    for one, other in zip(*seen, strict=True):
        # Rounding of sums of a few dozen products, in float64.
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_several_inputs_go_to_each_member_its_own():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(3, 2)

        def forward(self, x, labels):
            return x * self.table(labels)

    for fused in (True, False):
        stack = Stack(2, dtype=torch.float32, device="cpu", fused=fused)
        stack.add_kind("", Scaled())
        modules = [Scaled(), Scaled()]
        for row, module in enumerate(modules):
            stack.admit("", row, module)
        x, labels = torch.randn(2, 5, 2), torch.randint(3, (2, 5))
        out = stack.forward("", stack.leaves("", slice(0, 2)), {}, x, labels)
        for row, module in enumerate(modules):
            assert torch.equal(out[row], module(x[row], labels[row]))


def test_a_network_that_draws_noise_of_its_own_is_an_error():
    stack = Stack(2, dtype=torch.float32, device="cpu")
    stack.add_kind("", nn.Dropout())
    with pytest.raises(RuntimeError, match="randomness"):
        stack.forward("", {}, {}, torch.ones(2, 3))


def test_leaves_are_made_once_until_the_rows_are_others():
    stack, _ = filled()
    first = stack.leaves("", slice(0, 3), requires_grad=True)
    assert stack.leaves("", slice(0, 3), requires_grad=True) is first
    assert stack.leaves("", slice(0, 2), requires_grad=True) is not first
    assert stack.leaves("", slice(0, 3)) is not first
    assert stack.leaves("", slice(0, 3), requires_grad=True, fresh=True) is not first
    stack.add_kind("longer", MlpGenerator(LATENT, (50,), SHAPE))
    now = stack.leaves("", slice(0, 3), requires_grad=True)["layers.0.weight"]
    stack.parameters[0] = 3
    assert (now[0] == 3).all()


def test_views_are_not_kept_without_end():
    stack, _ = filled()
    for stop in range(1, 500):
        stack.leaves("", slice(0, stop % 5))
        stack.places("", slice(stop % 3, 4 + stop))
    assert len(stack._views) <= 64
