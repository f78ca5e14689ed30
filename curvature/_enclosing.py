"""The smallest ball that holds given points, with a certificate.

The centre is c = Σλ_ix_i for weights λ of the simplex that maximise the concave Σλ_i‖x_i − c‖². An active-set
method in the manner of Wolfe's: add the farthest point to the support, then move the weights towards the ball
on which all of the support lies, dropping points whose weight would turn negative on the way. The objective
rises at every step, so no support comes twice. At any λ the objective bounds R² from below and the farthest
point bounds R from above: the gap between the two is the certificate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ball_radius"]

# The ball is accepted at once below the first relative error, and refused at the end above the second.
_TARGET, _LIMIT = 1e-12, 1e-10


def ball_radius(points: NDArray[np.float64], prompt: int) -> float:
    """Give the radius of the smallest enclosing ball of (K, d) points of size about 1.

    Parameters
    ----------
    points : ndarray, shape (K, d)
        The points; scaling and a nearby origin are the caller's care.
    prompt : int
        What to call the points in an error.

    Returns
    -------
    float
        The radius about the centre found, with a relative error below 1e-10.

    Raises
    ------
    RuntimeError
        If no centre with that certificate is found.
    """
    K, d = points.shape
    if d > K:
        # Same distances in at most K coordinates.
        points = _upper_factor(points.T).T
    support, weights = _first_support(points)
    lower, upper = 0.0, np.inf
    for _ in range(20 * K + 100):
        center = weights @ points[support]
        squares = np.sum((points - center) ** 2, axis=1)
        farthest = int(squares.argmax())
        lower, upper = float(np.sqrt(weights @ squares[support])), float(np.sqrt(squares[farthest]))
        if upper <= lower * (1 + _TARGET) or farthest in support:
            break
        support, weights = _settle(points, [*support, farthest], np.append(weights, 0.0))
    if not upper <= lower * (1 + _LIMIT):
        gap = upper / lower - 1
        raise RuntimeError(
            f"the enclosing ball of prompt {prompt} was found only to a relative error of {gap:.1e}."
        )
    return upper


def _first_support(points: NDArray[np.float64]) -> tuple[list[int], NDArray[np.float64]]:
    """Start from every point where they are clearly affinely independent, as in many dimensions; else from two.

    In many dimensions nearly all points lie on the ball, and adding them one by one would be the slow way.

    Returns
    -------
    support : list of int
        The points of the first support.
    weights : ndarray
        Positive weights of sum 1, which put the centre on equal distance from the support.
    """
    K, d = points.shape
    support = np.arange(K)
    if 2 < K <= d + 1 and _clearly_independent(points):
        # Any weights of the simplex are a start: drop all negative ones at once, and look again.
        while len(support) > 2:
            goal, _ = _circumcentre(points[support], np.zeros(len(support)))
            if goal is None:
                break
            if np.all(goal > 0):
                return support.tolist(), goal
            support = support[goal > 0]
    # The points come relative to the first, so the longest is the farthest from it.
    return [0, int(np.argmax(np.sum(points * points, axis=1)))], np.array([0.5, 0.5])


def _clearly_independent(points: NDArray[np.float64]) -> bool:
    edges = points[1:] - points[0]
    pivots = np.abs(np.diag(_upper_factor(edges.T)))
    return bool(np.all(pivots > 1e-6 * np.linalg.norm(edges, axis=1)))


def _settle(
    points: NDArray[np.float64], support: list[int], weights: NDArray[np.float64]
) -> tuple[list[int], NDArray[np.float64]]:
    """Move the weights to the ball of the support, dropping points on the way until all weights are positive.

    The last point is the new one: its weight only grows.

    Returns
    -------
    support : list of int
        The points left.
    weights : ndarray
        Their weights, positive, the barycentric coordinates of the centre of their circumscribed sphere.
    """
    while True:
        goal, direction = _circumcentre(points[support], weights)
        if goal is not None and np.all(goal >= 0):
            return support, goal
        falling = direction < 0
        ratio = np.full(len(weights), np.inf)
        ratio[falling] = weights[falling] / -direction[falling]
        drop = int(ratio.argmin())
        weights = np.delete(np.maximum(weights + ratio[drop] * direction, 0.0), drop)
        support = [*support[:drop], *support[drop + 1 :]]
        weights /= weights.sum()


def _circumcentre(
    corners: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64]]:
    """Give the barycentric coordinates of the circumcentre, and the direction to it.

    Returns
    -------
    goal : ndarray or None
        The coordinates; None where the last corner depends affinely on the others, which have a circumcentre
        of their own: the objective then grows without bound along the direction.
    direction : ndarray
        From the weights towards the goal; its sum is 0.
    """
    edges = corners[1:] - corners[0]
    k = len(edges)
    factor = _upper_factor(edges.T)
    independent = factor.shape[0] == k and abs(factor[-1, -1]) > 1e-12 * np.linalg.norm(edges[-1])
    if independent:
        half_squares = 0.5 * np.sum(edges * edges, axis=1)
        tail = np.linalg.solve(factor, np.linalg.solve(factor.T, half_squares))
        goal = np.concatenate([[1 - tail.sum()], tail])
        return goal, goal - weights
    others = np.linalg.solve(factor[: k - 1, : k - 1], factor[: k - 1, -1])
    return None, np.concatenate([[others.sum() - 1], -others, [1.0]])


def _upper_factor(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.qr(matrix, mode="r"))
