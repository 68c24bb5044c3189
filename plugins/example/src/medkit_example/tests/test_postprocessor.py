import pytest
import torch

import medkit
from medkit.errors import CheckpointError, ConfigError
from medkit.testing import PostprocessorConformance


class TestContract(PostprocessorConformance):
    component = "prior_shift"


def fitted(**options):
    """Return a part that has seen one finding in 9 of 18 patients, which with one more on each side is a half."""
    part = medkit.postprocessor("prior_shift", findings=["Mass"], **options)
    part.fit([{"label": torch.tensor([k % 2.0])} for k in range(18)] + [{"label": torch.tensor([torch.nan])}])
    return part


def probability(part, logit):
    return part({"logits": torch.tensor([logit])})["probabilities"].item()


@pytest.mark.parametrize("prevalence", [0.02, 0.5, 0.9])
def test_it_is_bayes_rule_with_another_prior(prevalence):
    likelihood_ratio = 3.0  # how much more probable the image is with the finding than without
    expected = prevalence * likelihood_ratio / (prevalence * likelihood_ratio + 1 - prevalence)
    logit = torch.tensor(likelihood_ratio).log().item()  # what a network says that learnt from as many with as without
    assert probability(fitted(prevalence={"Mass": prevalence}), logit) == pytest.approx(expected, rel=1e-5)


def test_without_a_prevalence_it_is_the_sigmoid():
    assert probability(fitted(), 0.7) == pytest.approx(torch.tensor(0.7).sigmoid().item())


def test_what_was_fitted_for_other_findings_is_refused():
    with pytest.raises(CheckpointError, match="fitted for Mass, not Nodule"):
        medkit.postprocessor("prior_shift", findings=["Nodule"]).load_state_dict(fitted().state_dict())


@pytest.mark.parametrize("prevalence", [{"Mass": 0}, {"Mess": 0.1}])
def test_an_impossible_prevalence_is_named(prevalence):
    with pytest.raises(ConfigError, match="above 0 and below 1, of Mass"):
        fitted(prevalence=prevalence)
