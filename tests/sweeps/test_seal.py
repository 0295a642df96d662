import pytest

from sweeps.seal import BLANK, is_whole, sealed

CONTENT = b"\x00before " + BLANK.encode() + b" after\xff\n" + BLANK.encode()


def test_what_is_sealed_is_whole_and_as_long_as_before():
    whole = sealed(CONTENT)
    assert is_whole(whole)
    assert whole != CONTENT
    assert len(whole) == len(CONTENT)


def test_any_byte_that_changes_is_seen():
    whole = sealed(CONTENT)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        assert not is_whole(bytes(changed)), place


@pytest.mark.parametrize("content", [b"", b"no digest", CONTENT, sealed(CONTENT)[:-1]])
def test_what_was_not_sealed_is_not_whole(content):
    assert not is_whole(content)


def test_without_a_place_for_the_digest_nothing_is_sealed():
    with pytest.raises(ValueError, match="there is no sha256:000"):
        sealed(b"content")
