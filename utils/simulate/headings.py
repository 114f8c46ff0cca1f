"""Which way fibres run: all of them, and from place to place. Lengths are isotropic voxels.

A heading is the mean of the products of the parts of directions, float [3, 3]; the trace is 1, a
third of the identity: they run anyhow (crowding.heading). Beyond the paper.
"""
import numpy as np
from scipy import ndimage

from utils.measure import crowding

CELL = 8.0                      # voxels per side of places that have one heading
ALIKE = 25.0                    # voxels, sigma of what headings are smoothed by: those of both real
                                # stacks are alike by a half at 42 voxels, 1.7 times as far
MARGIN = 10                     # cells around the box, so that its border is as its middle
PULL = 7.5                      # 15/2
LEAST_PERSISTENCE = 5.0         # voxels; with less, a pull would turn directions around


class Headings:
    """Headings of the places of a box."""

    def __init__(self, limits, *, heading=None, spread=0.0, rng=None):
        """Draw them.

        Args:
            limits: [3] voxels, the highest places of the box.
            heading: six entries (crowding.PAIRS), the mean of all places; None: anyhow.
            spread: root mean square of how places differ from it (Frobenius norm); 0: not at all.
                Both are a little less where matrices had to be made possible ones.
            rng: numpy Generator, needed with a spread.
        """
        self.limits = np.asarray(limits, float)
        self.known = heading is not None or spread > 0
        self.whole = np.eye(3) / 3 if heading is None else crowding.matrix(heading)
        self.cells = None
        if spread:
            shape = np.maximum(np.ceil((self.limits + 1) / CELL), 1).astype(int)
            self.cells = crowding.possible(self.whole + spread * _field(shape, rng))

    def at(self, places):
        """Headings of places, float [N, 3, 3]; places: float [N, 3], those outside as the nearest
        inside.
        """
        if self.cells is None:
            return np.broadcast_to(self.whole, (len(places), 3, 3))
        top = np.array(self.cells.shape[:3]) - 1
        z, y, x = np.clip((places / CELL).astype(int), 0, top).T
        return self.cells[z, y, x]

    def pulled(self, ahead, *, places, persistence, step):
        """Directions turned back to where fibres run, as much as bends turn them away in a step.

        A direction a that diffuses by 1 / P a voxel, P the persistence, and drifts by A a is spread
        as exp(P a A a), whose heading is 1/3 + 2/15 P A to the first order.

        Args:
            ahead: float [N, 3], unit vectors; places: float [N, 3]; step: voxels.

        Returns:
            float [N, 3], not of length 1.
        """
        if not self.known:
            return ahead
        strength = PULL * step / max(persistence, LEAST_PERSISTENCE)
        return ahead + strength * (self._times(ahead, places) - ahead / 3)

    def gathered(self, ahead, slope, *, places):
        """How much more than of directions of all kinds a turn towards `slope` gathers walks.

        With the pull, directions a have the density exp(a K a), K of PULL times a heading, and not
        all of a slope across it is seen by walks along it: about 1 + a K a - g K g, g its unit
        vector (tried on walks of 100 voxels: tests/test_glow.py).

        Args:
            ahead: float [N, 3], unit vectors; slope, places: float [N, 3].

        Returns:
            float [N, 1], 1 at least; or 1.
        """
        if not self.known:
            return 1.0
        length = np.sqrt((slope ** 2).sum(1, keepdims=True))
        across = slope / np.maximum(length, 1e-12)
        along, other = [(a * self._times(a, places)).sum(1, keepdims=True)
                        for a in (ahead, across)]
        return np.maximum(1 + PULL * (along - other), 1.0)

    def _times(self, vectors, places):
        """Vectors, float [N, 3], times the headings of places."""
        if self.cells is None:
            return vectors @ self.whole
        return (vectors[:, None] @ self.at(places))[:, 0]


def _field(shape, rng):
    """Smooth symmetric matrices without a trace, as likely in all directions.

    Returns:
        float [Z, Y, X, 3, 3]; their mean is 0, the mean of their squared Frobenius norms 1.
    """
    wide = [n + 2 * MARGIN for n in shape]
    field = np.moveaxis([[ndimage.gaussian_filter(rng.standard_normal(wide), ALIKE / CELL)
                          for _ in range(3)] for _ in range(3)], (0, 1), (3, 4))
    field = field[(slice(MARGIN, -MARGIN),) * 3]
    field = field + field.swapaxes(3, 4)
    field = field - np.trace(field, axis1=3, axis2=4)[..., None, None] * np.eye(3) / 3
    field = field - field.mean((0, 1, 2))                # the stack's own heading is drawn as told
    return field / max(np.sqrt((field ** 2).sum((3, 4)).mean()), 1e-9)
