"""Folds: groups stay together, classes stay in proportion, and a file fixes them."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medkit.errors import ConfigError, DataError
from medkit.folds import SECTIONS, make_folds, ratio_folds, read_folds, spread


def cohort(images=200, seed=0, classes=("benign", "malignant", "normal"), p=(0.55, 0.3, 0.15)):
    rng = np.random.default_rng(seed)
    groups = np.sort(rng.integers(0, int(images * 0.7), images))
    return (
        [f"{n:03d}.png" for n in range(images)],
        [f"group-{n:04d}" for n in groups],
        [str(name) for name in rng.choice(classes, images, p=p)],
    )


@given(seed=st.integers(0, 10_000), folds=st.integers(3, 8))
@settings(max_examples=25, deadline=None)
def test_groups_stay_together_and_classes_in_proportion(seed, folds):
    names, groups, classes = cohort(seed=seed % 7)
    made = make_folds(names, groups, classes, folds, seed)
    assert len({(g, f) for g, f in zip(groups, made.fold)}) == len(set(groups))
    for name in set(classes):
        counts = np.bincount(made.fold[np.array(classes) == name], minlength=folds)
        assert counts.max() - counts.min() <= 5
        assert counts.min() > 0
    np.testing.assert_array_equal(made.fold, make_folds(names, groups, classes, folds, seed).fold)


def test_sections_of_a_fold_make_up_all_and_each_image_is_tested_once():
    made = make_folds(*cohort())
    tested = np.concatenate([made.section("test", k) for k in range(5)])
    validated = np.concatenate([made.section("validation", k) for k in range(5)])
    assert sorted(tested) == sorted(validated) == list(range(200))
    np.testing.assert_array_equal(made.section("validation", 4), made.section("test", 0))
    for k in range(5):
        parts = [set(made.section(section, k)) for section in SECTIONS]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 200
        assert len(parts[0]) > 100
    assert len(made.section("all")) == 200


def test_random_split_tears_groups_apart_and_grouped_does_not():
    names, groups, classes = cohort()
    for make in (make_folds, ratio_folds):
        for split, straddling in (("grouped", False), ("random", True)):
            made = make(names, groups, classes, split=split)
            test = {groups[n] for n in made.section("test")}
            assert bool(test & {groups[n] for n in made.section("training")}) is straddling


def test_ratios_are_of_images():
    made = ratio_folds(*cohort(), validation=0.1, test=0.2)
    sizes = [len(made.section(section)) for section in SECTIONS]
    assert sizes == pytest.approx([140, 20, 40], abs=6)
    random = ratio_folds(*cohort(), validation=0.1, test=0.2, split="random")
    assert [len(random.section(section)) for section in SECTIONS] == pytest.approx([140, 20, 40], abs=2)


def test_another_seed_gives_other_folds_and_another_fingerprint():
    first, again, other = (make_folds(*cohort(), seed=seed) for seed in (0, 0, 1))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert (first.fold != other.fold).any()


def test_file_gives_back_what_was_written_in_the_order_asked_for(tmp_path):
    names, groups, classes = cohort()
    names[0] = "=weird, name (1).png"
    made = make_folds(names, groups, classes)
    made.write(tmp_path / "folds.csv")
    assert (tmp_path / "folds.csv").read_text().startswith("image,group,class,fold,split\n")
    back = read_folds(tmp_path / "folds.csv", names[::-1], classes[::-1], "grouped")
    assert back.names == names[::-1]
    assert back.groups == groups[::-1]
    np.testing.assert_array_equal(back.fold, made.fold[::-1])
    assert back.fingerprint == made.fingerprint
    part = read_folds(tmp_path / "folds.csv", names[:50], classes[:50], "grouped", part=True)
    np.testing.assert_array_equal(part.fold, made.fold[:50])


def test_file_for_something_else_is_an_error_that_names_it(tmp_path):
    names, groups, classes = cohort()
    path = tmp_path / "folds.csv"
    make_folds(names, groups, classes).write(path)
    with pytest.raises(DataError, match=r"1 images are new \(new.png\), 1 are gone \(000.png\)"):
        read_folds(path, ["new.png", *names[1:]], classes, "grouped")
    with pytest.raises(DataError, match=r"0 images are new \(none\), 2 are gone"):
        read_folds(path, names[2:], classes[2:], "grouped")
    with pytest.raises(DataError, match="1 images are new"):
        read_folds(path, [*names, "new.png"], [*classes, "benign"], "grouped", part=True)
    with pytest.raises(DataError, match="another class for 200"):
        read_folds(path, names, ["cyst"] * 200, "grouped")
    with pytest.raises(DataError, match='holds split "grouped", split "random" was asked'):
        read_folds(path, names, classes, "random")
    make_folds(names, groups, classes, split="random").write(path)
    with pytest.raises(DataError, match='holds split "random"'):
        read_folds(path, names, classes, "grouped")


def test_file_by_hand_is_checked(tmp_path):
    path = tmp_path / "folds.csv"
    path.write_text("image,group,class,fold\na,g,x,0\nb,g,x,1\n")
    with pytest.raises(DataError, match=r"1 groups in several folds \(g\)"):
        read_folds(path, ["a", "b"], ["x", "x"], "grouped")
    assert read_folds(path, ["a", "b"], ["x", "x"], "random").count == 2
    path.write_text("image,group,class,fold\na,g,x,0\nb,h,x,2\n")
    with pytest.raises(DataError, match="without a gap"):
        read_folds(path, ["a", "b"], ["x", "x"], "grouped")
    path.write_text("image,group,class\na,g,x\n")
    with pytest.raises(DataError, match="columns image, group, class and fold"):
        read_folds(path, ["a"], ["x"], "grouped")
    path.write_text("image,group,class,fold\na,g,x,first\n")
    with pytest.raises(DataError, match="columns image, group, class and fold"):
        read_folds(path, ["a"], ["x"], "grouped")


def test_class_in_too_few_groups_is_listed():
    names = [f"{n}" for n in range(60)]
    groups = [*names[:30], *(f"twin-{n % 2}" for n in range(30))]
    classes = ["benign"] * 30 + ["malignant"] * 30
    with pytest.raises(DataError, match=r"malignant \(2 groups\) in .*fold"):
        make_folds(names, groups, classes)
    made = make_folds(names, groups, classes, sparse="accept")
    assert Counter(made.fold[30:]).total() == 30
    assert len(make_folds(names, groups, classes, split="random").section("test")) == 12


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"folds": 2}, ConfigError, "at least 3"),
        ({"folds": 150}, DataError, "groups cannot be divided into 150"),
        ({"split": "patients"}, ConfigError, 'split "patients" is unknown'),
        ({"names": ["a"] * 200}, DataError, "1 images are named twice"),
        ({"groups": ["a"]}, ConfigError, "one each is needed"),
        ({"groups": [f"g{n % 4}" for n in range(200)]}, DataError, "4 groups cannot be divided into 5"),
        ({"classes": [f"{n}" for n in range(200)]}, DataError, "no class has 5 images"),
    ],
)
def test_wrong_options_are_one_clear_line(options, error, message):
    names, groups, classes = cohort()
    with pytest.raises(error, match=message) as caught:
        make_folds(**{"names": names, "groups": groups, "classes": classes, **options})
    assert "\n" not in str(caught.value)


def test_wrong_sections_and_ratios():
    made = make_folds(*cohort())
    with pytest.raises(ConfigError, match='Did you mean "training"'):
        made.section("trainin")
    with pytest.raises(ConfigError, match="give 0 to 4"):
        made.section("test", 5)
    for ratios in ({"test": 0.7}, {"test": 0}, {"validation": 0.5}, {"validation": 0}):
        with pytest.raises(ConfigError, match="give test up to"):
            ratio_folds(*cohort(), **ratios)


def test_each_training_fold_is_held_out_in_turn():
    names = [f"{n}" for n in range(60)]
    folds = make_folds(names, [f"g{n // 2}" for n in range(60)], [("a", "b")[n % 4 // 2] for n in range(60)])
    for fold in range(5):
        training = set(folds.section("training", fold).tolist())
        parts = [set(folds.section("held_out", fold, without).tolist()) for without in range(3)]
        assert set.union(*parts) == training
        assert sum(map(len, parts)) == len(training)
        for without, part in enumerate(parts):
            assert set(folds.section("training", fold, without).tolist()) == training - part
            assert np.array_equal(folds.section("test", fold, without), folds.section("test", fold))
    with pytest.raises(ConfigError, match="without 3"):
        folds.section("training", 0, 3)
    with pytest.raises(ConfigError, match="needs without"):
        folds.section("held_out", 0)


@pytest.mark.parametrize(("count", "share", "kept"), [(8, 0.5, [0, 2, 4, 6]), (3, 1, [0, 1, 2]), (5, 0.01, [0])])
def test_a_share_is_spread_evenly(count, share, kept):
    assert spread(count, share) == kept


def test_a_share_beyond_the_whole_is_one_line():
    with pytest.raises(ConfigError, match=r"share 1\.5"):
        spread(5, 1.5)
