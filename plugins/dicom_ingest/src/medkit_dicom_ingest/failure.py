"""Why a file gives no image: a stable code beside the sentence."""

from __future__ import annotations

from medkit.errors import DataError

CODES = {
    "not_an_image": "something else: text, an archive, an unknown format",
    "no_pixels": "DICOM without an image: a report, a plan, a waveform, a directory",
    "empty": "no bytes",
    "truncated": "bytes are missing at the end",
    "corrupt": "the content contradicts its own format",
    "bad_header": "a tag that describes the pixels is missing or impossible",
    "size_mismatch": "the compressed image has another size than the header says",
    "too_large": "more pixels or bytes than the limits",
    "unsupported": "a format or transfer syntax that nothing here reads",
    "missing_codec": "a package has to be installed to read it",
    "not_regular": "a link, pipe, socket or device",
    "unreadable": "the operating system does not give it",
    "time_limit": "took longer than the limit",
    "memory_limit": "needed more memory than the limit",
    "crashed": "ended the process that read it",
}
SKIPPED = ("not_an_image", "no_pixels", "not_regular")
"""Codes of what was never meant to be an image: listed, but nothing has failed."""


class ImageError(DataError):
    """A file that gives no image.

    Args:
        code: one of `CODES`.
        message: one line that names the tag and its value, never the patient.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str]]:
        return type(self), (self.code, str(self))
