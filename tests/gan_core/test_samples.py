import io

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.samples import grid_png, points_png

GAP, BROKEN = 64, 128


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_the_grid_holds_each_sample_in_its_place_row_by_row():
    samples = torch.rand(5, 1, 3, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    image = pixels(grid_png(samples, columns=2))
    assert image.shape == (3 * (3 + 1) + 1, 2 * (4 + 1) + 1)
    for i, sample in enumerate(samples):
        top, left = i // 2 * 4 + 1, i % 2 * 5 + 1
        expected = ((sample[0] + 1) * 127.5).double().round().numpy()
        assert np.array_equal(image[top : top + 3, left : left + 4], expected)
    assert (image[9:12, 6:10] == GAP).all()  # the place that is left over
    assert (image[::4] == GAP).all()
    assert (image[:, ::5] == GAP).all()


def test_minus_1_is_black_and_1_is_white_and_beyond_is_clipped():
    samples = torch.tensor([-1.0, 1.0, -7.0, 7.0, 0.0]).view(5, 1, 1, 1)
    assert pixels(grid_png(samples)).ravel()[12:22:2].tolist() == [0, 255, 0, 255, 128]


def test_colour_channels_stay_in_their_order():
    samples = torch.tensor([1.0, -1.0, 0.0]).view(1, 3, 1, 1)
    assert pixels(grid_png(samples))[1, 1].tolist() == [255, 0, 128]


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sample_with_one_broken_pixel_is_grey_all_over_and_its_neighbour_is_not(value, dtype):
    samples = torch.ones(2, 1, 2, 2, dtype=dtype)
    samples[0, 0, 1, 0] = value
    image = pixels(grid_png(samples))
    assert (image[1:3, 1:3] == BROKEN).all()
    assert (image[1:3, 4:6] == 255).all()


def test_the_same_samples_give_the_same_bytes_and_others_do_not():
    samples = torch.linspace(-1, 1, 2 * 64).view(2, 1, 8, 8)
    assert grid_png(samples) == grid_png(samples.clone())
    assert grid_png(samples) == grid_png(samples.double())
    assert grid_png(samples) != grid_png(samples.flip(0))


def test_scale_repeats_each_pixel():
    samples = torch.tensor([-1.0, 1.0]).view(1, 1, 1, 2)
    image = pixels(grid_png(samples, scale=3))
    assert image[1:4, 1:7].tolist() == [[0, 0, 0, 255, 255, 255]] * 3


def test_samples_that_still_have_a_gradient_are_drawn():
    assert grid_png(torch.zeros(1, 1, 2, 2, requires_grad=True)) == grid_png(
        torch.zeros(1, 1, 2, 2)
    )


def test_fewer_samples_than_columns_leave_no_empty_columns():
    assert pixels(grid_png(torch.zeros(2, 1, 3, 3), columns=8)).shape == (5, 9)


@pytest.mark.parametrize("shape", [(0, 1, 2, 2), (1, 2, 2, 2), (1, 2, 2)])
def test_what_is_not_a_stack_of_grey_or_rgb_images_is_refused(shape):
    with pytest.raises(ValueError, match=r"samples has shape .*must be \[N >= 1"):
        grid_png(torch.zeros(shape))


@pytest.mark.parametrize("wrong", [{"columns": 0}, {"scale": 0}])
def test_columns_and_scale_below_1_are_refused(wrong):
    with pytest.raises(ValueError, match="both must be >= 1"):
        grid_png(torch.zeros(1, 1, 2, 2), **wrong)


def test_points_are_drawn_where_they_lie_and_what_lies_beyond_is_left_out():
    points = torch.tensor([[0.0, 0.0], [0.95, 0.95], [-0.95, -0.95], [5.0, 0.0], [torch.nan, 0.0]])
    image = np.asarray(Image.open(io.BytesIO(points_png(points, extent=1.0, side=20))))
    rows, columns = image.nonzero()
    # Up is y: the point at (.95, .95) is at the top right.
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 19), (10, 10), (19, 0)]


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 1, 8, 8)])
def test_what_are_no_points_is_refused(shape):
    with pytest.raises(ValueError, match=r"must be \[N, dimensions >= 2\]"):
        points_png(torch.zeros(shape), extent=1.0)
