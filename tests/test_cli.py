"""What a user types wrong is answered in one line with exit code 2."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUNDLE = ROOT / "bundles" / "chest_gradcam"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "bundles/none"], 'no bundle "bundles/none": the folder does not exist and no bundle lies beside it'),
        (["run", BUNDLE.with_name("chest_gradcan")], 'Did you mean "chest_gradcam"'),
        (["run", BUNDLE, "--dataset_dirr", "x"], 'override "--dataset_dirr" applies to no stage'),
        (["run", BUNDLE, "--dataset_dirr", "x"], 'Did you mean "dataset_dir"'),
        (["run", BUNDLE, "--train#trainer#max_epoch", "3"], 'Did you mean "max_epochs"'),
        (["run", BUNDLE, "--network_def#component", "densenet12"], 'network "densenet12" is not installed'),
        (["run", BUNDLE, "--network_def#component", "densenet12"], 'Did you mean "densenet121"'),
        (["run", BUNDLE, "--stage", "trian"], 'has no stage "trian". Did you mean "train"'),
        (["run", BUNDLE, "--input", "nowhere"], "--input nowhere is not a folder"),
        (["run", BUNDLE, "extra"], 'unexpected argument "extra"'),
        (["run", BUNDLE, "--max_epochs"], 'override "--max_epochs" needs a value'),
        (["run", BUNDLE, "--max_epochs", "two", "--phantom#images", "60"], "OneCycleLR cannot be built"),
        (["run", BUNDLE, "--image_size", "64", "--phantom#images", "60"], "medkit.SafeCompose cannot be built"),
        (["run", BUNDLE, "--device", "gpu", "--phantom#images", "60"], "medkit.on_device cannot be built"),
        (["run", BUNDLE.parent / "breast_ultrasound", "--gate_mode", "sofft"], 'no mode "sofft". Did you mean "soft"?'),
        (["run", BUNDLE, "--dataset_dir", ""], "--dataset_dir was given an empty value"),
        (["run", BUNDLE, "--model_dir", "nowhere"], "--model_dir nowhere is not a folder"),
        (
            ["run", BUNDLE, "--network_def#weights", "none.pt"],
            'override "--network_def#weights": there is no file none.pt',
        ),
        (
            ["run", BUNDLE, "--output_dir", __file__],
            "a folder is needed there: move the file, or choose another folder",
        ),
        (["run", BUNDLE / "LICENSE"], "is a file: give the folder of a bundle"),
        (["run", BUNDLE, "--nproc", "x"], "'x' is not a valid integer"),
        (["info", "grad_camm"], 'Did you mean "grad_cam"'),
        (["info", "unet_dice"], '"unet_dice" is a plugin: ask for one of its parts: unet, '),
        (["new", "plugin", "My-Part"], '"My-Part" is not a name for a package'),
        (
            ["new", "plugin", "mine", "--kind", "localiser"],
            'no kind "localiser". Did you mean "localizer"? Kinds: dataset,',
        ),
        (["new", "plugin", "run", "--kind", "command"], '"run" is taken by medkit\'s own command'),
        (["new", "plugin", "mine", "--into", __file__], "a folder is needed there"),
        (["new", "bundle", "mine"], 'no folder "bundles/chest_gradcam" to copy: give --from FOLDER'),
        (["new", "plugn", "mine"], "No such command 'plugn'"),
        (["chekc"], 'no command "chekc". Did you mean "check"'),
    ],
)
def test_a_mistake_is_one_line(medkit, words, message):
    code, _, err = medkit(*words)
    assert code == 2
    assert message in err.splitlines()[-1]
    assert "Traceback" not in err


def test_options_are_those_of_the_part_that_is_named_beside_them(medkit):
    call = ["run", BUNDLE, "--dry-run", "--inferer#component", "beam_search_windows"]
    assert medkit(*call, "--inferer#beam_width", 2)[0] == 0
    code, _, err = medkit(*call, "--inferer#beam_widht", 2)
    assert (code, 'beam_search_windows has no option "beam_widht". Did you mean "beam_width"' in err) == (2, True)


def test_debug_shows_the_traceback():
    command = [sys.executable, "-m", "medkit.cli", "run", "none", "--debug"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_input_without_a_model_says_what_to_do(medkit, tmp_path):
    (tmp_path / "files").mkdir()
    code, _, err = medkit("run", BUNDLE, "--input", "files")
    assert code == 2
    assert "no trained model: looked for models/model.pt, models/operating_points.json" in err


def test_our_bundles_are_in_order(medkit):
    for bundle in (ROOT / "bundles").iterdir():
        code, out, _ = medkit("check", bundle, "--json")
        told = json.loads(out)[bundle.name]
        assert (code, told["errors"], told["audit"]["trusted"]) == (0, [], True)
        assert not [note for note in told["notes"] if "not run" in note]


def test_check_names_what_would_be_executed_and_fails(medkit, tmp_path):
    bundle = tmp_path / "bad"
    shutil.copytree(BUNDLE, bundle, ignore=shutil.ignore_patterns("models", "out"))
    report = bundle / "configs" / "report.yaml"
    report.write_text(report.read_text().replace('"$@report.run()"', f"\"$open(r'{tmp_path}/canary', 'w')\""))
    code, out, _ = medkit("check", bundle)
    assert code == 2
    assert "ERROR run#0: expression" in out
    assert "is not installed" not in out
    code, _, err = medkit("run", bundle)
    assert code == 2
    assert "--trust" in err
    assert not (tmp_path / "canary").exists()


def test_plugins_lists_ours_and_names_what_failed(medkit, make_plugin):
    make_plugin("bad-one", "raise RuntimeError('no licence')")
    code, out, _ = medkit("plugins")
    assert code == 0
    assert "localizer      saliency" in out
    assert "FAILED         bad-one:main 1.0: RuntimeError: no licence" in out
    code, out, _ = medkit("check")
    assert code == 2
    assert "ERROR bad-one:main 1.0 failed to load: RuntimeError: no licence" in out


def test_a_failing_plugin_stops_only_a_bundle_that_needs_it(medkit, make_plugin):
    make_plugin("bad-one", "raise RuntimeError('no licence')")
    code, _, err = medkit("run", BUNDLE, "--dry-run")
    assert (code, err) == (0, "")
    code, _, err = medkit("run", BUNDLE, "--dry-run", "--loss#component", "theirs")
    assert code == 2
    assert "Plugin bad-one:main 1.0 failed to load" in err


def test_info_shows_options_and_paper(medkit):
    code, out, _ = medkit("info", "saliency")
    assert code == 0
    assert "reference: Simonyan" in out
    assert "network = None" in out
    code, out, _ = medkit("info", BUNDLE)
    assert "evaluate   Measure on test patients" in out


def test_medkit_lib_in_the_same_environment_is_named(medkit, tmp_path, monkeypatch):
    info = tmp_path / "site" / "medkit_lib-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: medkit-lib\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    code, _, err = medkit("plugins")
    assert code == 2
    assert "pip uninstall medkit-lib" in err
