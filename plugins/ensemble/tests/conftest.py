"""Tables of predictions from arrays."""

from pathlib import Path

import numpy as np
import pytest
from medkit_ensemble.models import Models

from medkit.tables import write_csv


def rows_of(probabilities, present=None, labels=None, files=None):
    """Return rows of a predictions.csv from (N,K) arrays; files are called image0.png, classes c0."""
    present = probabilities >= 0.5 if present is None else present
    for n, file in enumerate(files or [f"image{n}.png" for n in range(len(probabilities))]):
        row = {"file": file, "status": "ok", "reason": ""}
        row |= {f"probability_c{k}": f"{value:.6g}" for k, value in enumerate(probabilities[n])}
        row |= {f"present_c{k}": str(int(value)) for k, value in enumerate(present[n])}
        known = [] if labels is None else [(k, value) for k, value in enumerate(labels[n])]
        yield row | {f"label_c{k}": "" if np.isnan(value) else str(int(value)) for k, value in known}


@pytest.fixture(scope="session")
def models():
    """Return a function from (M,N,K) probabilities and decisions to the models' joined tables."""

    def made(probabilities, present=None, labels=None, order=None):
        tables = {}
        for m, one in enumerate(probabilities):
            rows = list(rows_of(one, None if present is None else present[m], labels))
            tables[Path(f"m{m}.csv")] = {
                rows[n]["file"]: rows[n] for n in (range(len(rows)) if order is None else order)
            }
        return Models(tables)

    return made


@pytest.fixture
def write_table(tmp_path):
    """Return a function that writes such rows below the test's folder and returns the path."""

    def written(name, probabilities, present=None, labels=None, files=None, **about):
        rows = [row | about for row in rows_of(probabilities, present, labels, files)]
        write_csv(tmp_path / name, list(rows[0]), rows)
        return str(tmp_path / name)

    return written
