"""Look-alikes: planted twins are found, strangers are not, and nothing depends on chance."""

import csv

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from medkit.errors import ConfigError
from medkit.lookalikes import BITS, _near, image_hash, look_alikes

THRESHOLD = 160


def texture(seed, shape=(180, 240)):
    """A picture with structure at several scales, as (H,W) uint8."""
    rng = np.random.default_rng(seed)
    layers = sum(s * gaussian_filter(rng.standard_normal(shape), s) for s in (2, 5, 12, 25))
    return np.uint8(255 * (layers - layers.min()) / np.ptp(layers))


def save(path, pixels, mode=None):
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)
    return path


def found(groups):
    return {(p.first, p.second) for p in groups.pairs}


def test_twins_are_joined_and_strangers_are_not(tmp_path):
    base, other = texture(0), texture(1)
    marked = base.copy()
    marked[60:63, 40:120] = 255
    paths = [
        save(tmp_path / "a (1).png", base),
        save(tmp_path / "z.png", other),
        save(tmp_path / "brighter.png", np.uint8(np.clip(base * 0.7 + 60, 0, 255))),
        save(tmp_path / "smaller.jpg", np.asarray(Image.fromarray(base).resize((120, 90)))),
        save(tmp_path / "marked.png", marked, "RGBA"),
        save(tmp_path / "palette.png", base, "P"),
        save(tmp_path / "mirrored.png", base[:, ::-1]),
        save(tmp_path / "copy.png", base),
        save(tmp_path / "deep.png", (base.astype(np.uint16) * 257)),
    ]
    groups = look_alikes(paths, THRESHOLD)
    assert groups.group.tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert groups.names[:2] == ["group-0000", "group-0001"]
    same = [p for p in groups.pairs if p.same_bytes]
    assert [(p.first, p.second, p.distance) for p in same] == [(0, 7, 0)]
    assert {(p.first, p.second) for p in groups.pairs if p.mirrored} == {(n, 6) for n in (0, 2, 3, 4, 5)} | {
        (6, 7), (6, 8)
    }  # fmt: skip
    without = look_alikes(paths, THRESHOLD, mirrored=False)
    assert without.group[6] not in np.delete(without.group, 6)


def test_chains_make_one_group():
    images = {str(n): texture(0) for n in range(3)}
    images["1"] = texture(0) * 0.75 + texture(5) * 0.25
    images["2"] = texture(0) * 0.5 + texture(5) * 0.5
    groups = look_alikes(list(images), 400, opener=lambda name: Image.fromarray(np.uint8(images[name])))
    one, two, far = (
        next(p.distance for p in groups.pairs if (p.first, p.second) == pair) for pair in ((0, 1), (1, 2), (0, 2))
    )
    assert max(one, two) < far
    linked = look_alikes(list(images), max(one, two), opener=lambda name: Image.fromarray(np.uint8(images[name])))
    assert found(linked) == {(0, 1), (1, 2)}
    assert set(linked.group) == {0}


def test_unreadable_files_are_listed_and_stand_alone(tmp_path):
    good = save(tmp_path / "good.png", texture(0))
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:2000])
    (tmp_path / "empty.png").touch()
    bad = [tmp_path / name for name in ("text.png", "cut.png", "empty.png", "missing.png")]
    groups = look_alikes([*bad[:2], good, *bad[2:]], THRESHOLD)
    assert set(groups.unreadable) == {str(path) for path in bad}
    assert len(set(groups.group)) == 5
    assert not groups.pairs
    assert all("\n" not in reason and reason for reason in groups.unreadable.values())


def test_tables_hold_pairs_groups_and_problems(tmp_path):
    paths = [save(tmp_path / f"a ({n}).png", texture(0)) for n in range(2)] + [tmp_path / "no.png"]
    look_alikes(paths, THRESHOLD).write(tmp_path / "out", below=tmp_path)
    with (tmp_path / "out" / "look_alikes.csv").open() as file:
        (pair,) = csv.DictReader(file)
    assert pair == {
        "path_a": "a (0).png", "path_b": "a (1).png", "distance": "0", "mirrored": "0", "same_bytes": "1",
        "group": "group-0000", "threshold": str(THRESHOLD), "bits": str(BITS),
    }  # fmt: skip
    with (tmp_path / "out" / "look_alike_groups.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["path"], r["group"], r["size"]) for r in rows] == [
        ("a (0).png", "group-0000", "2"), ("a (1).png", "group-0000", "2"), ("no.png", "group-0001", "1")
    ]  # fmt: skip
    assert "No such file" in rows[2]["problem"]


def test_pairs_are_those_of_a_plain_double_loop(monkeypatch):
    monkeypatch.setattr("medkit.lookalikes._BLOCK", 200)  # several blocks
    bits = np.random.default_rng(0).integers(0, 2, (41, 2, BITS)).astype(bool)
    bits[7, 0] = bits[3, 0]
    bits[20, 1, 100:] = bits[9, 0, 100:]
    packed = np.packbits(bits, axis=2).view(np.uint64)
    read = np.arange(41) != 5
    i, j, distance, flipped = _near(packed, read, 240, True)
    expected = []
    for a in range(41):
        for b in range(a + 1, 41):
            plain, one, other = ((bits[a, k] != bits[b, m]).sum() for k, m in ((0, 0), (0, 1), (1, 0)))
            flip = min(one, other)
            if min(plain, flip) <= 240 and 5 not in (a, b):
                expected.append((a, b, min(plain, flip), flip < plain))
    assert list(zip(i.tolist(), j.tolist(), distance.tolist(), flipped.tolist())) == expected
    assert (3, 7) in [row[:2] for row in expected]
    assert (9, 20) in [row[:2] for row in expected if row[3]]


def test_unrelated_pictures_differ_in_about_half_of_the_bits():
    hashes = np.array([image_hash(Image.fromarray(texture(seed)))[0] for seed in range(40)])
    _, _, distance, _ = _near(np.repeat(hashes[:, None], 2, axis=1), np.ones(40, bool), BITS - 1, False)
    assert distance.mean() == pytest.approx(BITS / 2, abs=12)
    assert distance.min() > THRESHOLD


def test_a_changed_file_is_hashed_again(tmp_path):
    paths = [save(tmp_path / "a.png", texture(0)), save(tmp_path / "b.png", texture(0))]
    assert found(look_alikes(paths, THRESHOLD)) == {(0, 1)}
    save(paths[1], texture(3))
    assert not found(look_alikes(paths, THRESHOLD))


def test_no_images_and_no_such_threshold():
    assert look_alikes([], THRESHOLD).names == []
    with pytest.raises(ConfigError, match="threshold 512"):
        look_alikes([], threshold=BITS)
