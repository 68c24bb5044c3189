"""The conformance kit passes good parts, and tells each mistake apart, by the right check and in the right words."""

import json
from pathlib import Path
from typing import ClassVar
from unittest import SkipTest

import pytest
from click.testing import CliRunner

from medkit.cli import cli
from medkit.errors import ConfigError, PluginError
from medkit.hookspecs import HOOKS
from medkit.registry import registry
from medkit.testing import Conformance, DatasetConformance
from medkit.testing.runner import KINDS, offers_of, outcomes

from .conftest import plugin_maker

MODULES = {
    "network": "broken_networks",
    "loss": "broken_losses",
    "sampler": "broken_samplers",
    "localizer": "broken_localizers",
    "postprocessor": "broken_postprocessors",
    "dataset": "broken_datasets",
    "transform": "broken_others",
    "handler": "broken_others",
    "command": "broken_others",
}
GOOD = [
    ("network", "Good"), ("network", "GoodSegmentation"), ("loss", "Good"), ("sampler", "Good"), ("localizer", "Good"),
    ("postprocessor", "Good"), ("dataset", "good"), ("transform", "GoodTransform"), ("handler", "GoodHandler"),
    ("command", "good_command"),
]  # fmt: skip
SHAPE = "images that are not square give logits of the documented shape"
AXES = "one image and one class keep their axes"
GRADIENT = "every weight that trains and the images get a finite gradient"
UNKNOWN = "an unknown target is skipped"
AS_IT_WAS = "it leaves the network as it was"
CONTRACT = "every sample is as the contract says"
BROKEN = [
    # kind, part, the check for its mistake, what that says, and which others must fail too: none, these, or (...) any
    ("network", "Probabilities", "it gives logits and not probabilities", "without sigmoid"),
    ("network", "LogProbabilities", "it gives logits and not probabilities", "leave out log_softmax"),
    ("network", "Transposed", SHAPE, "rows before columns", AXES, "images may have another number of channels"),
    ("network", "ClassAxisDropped", AXES, r"logits \(1, 1\) .* \(1,\) was found: keep the axes"),
    ("network", "OneChannelOnly", "images may have another number of channels", "2×2×64×96 .* it raised RuntimeError"),
    ("network", "DoublePrecision", "logits are float32 and finite", "torch.float64 was found"),
    ("network", "OwnRandomWeights", "the same seed gives the same weights", "head.weight differs: draw initial"),
    ("network", "BatchStatistics", "an image gets the same logits alone and in a batch", "no statistics of the batch"),
    ("network", "SquareOnly", SHAPE, "it raised RuntimeError: shape .* take images of any height and width", ...),
    ("network", "Detached", GRADIENT, "do not detach", "it gives logits and not probabilities"),
    ("network", "InputDetached", GRADIENT, "a gradient at the images .* localizers need it"),
    ("network", "UnusedLayer", GRADIENT, "forgotten.weight, forgotten.bias got none"),
    ("network", "WeightsOutsideTheState", "its state dict restores it", "register everything"),
    ("network", "DropsInEvaluation", "in evaluation mode the same images give the same logits", "heed .eval", ...),
    ("network", "ChangesItsImages", "evaluation changes neither the images nor the network", "images were changed in"),
    ("network", "CountsItsCalls", "evaluation changes neither the images nor the network", "calls changed in eval"),
    ("network", "ConstantsOnTheCpu", "it follows its images to another device", "device=images.device"),
    ("network", "HoldsALambda", "it goes to other processes", "keep no lambda"),
    ("loss", "TakesProbabilities", "the surer a right answer the lower the loss", "not probabilities", ...),
    ("loss", "OnePerImage", "it gives a finite scalar", r"\(6,\) was found: take the mean", ...),
    ("loss", "Overflows", "very large logits stay finite", r"binary_cross_entropy_with_logits, not log\(sigmoid"),
    ("loss", "SpreadsNan", UNKNOWN, "the loss is nan: mask them", "nothing known gives 0 and no gradient"),
    ("loss", "TakesUnknownForAbsent", UNKNOWN, "leave it out of the mean", "nothing known gives 0 and no gradient"),
    ("loss", "DividesByNothing", "nothing known gives 0 and no gradient", r"nan was found: divide by max\(known, 1\)"),
    ("loss", "ChangesItsTarget", "it changes neither logits nor target and gives the same twice", "a copy", ...),
    ("loss", "Detached", "every logit gets a finite gradient", "without detach", ...),
    ("loss", "MixesPrecisions", "half precision logits give nearly the same loss", "it raised RuntimeError"),
    ("loss", "ConstantsOnTheCpu", "it follows its logits to another device", "device=logits.device"),
    ("sampler", "OwnCounter", "it keeps no counter of its own", "a second pass without set_epoch"),
    ("sampler", "CountsFromOne", "it gives as many indices as it says all in range", "indices from 0 to 59", ...),
    ("sampler", "GlobalRandom", "two samplers of one seed agree whatever else was drawn", r"seed \+ epoch", ...),
    ("sampler", "SameEveryEpoch", "another epoch and another seed give another order", "epochs 0 and 1"),
    ("sampler", "IgnoresItsSeed", "another epoch and another seed give another order", "seeds 0 and 5"),
    ("sampler", "EachProcessItsOwnDraw", "processes share one draw and take turns", "draw globally, then take"),
    ("sampler", "SaysAnotherLength", "it gives as many indices as it says all in range", "len.. says 49 indices", ...),
    ("sampler", "DrawsUnknownImages", "an image without any known label is left out", r"image \[7\]"),
    ("sampler", "HoldsALambda", "a pickled copy gives the same order", "keep no lambda"),
    ("localizer", "NeedsNoNetwork", "without a network it says so", "none was raised"),
    ("localizer", "NeedsItsNetworkEarly", "the network may be given with each call", "network=None", ...),
    ("localizer", "LeavesHooks", AS_IT_WAS, "the network's hooks were to stay"),
    ("localizer", "LeavesGradients", AS_IT_WAS, "the network's gradients were to stay"),
    ("localizer", "LeavesEvaluationMode", AS_IT_WAS, "the network's training modes were to stay"),
    ("localizer", "LeavesWeightsFrozen", AS_IT_WAS, "the network's requires_grad flags were to stay"),
    ("localizer", "TrainsOn", AS_IT_WAS, "training modes were to stay", ...),
    ("localizer", "Inverted", "evidence lies where it is", "class 0 is the bright square .* higher must mean more"),
    ("localizer", "Transposed", "evidence lies where it is", "rows come before columns"),
    ("localizer", "OneMapForAllClasses", "evidence lies where it is", "each class has its own map"),
    ("localizer", "FirstClassOnly", "evidence lies where it is", r"\(3, 1, 64, 96\) was found", ...),
    ("localizer", "NormalisesOverTheBatch", "an image gets the same alone and in a batch", "normalise over the batch"),
    ("localizer", "Probabilities", "logits are those of the network in evaluation mode", "neither probabilities"),
    ("localizer", "KeepsTheGraph", "logits and maps are float32 finite and without a graph", "detach them"),
    ("localizer", "NeedsTrainableWeights", "it works where gradients are off and weights are frozen", "RuntimeError"),
    ("postprocessor", "ModifiesItsSample", "it does not modify its sample", "probabilities.* changed: return a new"),
    ("postprocessor", "ModifiesItsLogits", "it does not modify its sample", "logits changed: .* copy arrays", ...),
    ("postprocessor", "LosesTheRest", "a sample goes in and comes out with what others need", "lost: file", ...),
    ("postprocessor", "GivesPercent", "what it adds is as the contract says", "in 0…1 were asked for"),
    ("postprocessor", "GivesIntegers", "what it adds is as the contract says", "bool was asked for, .* torch.int32"),
    ("postprocessor", "BoxesOfTheInput", "what it adds is as the contract says", "apply frame_affine"),
    ("postprocessor", "CrashesOnUnreadFiles", "a sample that could not be read passes through", "IndexError: no frame"),
    ("postprocessor", "Random", "the same sample gives the same twice", "other values", ...),
    ("postprocessor", "ArraysInItsState", "what it learns goes through json unchanged", "ndarray is not JSON", ...),
    ("postprocessor", "RoundsItsState", "what it learns goes through json unchanged", "probabilities .* unrounded"),
    ("postprocessor", "ForgetsItsState", "what it learns goes through json unchanged", "into the state"),
    ("postprocessor", "FitsAtRandom", "fitting twice on the same samples learns the same", "seed what is random"),
    ("postprocessor", "FitsOnChangedSamples", "fitting does not modify the samples", "work on copies"),
    ("postprocessor", "TakesAnyState", "what was learnt for other findings is refused", "Error .* it was taken"),
    ("postprocessor", "StoresNothing", "what it learns goes through json unchanged", "needs state_dict too", ...),
    ("postprocessor", "HoldsALambda", "a pickled copy gives the same", "keep no lambda"),
    ("postprocessor", "StartsAnewInACopy", "a pickled copy gives the same", "a pickled copy gives other values"),
    ("dataset", "shared_patients", "sections share no patient and no image", "training and validation share 1 of"),
    ("dataset", "shared_images", "sections share no patient and no image", "training and test share 1 of image"),
    ("dataset", "shuffled", "the order is fixed", "sort files by name"),
    ("dataset", "relative_paths", CONTRACT, "the absolute path of a file"),
    ("dataset", "integer_labels", CONTRACT, r"label: \(K,\) float32 was asked for, \(2,\) int64"),
    ("dataset", "minus_one_for_unknown", CONTRACT, "NaN unknown were asked for"),
    ("dataset", "width_and_height_in_boxes", CONTRACT, r"x_max, y_max .* \[0.0, 50.0, 60.0, 10.0, 20.0\] was found"),
    ("dataset", "numbers_for_patients", CONTRACT, "patient_id: str was asked for, 0 was found"),
    ("dataset", "empty_where_missing", "a missing folder is a data error", "nothing raised was found"),
    ("dataset", "any_section", "an unknown section is an error", "name the sections there are"),
    ("dataset", "lambdas", "samples go to workers", "keep paths, numbers and arrays", ...),
    ("dataset", "all_but_test", "all is every section together", "lacks 6 images"),
    ("dataset", "generator", CONTRACT, "a list of samples was asked for, list_iterator", ...),
    ("transform", "HoldsALambda", "it goes to workers", "no lambda"),
    ("transform", "ModifiesItsSample", "it does not modify its sample", "image changed: return a new dictionary"),
    ("transform", "GlobalRandom", "the same seed gives the same", "set_random_state seeds"),
    ("handler", "NeitherAttachedNorRun", "it can be attached or run", "neither was found"),
    ("handler", "SwallowsOptions", "its options are named and documented", r"\*\*options was found: name each"),
    ("handler", "Undocumented", "its options are named and documented", "a docstring was asked for"),
    ("command", "silent_option", "its options are named and documented", "name has none: help="),
    ("command", "not_a_command", "it has help and refuses an unknown option", "function was found", ...),
]  # fmt: skip
DECLARED = """
from medkit import Component, hookimpl

@hookimpl
def {hook}():
    return [{parts}]
"""
GOOD_LOSS = """
from medkit import Component, hookimpl
{first}

@hookimpl
def medkit_losses():
    return [Component("{name}", "broken_losses:Good", "a loss")]
"""


def loss_case(component: str) -> Conformance:
    return type("TestPart", (KINDS["loss"],), {"component": component})()


@pytest.fixture(scope="module", autouse=True)
def broken_plugin(tmp_path_factory):
    """All the parts, as one installed plugin; a part's name begins with its kind."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.syspath_prepend(Path(__file__).parent / "broken")
        source = ""
        for kind in MODULES:
            names = [row[1] for row in (*GOOD, *BROKEN) if row[0] == kind]
            parts = [
                f'Component("{kind}_{name}", "{MODULES[kind]}:{name}", "for tests")' for name in dict.fromkeys(names)
            ]
            source += DECLARED.format(hook=HOOKS[kind], parts=", ".join(parts))
        plugin_maker(tmp_path_factory.mktemp("broken"), monkeypatch)("medkit-broken", source)
        yield
    registry.cache_clear()


class Images(DatasetConformance):
    def make_dataset_dir(self, folder):
        for n in range(24):
            (folder / f"{n}.png").touch()


def failures(kind: str, part: str) -> dict[str, str]:
    """Return the checks that a part fails, as sentences, each with what it says."""
    base = Images if kind == "dataset" else KINDS[kind]
    case = type("TestPart", (base,), {"component": f"{kind}_{part}"})()
    found = {}
    for name in [name for name in dir(case) if name.startswith("test_")]:
        try:
            getattr(case, name)()
        except SkipTest:
            continue
        except AssertionError as error:
            found[name.removeprefix("test_").replace("_", " ")] = str(error)
    return found


@pytest.mark.parametrize(("kind", "part"), GOOD)
def test_a_good_part_passes(kind, part):
    assert failures(kind, part) == {}


@pytest.mark.parametrize("kind", ["transform", "handler", "command"])
def test_every_installed_part_that_fits_no_other_kind_passes(kind):
    offers = [offer for offer in registry().of_kind(kind) if offer.distribution != "medkit-broken"]
    assert [outcome.to_text() for outcome in outcomes(offers) if outcome.status == "FAILED"] == []


@pytest.mark.parametrize("row", BROKEN, ids=lambda row: f"{row[0]}-{row[1]}")
def test_a_mistake_is_found_by_the_check_for_it_and_by_those_that_it_spoils_too(row):
    kind, part, check, words, *also = row
    found = failures(kind, part)
    assert check in found
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found[check])
    if also != [...]:
        assert set(found) == {check, *also}


def test_hooks_that_import_torch_are_found(make_plugin):
    make_plugin("eager-plugin", GOOD_LOSS.format(name="eager", first="import torch"))
    message = "listing eager-plugin imported .*torch: import it in the module that the component's target names"
    with pytest.raises(AssertionError, match=message):
        loss_case("eager").test_listing_its_plugin_imports_neither_torch_nor_monai_nor_numpy()


def test_a_summary_is_one_line(make_plugin):
    make_plugin("silent-plugin", GOOD_LOSS.format(name="silent", first="").replace("a loss", ""))
    with pytest.raises(AssertionError, match="a summary of one line was asked for, '' was found"):
        loss_case("silent").test_it_is_installed_and_says_what_it_does_in_one_line()


def test_a_part_that_is_not_installed_says_so():
    with pytest.raises(AssertionError, match=r'a loss "lost" was asked for, .* is not installed.* install the plugin'):
        loss_case("lost").test_it_gives_a_finite_scalar()


def test_a_check_is_left_out_for_a_reason_only_and_is_reported():
    class Excused(KINDS["loss"]):
        component = "loss_SpreadsNan"
        not_applicable: ClassVar = {"test_an_unknown_target_is_skipped": "its data has no unknown labels"}

    with pytest.raises(SkipTest, match="its data has no unknown labels"):
        Excused().test_an_unknown_target_is_skipped()
    with pytest.raises(
        ConfigError, match=r'"test_an_unknown_target_skipped" is no check. Did you mean "test_an_unknown_target_is_'
    ):
        type("Misspelt", (Excused,), {"not_applicable": {"test_an_unknown_target_skipped": "x"}})


def test_a_part_that_departs_from_its_kind_is_reported_and_not_held_to_it(make_plugin):
    make_plugin(
        "other-plugin", GOOD_LOSS.format(name="other", first="").replace('a loss"', 'a loss", departs="it sings"')
    )
    found = [outcome.to_text() for outcome in outcomes(offers_of(registry(), "other-plugin"))]
    assert (
        found[-1]
        == "loss other: what it does: not applicable: it departs from the contract: it sings: run its own tests"
    )
    assert not [line for line in found if "FAILED" in line]
    assert [line for line in found if line.endswith(": ok")]


@pytest.mark.parametrize("name", ["medkit-grad-cam", "grad_cam", "medkit-grad-cam:grad_cam"])
def test_a_plugin_is_checked_by_any_of_its_names(name):
    assert "grad_cam" in {offer.component.name for offer in offers_of(registry(), name)}
    assert {offer.distribution for offer in offers_of(registry(), name)} == {"medkit-grad-cam"}


def test_the_command_prints_a_line_a_check_and_ends_with_2_on_failure():
    done = CliRunner().invoke(cli, ["check", "--plugin", "loss_OnePerImage"])
    assert done.exit_code == 2
    lines = done.stdout.splitlines()
    assert all(line.startswith("loss loss_OnePerImage: ") for line in lines)
    assert "loss loss_OnePerImage: it gives a finite scalar: FAILED: a scalar tensor was asked for, (6,)" in done.stdout
    assert "loss loss_OnePerImage: its options are named and documented: ok" in lines
    fine = CliRunner().invoke(cli, ["check", "--plugin", "weighted_cross_entropy", "--json"])
    assert fine.exit_code == 0
    assert {row["status"] for row in json.loads(fine.stdout)} == {"ok"}


def test_a_part_that_needs_options_says_which_and_where_they_are():
    found = [outcome.to_text() for outcome in outcomes(offers_of(registry(), "average_image"))]
    needs = "needs options network: run its own tests"
    assert [line for line in found if line.startswith("network") and line.endswith(needs)]
    assert not [line for line in found if "FAILED" in line]


def test_an_unknown_plugin_is_named_with_the_nearest():
    with pytest.raises(PluginError, match=r'no plugin and no part "saliensy" is installed. Did you mean "saliency"'):
        offers_of(registry(), "saliensy")
