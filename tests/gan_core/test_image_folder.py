import numpy as np
import pytest
from PIL import Image

from gan_core.config import ConfigError
from gan_core.image_folder import check_image_folder, list_images, read_images

RANDOM = np.random.default_rng(0)


def draw(path, size=(10, 10), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"RGB": (3,), "RGBA": (4,), "L": ()}[mode]
    pixels = RANDOM.integers(0, 256, (size[1], size[0], *channels), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def refusal(call, *arguments):
    with pytest.raises(ConfigError) as caught:
        call(*arguments)
    assert caught.value.key == "data.root"
    assert "\n" not in str(caught.value)
    return caught.value


def test_images_in_the_directory_itself_have_no_labels_and_come_by_name(tmp_path):
    for name in ("c.png", "a.jpg", "b.BMP", "d.webp"):
        draw(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden.png").write_text("not either")
    (tmp_path / "empty").mkdir()
    files = list_images(tmp_path)
    assert [path.name for path in files.paths] == ["a.jpg", "b.BMP", "c.png", "d.webp"]
    assert (files.labels, files.classes) == (None, ())


def test_class_folders_are_labels_however_deep_their_images_lie(tmp_path):
    for name in ("dog/1.png", "dog/2.png", "cat/deep/1.png", "cat/deep/.2.png", "cat/3.png"):
        draw(tmp_path / name)
    files = list_images(tmp_path)
    assert files.classes == ("cat", "dog")
    assert files.labels == (0, 0, 1, 1)
    assert [path.parts[-2] for path in files.paths] == ["cat", "deep", "dog", "dog"]


def test_a_single_class_folder_is_no_label(tmp_path):
    for i in range(4):
        draw(tmp_path / "all" / f"{i}.png")
    assert list_images(tmp_path).labels is None
    assert list_images(tmp_path).classes == ()


def test_images_beside_class_folders_are_refused(tmp_path):
    for name in ("a.png", "b/c.png", "d/e.png", "d/f.png"):
        draw(tmp_path / name)
    assert "holds images (a.png, ...) beside class folders (b, ...)" in str(
        refusal(list_images, tmp_path)
    )


def test_a_directory_that_is_absent_a_file_or_empty_is_refused(tmp_path):
    assert "must be a directory of images" in str(refusal(list_images, tmp_path / "absent"))
    draw(tmp_path / "in" / "a.png")
    assert "must be a directory" in str(refusal(list_images, tmp_path / "in" / "a.png"))
    error = refusal(list_images, tmp_path / "in")
    assert error.value == str(tmp_path / "in")
    assert "holds 1 images, must hold at least 4" in error.right
    assert ".png" in error.right


def test_an_image_of_the_right_size_comes_as_it_is(tmp_path):
    pixels = [draw(tmp_path / f"{i}.png") for i in range(5)]
    images = read_images(list_images(tmp_path).paths, 10)
    assert images.dtype == np.uint8
    assert np.array_equal(images, np.stack(pixels).transpose(0, 3, 1, 2))


def test_mixed_sizes_are_cut_to_their_centred_square_and_scaled(tmp_path):
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = (10, 200, 30)  # the centred square
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(wide.transpose(1, 0, 2)).save(tmp_path / "tall.png")
    images = read_images([tmp_path / "wide.png", tmp_path / "tall.png"], 4)
    assert images.shape == (2, 3, 4, 4)
    # at the cut the filter sees a little of what lies beyond
    assert np.abs(images.astype(int) - [[[10]], [[200]], [[30]]]).max() < 15


def test_scaling_down_does_not_alias(tmp_path):
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    small = read_images([tmp_path / "stripes.png"], 8)
    # nearest neighbour would give 0 or 255 everywhere
    assert np.abs(small.astype(int) - 127).max() < 8


def test_grey_palette_and_transparent_images_become_rgb(tmp_path):
    grey = draw(tmp_path / "grey.png", mode="L")
    rgba = draw(tmp_path / "rgba.png", mode="RGBA")
    Image.fromarray(grey).convert("P").save(tmp_path / "palette.gif")
    paths = [tmp_path / name for name in ("grey.png", "rgba.png", "palette.gif")]
    images = read_images(paths, 10)
    assert np.array_equal(images[0], np.stack([grey] * 3))
    assert np.array_equal(images[1], rgba[..., :3].transpose(2, 0, 1))
    assert np.array_equal(images[2], images[0])


def test_a_photograph_is_turned_as_its_camera_was_held(tmp_path):
    pixels = RANDOM.integers(0, 256, (10, 10, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 3  # held upside down
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    image = read_images([tmp_path / "a.png"], 10)[0]
    assert np.array_equal(image, pixels[::-1, ::-1].transpose(2, 0, 1))


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_an_unreadable_image_is_refused_by_its_name(tmp_path, content):
    for i in range(6):
        draw(tmp_path / f"{i}.png")
    (tmp_path / "3.png").write_bytes(content)
    for call in (
        lambda: check_image_folder(tmp_path),
        lambda: read_images(list_images(tmp_path).paths, 8),
    ):
        error = refusal(call)
        assert error.value == str(tmp_path / "3.png")
        assert "cannot be read as an image" in error.right


def test_a_truncated_image_is_refused_when_it_is_read(tmp_path):
    draw(tmp_path / "0.png", (50, 50))
    content = (tmp_path / "0.png").read_bytes()
    (tmp_path / "0.png").write_bytes(content[: len(content) // 2])
    assert refusal(read_images, [tmp_path / "0.png"], 8).value == str(tmp_path / "0.png")


def test_an_image_of_16_bits_is_refused_rather_than_clipped(tmp_path):
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "deep.png")
    assert "must have 8 bits a channel" in refusal(read_images, [tmp_path / "deep.png"], 8).right


def test_a_check_opens_few_of_many_images(tmp_path):
    for i in range(4):
        draw(tmp_path / f"a{i}.png")
    for i in range(200):
        (tmp_path / f"b{i:03}.png").write_bytes((tmp_path / "a0.png").read_bytes())
    (tmp_path / "b199.png").write_bytes(b"")  # the 204th of 204: the step of 3 passes it by
    check_image_folder(tmp_path)
