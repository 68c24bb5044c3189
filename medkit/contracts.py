"""What each kind of part must accept and return, and the keys of a sample.

Shapes: B batch, C channels, K classes, H rows, W columns. Arrays are row-major as in the file. Boxes are
``x_min, y_min, x_max, y_max``: half-open pixel edges, floats, in the *frame* of the original image, whose pixel
``(row r, column c)`` covers ``[c, c+1) × [r, r+1)``.

A sample is a dictionary. A data set gives the first group of keys; `medkit.SafeCompose` completes the second, so that
every sample that leaves preprocessing has the same keys and shapes and any DataLoader can stack them; the network and
the post-processing add the third.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch

Sample = dict[str, Any]

# -- what a data set gives -------------------------------------------------------------------------------------------
IMAGE = "image"
"""Path of the image file (str, absolute) in a data set; after reading, a (C,H,W) float32 tensor."""
LABEL = "label"
"""(K,) float32: 1 present, 0 absent, NaN unknown (skipped by losses, samplers and metrics). Optional."""
BOXES = "boxes"
"""(N,5) float32 rows ``class index, x_min, y_min, x_max, y_max`` in the frame. Optional: absent means nobody drew
boxes, an empty (0,5) array means that there are none. After `SafeCompose`: padded to a fixed N with NaN rows."""
MASK = "mask"
"""List of paths of binary masks (above 0: inside), which are united; an empty list: nothing to segment. After reading,
a (1,H,W) float32 tensor of 0 and 1 on the image's pixels. Optional: absent means nobody drew a mask."""
PATIENT = "patient_id"
"""str. Splits, bootstrap intervals and look-alike groups are by patient."""
SYNTHETIC = "synthetic"
"""bool: the image was made by a program, as the data set says or, once it is read, the file itself."""
FRAME_SIZE = "frame_size"
"""(rows, columns) of the frame that the boxes refer to, where it is not the file's own size. Optional."""

# -- what SafeCompose adds -------------------------------------------------------------------------------------------
FILE = "file"
"""str: the path that IMAGE held before reading."""
STATUS = "status"
"""``ok``, ``not_assessed`` (the model is not for this image) or ``error`` (it could not be read)."""
REASON = "reason"
"""str: one line for a status that is not ``ok``, else empty."""
SOURCE = "source"
"""str: a JSON object of facts about the file, such as modality, rows, columns, spacing; ``{}`` where unknown."""
FRAME_AFFINE = "frame_affine"
"""(3,3) float64: takes ``(x, y, 1)`` in pixel *edges* of the network's input to the frame, through every resize, crop
and flip that was applied. NaN where the transforms dropped the metadata."""
FRAME_MASK = "frame_mask"
"""str: the true mask on the frame's pixels, as the text of `medkit.masks.encode`; empty where nobody drew one."""
GATE = "gate"
"""float in 0…1, (B,) float32 once collated: the probability that there is anything to segment, as another model said
it; NaN where it said nothing. Optional: from a transform before the network."""

# -- what the network and post-processing add ------------------------------------------------------------------------
PRED = "pred"
"""MONAI's key: the network's logits, or ``(logits, maps)`` of a localizer or of a network with two heads."""
LOGITS = "logits"
"""(K,) float32, from `medkit.SplitPredictiond`."""
MAPS = "maps"
"""(K,h,w) float32, higher = more evidence; covers the network's input edge to edge. From `SplitPredictiond`."""
PROBABILITIES = "probabilities"
"""(K,) float32 in 0…1, calibrated where a temperature was fitted."""
PRESENT = "present"
"""(K,) bool: the findings at or above their operating point."""
PREDICTED_BOXES = "predicted_boxes"
"""(M,6) float32 rows ``class index, x_min, y_min, x_max, y_max, score`` in the frame; any M."""
PREDICTED_BOXES_BY_RULE = "predicted_boxes_by_rule"
"""The same, by the rule that needs no boxes for fitting."""
PREDICTED_MASK = "predicted_mask"
"""str: the predicted mask on the frame's pixels, as the text of `medkit.masks.encode`."""
GATED_MASK = "gated_mask"
"""The same after the gate: empty where `GATE` says that there is nothing to segment."""

# -- what is written -------------------------------------------------------------------------------------------------
PREDICTIONS_FORMAT = "medkit-predictions/1"
"""Column ``format`` of predictions.csv: which columns there are, by number; a reader refuses a higher one."""


class Dataset(Protocol):
    """Called as ``(dataset_dir, section, …)``; ``section`` is ``training``, ``validation``, ``test`` or ``all``."""

    def __call__(self, dataset_dir: str, section: str) -> list[Sample]:
        """Return MONAI's list of dictionaries, in a fixed order; raise `DataError` for what is missing or wrong."""
        ...


class Network(Protocol):
    """An ``nn.Module`` built as ``(in_channels, out_channels, spatial_dims=2, …)``."""

    def __call__(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """(B,C,H,W) float → **logits** (B,K), or (B,K,H,W) for segmentation. Never probabilities.

        A classifier that segments as well returns a tuple: logits (B,K) and mask logits (B,1,h,w).
        """
        ...


class Loss(Protocol):
    """Called as ``(logits, target)``, both (B,K); targets that are NaN are skipped."""

    def __call__(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return a scalar; 0 with a gradient of 0 where every target is unknown."""
        ...


class Sampler(Protocol):
    """A ``torch.utils.data.Sampler`` built as ``(labels, …)`` from (N,K) float32.

    It keeps no counter of its own: the order follows from its seed and the epoch. Under torch.distributed it draws
    globally from one seed and takes every world-size-th index.
    """

    def __iter__(self) -> Iterator[int]: ...

    def __len__(self) -> int: ...

    def set_epoch(self, epoch: int) -> None: ...


class Localizer(Protocol):
    """Built as ``(network=None, …)``; called on images, or as a MONAI Inferer on ``(images, network)``."""

    def __call__(self, images: torch.Tensor, network: Any = None) -> tuple[torch.Tensor, torch.Tensor]:
        """(B,C,H,W) → logits (B,K) and maps (B,K,h,w), all classes in one pass, no gradient left behind.

        A localizer that finds boxes itself returns (B,K,5) rows ``x_min, y_min, x_max, y_max, score`` in input
        pixel edges in place of the maps; `heatmap_boxes` passes them through.
        """
        ...


class Postprocessor(Protocol):
    """A MONAI dictionary transform over one decollated sample."""

    def __call__(self, sample: Mapping[str, Any]) -> dict[str, Any]: ...


@runtime_checkable
class Fittable(Protocol):
    """A post-processor that learns on validation data."""

    def fit(self, samples: Sequence[Mapping[str, Any]]) -> None:
        """Learn from decollated batch-and-output dictionaries (status ``ok`` only), never from test data."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return what was learnt as JSON-able values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave; raise `CheckpointError` where it does not fit this part's options."""
        ...
