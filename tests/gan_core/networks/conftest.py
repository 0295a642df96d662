"""Members stacked as hard as may be: every tensor a view, with gaps, of one flat row each."""

import copy

import pytest
import torch
from torch.func import functional_call, vmap


class Stacked:
    """Modules of one kind, called all at once."""

    def __init__(self, modules, *, gap=5):
        self.template = copy.deepcopy(modules[0]).to("meta")
        self.modules = modules
        self.parameters = {
            name: view.requires_grad_()
            for name, view in self._views("named_parameters", gap).items()
        }
        self.buffers = self._views("named_buffers", gap)

    def _views(self, kind, gap):
        views = {}
        for name, first in getattr(self.modules[0], kind)():
            own = [dict(getattr(m, kind)())[name].detach() for m in self.modules]
            flat = first.new_zeros(len(own), gap + first.numel() + gap).detach()
            view = flat[:, gap : gap + first.numel()].view(len(own), *first.shape)
            views[name] = view.copy_(torch.stack(own))
        return views

    def train(self, mode=True):
        self.template.train(mode)
        for module in self.modules:
            module.train(mode)

    def __call__(self, *inputs):
        """Under vmap; inputs and outputs are [members, ...]."""

        def one(parameters, buffers, *own):
            return functional_call(self.template, (parameters, buffers), own)

        return vmap(one, randomness="error")(self.parameters, self.buffers, *inputs)

    def loop(self, *inputs):
        """One after another."""
        outputs = []
        for k in range(len(self.modules)):
            own = [
                {name: t[k] for name, t in tensors.items()}
                for tensors in (self.parameters, self.buffers)
            ]
            arguments = tuple(x[k] for x in inputs)
            outputs.append(functional_call(self.template, tuple(own), arguments))
        return torch.stack(outputs)

    def alone(self, *inputs):
        """Each plain module on its own inputs: a list."""
        return [m(*(x[k] for x in inputs)) for k, m in enumerate(self.modules)]

    def assert_buffers_alike(self, atol=1e-12):
        for name, stacked in self.buffers.items():
            own = torch.stack([dict(m.named_buffers())[name] for m in self.modules])
            torch.testing.assert_close(stacked, own, rtol=0, atol=atol)


@pytest.fixture
def stack():
    return Stacked


@pytest.fixture(autouse=True)
def _own_stream():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
