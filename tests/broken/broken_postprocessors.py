"""A good post-processor that learns, and ones with one mistake each."""

import numpy as np
import torch

from medkit.errors import CheckpointError


class Good:
    """Probabilities of logits minus their mean in validation, and what is at least 0.5."""

    def __init__(self, findings):
        self.findings = list(findings)
        self.mean = np.zeros(len(self.findings))

    def __call__(self, sample):
        probabilities = torch.sigmoid(sample["logits"].double() - torch.from_numpy(self.mean)).float()
        return {**sample, "probabilities": probabilities, "present": probabilities >= 0.5}

    def fit(self, samples):
        self.mean = np.mean([sample["logits"].double().numpy() for sample in samples], axis=0)

    def state_dict(self):
        return {"findings": self.findings, "mean": self.mean.tolist()}

    def load_state_dict(self, state):
        if state["findings"] != self.findings:
            raise CheckpointError("fitted for other findings: fit again")
        self.mean = np.array(state["mean"])


class ModifiesItsSample(Good):
    def __call__(self, sample):
        sample.update(super().__call__(sample))
        return sample


class ModifiesItsLogits(Good):
    def __call__(self, sample):
        out = super().__call__(sample)
        sample["logits"] -= 1
        return out


class LosesTheRest(Good):
    def __call__(self, sample):
        out = super().__call__(sample)
        return {key: out[key] for key in ("logits", "probabilities", "present", "status")}


class GivesPercent(Good):
    def __call__(self, sample):
        out = super().__call__(sample)
        return {**out, "probabilities": 100 * out["probabilities"]}


class GivesIntegers(Good):
    def __call__(self, sample):
        out = super().__call__(sample)
        return {**out, "present": out["present"].int()}


class BoxesOfTheInput(Good):
    def __call__(self, sample):
        box = torch.tensor([[0.0, 5.0, 100.0, 20.0, 130.0, 0.9]])  # rows and columns in the other's place
        return {**super().__call__(sample), "predicted_boxes": box}


class CrashesOnUnreadFiles(Good):
    def __call__(self, sample):
        if sample["frame_affine"].isnan().any():
            raise IndexError("no frame")
        return super().__call__(sample)


class Random(Good):
    def __call__(self, sample):
        return super().__call__({**sample, "logits": sample["logits"] + torch.rand(3)}) | {"logits": sample["logits"]}


class ArraysInItsState(Good):
    def state_dict(self):
        return {"findings": self.findings, "mean": self.mean}


class RoundsItsState(Good):
    def state_dict(self):
        return {"findings": self.findings, "mean": self.mean.round(2).tolist()}


class ForgetsItsState(Good):
    def load_state_dict(self, state):
        if state["findings"] != self.findings:
            raise CheckpointError("fitted for other findings: fit again")


class FitsAtRandom(Good):
    def fit(self, samples):
        super().fit([samples[n] for n in np.random.default_rng().integers(0, len(samples), len(samples))])


class FitsOnChangedSamples(Good):
    def fit(self, samples):
        super().fit(samples)
        samples.clear()


class TakesAnyState(Good):
    def load_state_dict(self, state):
        self.mean = np.array(state["mean"])


class StoresNothing(Good):
    state_dict = property()


class HoldsALambda(Good):
    def __init__(self, findings):
        super().__init__(findings)
        self.squash = lambda x: x.sigmoid()


class StartsAnewInACopy(Good):
    def __init__(self, findings):
        super().__init__(findings)
        self.mean += 0.5

    def __reduce__(self):
        return Good, (self.findings,)
