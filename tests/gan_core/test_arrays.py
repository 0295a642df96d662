import os

import numpy as np
import pytest

from gan_core.arrays import array_sample_shape, read_array, read_classes
from gan_core.config import ConfigError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (6, 5, 7), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (6, 3, 5, 7), dtype=np.uint8)
POINTS = RANDOM.normal(0, 10, (6, 4))


@pytest.fixture
def saved(tmp_path):
    def save(x=None, **arrays):
        path = tmp_path / "mine.npz"
        np.savez(path, **({} if x is None else {"x": x}), **arrays)
        return path

    return save


def refusal(path, read=read_array):
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert (caught.value.key, caught.value.value) == ("data.root", str(path))
    assert "\n" not in str(caught.value)
    return caught.value.right


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (IMAGES, IMAGES[:, None]),
        (IMAGES[:, None], IMAGES[:, None]),
        (IMAGES[..., None], IMAGES[:, None]),
        (COLOUR, COLOUR),
        (COLOUR.transpose(0, 2, 3, 1), COLOUR),
        (POINTS, POINTS.astype(np.float32)),
    ],
    ids=["nhw", "n1hw", "nhw1", "n3hw", "nhw3", "nd"],
)
def test_every_layout_becomes_channels_first_and_the_header_says_so_beforehand(saved, x, expected):
    path = saved(x)
    array = read_array(path)
    assert array.data.dtype == expected.dtype
    assert np.array_equal(array.data, expected)
    assert array_sample_shape(path) == expected.shape[1:]
    assert (array.labels, array.classes) == (None, ())


def test_what_could_be_read_both_ways_is_channels_first(saved):
    x = RANDOM.integers(0, 256, (4, 3, 8, 3), dtype=np.uint8)
    assert np.array_equal(read_array(saved(x)).data, x)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_in_0_to_1_are_spread_over_minus_1_to_1_and_others_stay(saved, kind):
    unit = np.linspace(0, 1, 96).reshape(6, 4, 4).astype(kind)
    spread = read_array(saved(unit)).data
    assert spread.dtype == np.float32
    assert (spread.min(), spread.max()) == (-1, 1)
    np.testing.assert_array_equal(spread[:, 0], 2 * unit.astype(np.float32) - 1)
    signed = unit - kind(0.5)
    np.testing.assert_array_equal(read_array(saved(signed)).data[:, 0], signed.astype(np.float32))


def test_points_stay_as_they_are_even_in_0_to_1(saved):
    x = RANDOM.random((6, 3), dtype=np.float32)
    assert np.array_equal(read_array(saved(x)).data, x)


@pytest.mark.parametrize(
    ("y", "labels", "classes"),
    [
        ([7, 7, -1, 3, 3, 7], [2, 2, 0, 1, 1, 2], ("-1", "3", "7")),
        (["cat", "dog"] * 3, [0, 1] * 3, ("cat", "dog")),
    ],
)
def test_labels_are_indices_into_their_sorted_values(saved, y, labels, classes):
    path = saved(IMAGES, y=y)
    array = read_array(path)
    assert array.labels.dtype == np.int64
    assert array.labels.tolist() == labels
    assert array.classes == read_classes(path) == classes


def test_labels_of_a_single_class_are_none(saved):
    path = saved(IMAGES, y=[1] * 6)
    assert read_array(path).labels is None
    assert read_classes(path) == ()


def test_a_npy_file_and_an_archives_only_array_need_no_name(tmp_path, saved):
    np.save(tmp_path / "mine.npy", IMAGES)
    for path in (tmp_path / "mine.npy", saved(images=IMAGES, y=[0, 1] * 3)):
        assert np.array_equal(read_array(path).data[:, 0], IMAGES)
    assert read_classes(tmp_path / "mine.npy") == ()


def test_arrays_of_which_none_is_the_data_are_refused_by_their_names(saved):
    assert "holds 'a', 'b', must hold the data as 'x'" in refusal(saved(a=IMAGES, b=IMAGES))
    assert "holds nothing" in refusal(saved())


@pytest.mark.parametrize(
    ("x", "reason"),
    [
        (np.zeros(8), r"has shape [8], must have [n, h, w], "),
        (np.zeros((4, 2, 5, 5), np.uint8), "has shape [4, 2, 5, 5], must have"),
        (np.zeros((4, 1, 1, 5, 5), np.uint8), "must have [n, h, w]"),
        (np.zeros((4, 0, 5), np.uint8), "has shape [4, 0, 5]"),
        (np.zeros((3, 5, 5), np.uint8), "holds 3 samples, must hold at least 4"),
        (np.zeros((4, 5), np.uint8), "has points of type uint8, must have floats"),
        (np.zeros((4, 5, 5), np.int64), "has type int64, must have uint8 or floats"),
        (np.zeros((4, 5, 5), complex), "has type complex128"),
    ],
)
def test_a_wrong_shape_or_type_is_refused_from_the_header_alone(saved, x, reason):
    path = saved(x)
    assert reason in refusal(path)
    assert reason in refusal(path, array_sample_shape)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("x", [POINTS, np.zeros((4, 5, 5))])
def test_values_that_are_not_finite_are_refused_with_their_number(saved, x, value):
    x = x.copy()
    x[1, 1] = value
    number = x[1, 1].size
    assert f"holds {number} values that are NaN or not finite" in refusal(saved(x))


def test_float_pixels_out_of_range_are_refused_with_the_range(saved):
    bright = np.linspace(0, 255, 96).reshape(6, 4, 4)
    assert "has pixels in [0, 255], must have floats in [-1, 1]" in refusal(saved(bright))
    assert "has pixels in [-2, 1]" in refusal(saved(np.linspace(-2, 1, 96).reshape(6, 4, 4)))


@pytest.mark.parametrize(
    ("y", "reason"),
    [
        ([0, 1, 0], "has labels y of shape [3], must have [6]"),
        (np.zeros((6, 10), np.int64), "has labels y of shape [6, 10], must have [6]"),
        ([0.5] * 6, "has labels y of type float64, must have whole numbers or names"),
    ],
)
def test_labels_of_another_length_or_kind_are_refused(saved, y, reason):
    assert reason in refusal(saved(IMAGES, y=y))


def test_a_file_that_is_absent_or_of_another_kind_is_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "absent.npz")
    assert "cannot be read" in refusal(tmp_path)
    (tmp_path / "mine.csv").write_text("1,2")
    assert "must be a .npz or .npy file" in refusal(tmp_path / "mine.csv")


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
@pytest.mark.parametrize("content", [b"", b"not an array at all", b"\x93NUMPY\x01\x00\x00\x00"])
def test_a_file_of_something_else_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"mine{suffix}"
    path.write_bytes(content)
    assert "is damaged or not of numpy's making" in refusal(path)


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_a_truncated_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"mine{suffix}"
    (np.save if suffix == ".npy" else np.savez)(path, IMAGES)
    os.truncate(path, path.stat().st_size - 50)
    assert "is damaged" in refusal(path)


def test_pickled_objects_are_never_loaded(tmp_path):
    path = tmp_path / "mine.npy"
    np.save(path, np.array([[{}] * 5] * 4, dtype=object), allow_pickle=True)
    assert "has points of type object" in refusal(path)
