"""What is asked of a post-processor: one sample to one sample, and JSON for what it learns."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Mapping
from typing import Any
from unittest import SkipTest

import numpy as np
import torch

from medkit import contracts as c
from medkit.errors import CheckpointError, MedkitError
from medkit.masks import decode
from medkit.testing.part import Conformance, expecting, require
from medkit.testing.samples import FINDINGS, FRAME, decollated_sample

_KEPT = (c.FILE, c.STATUS, c.REASON, c.LABEL, c.BOXES, c.PATIENT, c.SYNTHETIC, c.SOURCE, c.FRAME_SIZE, c.FRAME_AFFINE)


class PostprocessorConformance(Conformance):
    """The checks of a post-processor, on samples of three findings, or of masks where it refuses those."""

    kind = "postprocessor"

    def contract_options(self) -> dict[str, Any]:
        return {"findings": FINDINGS}

    def make_sample(self, number: int) -> c.Sample:
        """Return a decollated sample, of findings or of masks: the first that the part takes."""
        refusals = []
        for masks in (False, True):
            try:
                self.build()(decollated_sample(number, masks=masks))
            except MedkitError as error:
                refusals.append(str(error))
            except Exception as error:
                refusals.append(f"{type(error).__name__}: {error}".splitlines()[0])
            else:
                return decollated_sample(number, masks=masks)
        raise AssertionError(f"a dictionary transform of a sample was asked for, it raised: {'; or '.join(refusals)}")

    def make_samples(self) -> list[c.Sample]:
        """Return the samples that it is fitted on, as they are after it was called on them."""
        part = self.build()
        return [part(self.make_sample(number)) for number in range(40)]

    def test_a_sample_goes_in_and_comes_out_with_what_others_need(self) -> None:
        out = self._call(self.build(), self.make_sample(0))
        lost = [key for key in _KEPT if key not in out]
        require(not lost, f"keys that other parts need were lost: {', '.join(lost)}: return {{**sample, …}}")

    def test_what_it_adds_is_as_the_contract_says(self) -> None:
        part = self.build()
        for number in range(8):
            _require_contract(self._call(part, self.make_sample(number)))

    def test_it_does_not_modify_its_sample(self) -> None:
        sample = self.make_sample(0)
        before = copy.deepcopy(sample)
        self._call(self.build(), sample)
        changed = [key for key in {**before, **sample} if not same(before.get(key), sample.get(key))]
        require(not changed, f"the sample's {', '.join(changed)} changed: return a new dictionary, and copy arrays")

    def test_the_same_sample_gives_the_same_twice(self) -> None:
        part, sample = self.build(), self.make_sample(0)
        require(same(self._call(part, sample), self._call(part, sample)), "the same sample gave other values")

    def test_a_pickled_copy_gives_the_same(self) -> None:
        part, sample = self.build(), self.make_sample(0)
        with expecting("a part that can be pickled", "keep no lambda and no open file in it: workers need a copy"):
            copied = pickle.loads(pickle.dumps(part))
        require(same(self._call(part, sample), self._call(copied, sample)), "a pickled copy gives other values")

    def test_a_sample_that_could_not_be_read_passes_through(self) -> None:
        unread = self.make_sample(0) | {c.STATUS: "error", c.REASON: "no image"}
        unread |= {c.FRAME_AFFINE: torch.full((3, 3), torch.nan), c.FRAME_SIZE: torch.full((2,), torch.nan)}
        out = self._call(self.build(), unread)
        require(out.get(c.STATUS) == "error", f"status error was to stay, {out.get(c.STATUS)!r} was found")

    def test_what_it_learns_goes_through_json_unchanged(self) -> None:
        learnt, fresh = self._fitted(), self.build()
        state = self._state(learnt)
        with expecting("load_state_dict of that JSON", "take back what state_dict gives"):
            fresh.load_state_dict(state)
        for number in range(100, 108):
            sample = self.make_sample(number)
            expected, found = self._call(learnt, sample), self._call(fresh, sample)
            differing = [key for key in expected if not same(expected[key], found.get(key))]
            require(
                not differing,
                f"the same {', '.join(differing)} were asked for after fit → state_dict → JSON → load_state_dict: put "
                "everything that was learnt into the state, unrounded",
            )
        require(self._state(fresh) == state, "state_dict after load_state_dict differs from what was loaded")

    def test_fitting_twice_on_the_same_samples_learns_the_same(self) -> None:
        states = [self._state(self._fitted()) for _ in range(2)]
        require(states[0] == states[1], "two fits on the same samples differ: seed what is random")

    def test_fitting_does_not_modify_the_samples(self) -> None:
        part, samples = self._fittable(), self.make_samples()
        before = copy.deepcopy(samples)
        self._fit(part, samples)
        require(same(before, samples), "fit changed the samples, which the next part is fitted on: work on copies")

    def test_what_was_learnt_for_other_findings_is_refused(self) -> None:
        state = self._state(self._fitted())
        if "findings" not in self.all_options():
            raise SkipTest("it has no option findings")
        other = self.build(findings=["Another", *self.all_options()["findings"][1:]])
        try:
            other.load_state_dict(state)
        except CheckpointError:
            return
        except Exception as error:
            found = f"{type(error).__name__} was raised"
        else:
            found = "it was taken"
        raise AssertionError(f"a CheckpointError was asked for where a state is of other findings, {found}")

    def _call(self, part: Any, sample: c.Sample) -> dict[str, Any]:
        with expecting("a dictionary for a sample", "see medkit.contracts.Postprocessor"):
            out = part(sample)
        require(isinstance(out, dict), f"a dictionary was asked for, {type(out).__name__} was found: return the sample")
        return dict(out)

    def _fittable(self) -> Any:
        part: Any = self.build()
        if not hasattr(part, "fit"):
            raise SkipTest("it has no fit: it learns nothing")
        for name in ("state_dict", "load_state_dict"):
            require(hasattr(part, name), f"a part with fit needs {name} too: medkit.Fit stores what it learnt")
        return part

    def _fitted(self) -> Any:
        part = self._fittable()
        self._fit(part, self.make_samples())
        return part

    def _state(self, part: Any) -> Any:
        """Return the state dict as it comes back from a JSON file."""
        with expecting("a state_dict of JSON values", "give numbers, strings, lists and dictionaries; None for NaN"):
            return json.loads(json.dumps(part.state_dict(), allow_nan=False))

    def _fit(self, part: Any, samples: list[c.Sample]) -> None:
        with expecting("fit on samples that have been through the part", "see medkit.contracts.Fittable"):
            part.fit(samples)


def same(a: Any, b: Any) -> bool:
    """Return whether two values of a sample are equal, NaN with NaN, with their types and dtypes."""
    if type(a) is not type(b):
        return False
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, torch.Tensor | np.ndarray):
        x, y = np.asarray(a), np.asarray(b)
        return x.dtype == y.dtype and x.shape == y.shape and np.array_equal(x, y, equal_nan=x.dtype.kind == "f")
    return bool(a == b or (a != a and b != b))


def _require_contract(out: Mapping[str, Any]) -> None:
    classes = len(FINDINGS)
    if c.PROBABILITIES in out:
        found = torch.as_tensor(out[c.PROBABILITIES])
        require(
            found.shape == (classes,) and found.dtype == torch.float32 and bool(((found >= 0) & (found <= 1)).all()),
            f"probabilities (K,) float32 in 0…1 were asked for, {tuple(found.shape)} {found.dtype} "
            f"{found.flatten()[:3].tolist()} was found: calibrate, then apply sigmoid or softmax",
        )
    if c.PRESENT in out:
        found = torch.as_tensor(out[c.PRESENT])
        require(
            found.shape == (classes,) and found.dtype == torch.bool,
            f"present (K,) bool was asked for, {tuple(found.shape)} {found.dtype} was found",
        )
    for key in (c.PREDICTED_BOXES, c.PREDICTED_BOXES_BY_RULE):
        if key in out:
            _require_boxes(key, torch.as_tensor(out[key]))
    for key in (c.PREDICTED_MASK, c.GATED_MASK):
        if out.get(key):
            with expecting(f"{key} as text of run lengths", "use medkit.masks.encode"):
                shape = decode(out[key]).shape
            require(
                shape == FRAME,
                f"{key} on the original image's {FRAME} pixels was asked for, {shape} was found: use "
                "medkit.masks.to_frame",
            )


def _require_boxes(key: str, boxes: torch.Tensor) -> None:
    require(
        boxes.ndim == 2 and boxes.shape[1] == 6 and boxes.dtype == torch.float32,
        f"{key} (M,6) float32 was asked for, {tuple(boxes.shape)} {boxes.dtype} was found; none is (0,6)",
    )
    for k, x_min, y_min, x_max, y_max, _ in boxes.tolist():
        require(
            k in range(len(FINDINGS)), f"{key}: a class index from 0 to {len(FINDINGS) - 1} was asked for, {k} found"
        )
        require(
            0 <= x_min < x_max <= FRAME[1] and 0 <= y_min < y_max <= FRAME[0],
            f"{key}: x_min, y_min, x_max, y_max inside the original image of {FRAME[0]} rows and {FRAME[1]} columns "
            f"were asked for, {[x_min, y_min, x_max, y_max]} was found: apply frame_affine",
        )
