"""The conformance kit: what every part must do, as tests that a plugin inherits.

A plugin's test file is three lines a part:

    ```python
    from medkit.testing import LocalizerConformance


    class TestMyLocalizer(LocalizerConformance):
        component = "my_localizer"
    ```

pytest collects the checks; `medkit check --plugin NAME` runs the same without pytest. A check that fails says what was
asked, what was found and what to do. See `Conformance` for what such a class may say about its part.
"""

from medkit.testing.dataset import DatasetConformance
from medkit.testing.localizer import LocalizerConformance
from medkit.testing.loss import LossConformance
from medkit.testing.network import NetworkConformance
from medkit.testing.others import CommandConformance, HandlerConformance, TransformConformance
from medkit.testing.part import Conformance, NeedsOptions
from medkit.testing.postprocessor import PostprocessorConformance
from medkit.testing.sampler import SamplerConformance

__all__ = [
    "CommandConformance",
    "Conformance",
    "DatasetConformance",
    "HandlerConformance",
    "LocalizerConformance",
    "LossConformance",
    "NeedsOptions",
    "NetworkConformance",
    "PostprocessorConformance",
    "SamplerConformance",
    "TransformConformance",
]
