"""The convex problem behind the sampling weights, solved in its dual: as many unknowns as classes."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog, nnls


def nearest_frequencies(counts: np.ndarray) -> np.ndarray:
    """Return relative class frequencies (K,) that some mixture of the label sets has: ones if possible.

    Else the nearest point, by least squares, of the cone that the columns of ``counts`` (K,S) span.
    """
    frequencies = counts @ nnls(counts, np.ones(len(counts)))[0]
    return np.ones(len(counts)) if np.ptp(frequencies) < 1e-9 else frequencies


def room(counts: np.ndarray, shares: np.ndarray, frequencies: np.ndarray) -> tuple[np.ndarray, float]:
    """Return which label sets (S,) bool can be drawn at all, and the greatest floor that all of those can have.

    Two linear programs. The first gives every set as much of a weight of 1 as ``counts @ weights = t · frequencies``
    allows, where further weight is free; the second raises the floor under all that got some.
    """
    classes, sets = counts.shape
    minus = -frequencies[:, None]
    first = linprog(
        np.r_[-np.ones(sets), np.zeros(sets + 1)],
        A_eq=np.hstack([counts, counts, minus]),
        b_eq=np.zeros(classes),
        bounds=[(0, 1)] * sets + [(0, None)] * sets + [(0, 1e6)],
    )
    usable = first.x[:sets] > 0.5
    counts, shares = counts[:, usable], shares[usable] / shares[usable].sum()
    second = linprog(
        np.r_[np.zeros(usable.sum() + 1), -1.0],
        A_eq=np.vstack([np.hstack([counts, minus, (counts @ shares)[:, None]]), [*np.ones(usable.sum()), 0, 1]]),
        b_eq=np.r_[np.zeros(classes), 1],
    )
    return usable, float(second.x[-1])


def solve(counts: np.ndarray, shares: np.ndarray, frequencies: np.ndarray, floor: float | None) -> np.ndarray | None:
    """Return probabilities q (S,) that are nearest to ``shares`` among those with the class frequencies asked for.

    With ``u = q / shares``, how often an image of a set is drawn compared with uniform sampling:

        minimise    Σ shares · u² / 2  with u ≥ floor       (a number: least variance)
        or          Σ shares · (u log u − u)                (None: greatest entropy)
        subject to  counts @ q = t · frequencies for some t,  Σ q = 1.

    Eliminating t leaves ``rows @ q = goal`` with K equations. The Lagrange dual is smooth, concave and without
    constraints (Boyd, Vandenberghe 2004, section 5): at its maximum ``u = max(z, floor)``, or ``exp(z)``, with
    ``z = rows.T @ multipliers``. Newton's method finds it in a few steps, each a K×K system.

    Args:
        counts: (K,S) of 0 and 1: the classes of each label set.
        shares: (S,) > 0, summing to 1: the label sets' shares of the images.
        frequencies: (K,): relative class frequencies, ≥ 0.
        floor: the least value of u; None for the greatest entropy.

    Returns:
        q, with the frequencies met to 1e-9 relative, or None where no q ≥ floor · shares meets them.
    """
    # orthonormal rows that are orthogonal to the frequencies: what says "proportional to" without t
    contrasts = np.linalg.svd(frequencies[None])[2][1:]
    rows = np.vstack([contrasts @ counts, np.ones_like(shares)])
    goal = np.zeros(len(rows))
    goal[-1] = 1.0

    def primal(z: np.ndarray) -> np.ndarray:
        return np.exp(np.minimum(z, 700)) if floor is None else np.maximum(z, floor)

    def slope(z: np.ndarray) -> np.ndarray:
        return np.exp(np.minimum(z, 700)) if floor is None else (z > floor).astype(np.float64)

    def conjugate(z: np.ndarray) -> np.ndarray:
        return primal(z) if floor is None else np.where(z > floor, z * z / 2, floor * z - floor * floor / 2)

    def objective(multipliers: np.ndarray) -> float:
        return shares @ conjugate(rows.T @ multipliers) - goal @ multipliers

    multipliers = np.zeros(len(rows))
    multipliers[-1] = 0.0 if floor is None else 1.0  # uniform sampling
    for _ in range(60):
        z = rows.T @ multipliers
        mass = shares * primal(z)
        gradient = rows @ mass - goal
        if np.abs(gradient).max() < 1e-14:
            break
        hessian = (rows * (shares * slope(z))) @ rows.T
        # classes that always occur together make it singular: damping picks one of their equal solutions
        hessian[np.diag_indices_from(hessian)] += 1e-12 * np.trace(hessian) + 1e-15
        step = -np.linalg.solve(hessian, gradient)
        # near the optimum the objective no longer tells steps apart, Newton's full step does
        here, length = objective(multipliers) + 1e-14, 1.0
        while objective(multipliers + length * step) > here + 1e-4 * length * (gradient @ step) and length > 1e-9:
            length /= 2
        multipliers += length * step
    mass = shares * primal(rows.T @ multipliers)
    reached = counts @ mass
    if abs(mass.sum() - 1) > 1e-9 or np.abs(contrasts @ reached).max(initial=0) > 1e-9 * max(reached.min(), 1e-9):
        return None
    return mass
