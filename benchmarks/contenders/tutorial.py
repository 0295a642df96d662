"""The same loop with its data as tutorials have it: a DataLoader, and transforms of each sample.

As `torchvision.datasets.MNIST` does, every image is made a PIL image, then a tensor by `ToTensor`,
then normalised, each time that it is drawn. The loader has no workers of its own, as in PyTorch's
tutorials for one core.
"""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms

from benchmarks.contenders.solo import Solo
from gan_core.data import Dataset

__all__ = ["Tutorial"]


class Tutorial(Solo):
    """One GAN in training, fed by a DataLoader."""

    def batches(self, dataset: Dataset) -> Iterator[Tensor]:
        """Real batches without end, epoch after epoch."""
        loader: DataLoader[Tensor] = DataLoader(
            _Samples(dataset), batch_size=self._batch_size, shuffle=True, drop_last=True
        )
        while True:
            for real in loader:
                yield real.to(self._device)


class _Samples(TorchDataset[Tensor]):
    """One sample at a time, on the host."""

    def __init__(self, dataset: Dataset) -> None:
        self._is_bytes = dataset.levels is not None
        self._data = dataset.data.cpu()
        if dataset.levels is not None:
            self._data = (self._data.float() * (255 / dataset.levels)).round().byte()
        self._transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))]
        )

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> Tensor:
        if not self._is_bytes:
            return self._data[index]
        image: Tensor = self._transform(Image.fromarray(self._data[index, 0].numpy(), mode="L"))
        return image
