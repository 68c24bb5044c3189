"""Under which keys VGG networks are published."""

from __future__ import annotations

from functools import partial

from medkit.pretrained import Published, download


def published(url: str, last: int) -> Published:
    """Return torchvision's keys for a head whose last linear layer is ``classifier.LAST``.

    Args:
        url: torchvision's ImageNet weights.
        last: its place in the head.
    """
    return Published(
        family="VGG",
        first="features.0.weight",
        last=(f"classifier.{last}.weight", f"classifier.{last}.bias"),
        body=("features.",),
        imagenet=partial(download, url),
        new_head="labels: null",
    )
