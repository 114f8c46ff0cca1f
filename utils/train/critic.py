"""The critic as a measure: how well a network that was trained to can tell two sets of images."""
from collections import deque
from typing import NamedTuple, Tuple

import numpy as np

from models import critic as network
from models import tf
from utils.score import preservation
from utils.train import critic_crops, critic_views, sessions

SCALES = tuple(critic_views.VIEWS)
BOOTSTRAPS = 1000        # draws of blocks and stacks for an interval
TOLD = 0.55              # accuracy in training below which a critic has learnt nothing
TRIES = 3                # first weights that a critic is trained from, until it has learnt
APART = 1000000          # between their seeds
AT_A_TIME = 32           # held-out crops that go through the network together


class Settings(NamedTuple):
    """How a critic is trained and tested."""
    max_steps: int = 1600        # steps at most
    batch: int = 8               # crops of each set in a step
    test_every: int = 100        # steps between tests on held-out crops
    patience: int = 6            # tests without a gain that end it, from half of max_steps on
    test_crops: int = 256        # held-out crops of each set
    block: int = 76              # voxels per side of the blocks that stacks are parted into
    channels: Tuple[int, ...] = network.Architecture().channels
    threads: int = 1             # of TensorFlow; 0: all cores, 1: results repeat to the last bit


class Verdict(NamedTuple):
    """What a critic found."""
    accuracy: float              # share of the held-out crops that it told rightly; 0.5: none
    auc: float                   # probability that of two crops it takes the right one for judged
    interval: Tuple[float, float]    # of the accuracy, 95 %, over blocks and stacks
    train_accuracy: float        # of the crops that it learnt from, just before that test
    steps: int                   # that it was read after; mean of two halves
    settled: bool                # it gained no more; False: max_steps were too few to know

    @property
    def learnt(self):
        """False for a critic that does not even tell the crops that it learnt from."""
        return self.train_accuracy >= TOLD


def judge(real, judged, *, settings=Settings(), scale='texture', seed=0):
    """Train a critic on real and judged patches and test it on held-out ones.

    Real crops are held out by blocks of their stacks, judged ones by stacks; held-out crops share
    no voxel with those learnt from.

    Args:
        real, judged: patches.PatchFile or critic_crops.Images, of any size and bits.
        settings: Settings.
        scale: 'texture': the images as they are; 'structure': smoothed and thinned.
        seed: whole number, of the weights and crops; odd ones hold out what even ones learn from.

    Returns:
        Verdict.

    Raises:
        UserError: too few blocks or stacks to hold some out.
    """
    view = _view(scale, real, judged=judged)
    sides = [critic_crops.split(images, view.crop, block=settings.block, blocks=blocks,
                                swap=seed % 2)
             for images, blocks in ((real, True), (judged, False))]
    return contest(sides, view, settings=settings, seed=seed)


def floor(real, *, settings=Settings(), scale='texture', seed=0):
    """What a critic makes of real patches against real ones: disjoint blocks are the two sets.

    Args, returns and raises as judge.
    """
    view = _view(scale, real, judged=real)
    sides = critic_crops.halves(real, view.crop, block=settings.block,
                                rng=np.random.default_rng([seed, 5]))
    return contest(sides, view, settings=settings, seed=seed)


def _view(scale, real, *, judged):
    """The critic_views.View of a scale, its crops no larger than the patches."""
    view = critic_views.VIEWS[scale]
    return view._replace(crop=tuple(map(min, zip(view.crop, real.shape, judged.shape))))


# --- training ---

def contest(sides, view, *, settings, seed):
    """Train a critic on two sides and test it now and then.

    From some first weights a critic never leaves chance, while from others it does at once: one
    that does not tell what it learns from is trained from others, TRIES times in all. If none of
    them learns, the first one counts.

    Args:
        sides: two critic_crops.Side, real first; view: critic_views.View.
        settings: Settings; seed: whole number.

    Returns:
        Verdict.
    """
    eyes = [critic_views.Eye(side, view, rng=np.random.default_rng([seed, 1, k]))
            for k, side in enumerate(sides)]
    tries = []
    for start in range(TRIES):
        tries.append(_trained(sides, eyes, view=view, settings=settings, seed=seed, start=start))
        if tries[-1].ever_learnt:
            break
    held = tries[-1] if tries[-1].ever_learnt else tries[0]
    return held.verdict(settings, rng=np.random.default_rng([seed, 4]))


def _trained(sides, eyes, *, view, settings, seed, start):
    """Train a critic once; HeldOut, which knows what each test said.

    Args: eyes: critic_views.Eye of each side; start: number of its first weights; as of contest.
    """
    held = HeldOut(sides, eyes, count=settings.test_crops, rng=np.random.default_rng([seed, 2]))
    target = np.repeat([0.0, 1.0], settings.batch)
    with tf.Graph().as_default():
        tf.set_random_seed(seed + APART * start)
        graph = network.build([-(-n // view.thin) for n in view.crop],
                              network.Architecture(settings.channels, view.strides))
        with sessions.open_session(settings.threads) as session:
            session.run(tf.global_variables_initializer())
            session.run(graph.start)
            right, step = deque(maxlen=settings.test_every), 0
            while step < settings.max_steps and not held.settled(settings):
                step += 1
                crops = _batch(sides, eyes, count=settings.batch,
                               rng=np.random.default_rng([seed, 3, step]))
                logit, _ = session.run([graph.logit, graph.update],
                                       {graph.image: crops, graph.target: target})
                right.append(np.mean((logit > 0) == (target > 0)))
                if step % settings.test_every == 0 or step == settings.max_steps:
                    held.read(lambda some: session.run(graph.steady, {graph.image: some}),
                              step=step, train_accuracy=np.mean(right))
    return held


def _batch(sides, eyes, *, count, rng):
    """`count` crops of each side, changed at random; float32 [2 * count, Z, Y, X, 1]."""
    crops = []
    for side, eye in zip(sides, eyes):
        patch, corners, _ = critic_crops.draw(side.train, count, rng=rng)
        crops += [eye.crop(i, corner, rng=rng, change=True) for i, corner in zip(patch, corners)]
    return np.stack(crops)[..., None]


# --- test ---

class HeldOut:
    """Crops that a critic does not learn from, and what it said of them at each test.

    Their blocks fall into two halves without a common voxel. The test at which one half is read,
    and the logit from which on a crop counts as judged, are chosen on the other half: no figure is
    the best of many, and it is no fault that all held-out crops look a little more real than those
    learnt from. Where a set has one block alone, nothing is chosen: the last test is read, at 0.
    """

    def __init__(self, sides, eyes, *, count, rng):
        """Args: sides, eyes: of both sets; count: crops of each; rng: draws crops and halves."""
        crops, self.groups, half = [], [], []
        for side, eye in zip(sides, eyes):
            patch, corners, group = critic_crops.draw(side.test, count, rng=rng)
            crops += [eye.crop(i, corner, rng=rng) for i, corner in zip(patch, corners)]
            names = rng.permutation(np.unique(group))
            self.groups.append(group)
            half.append(np.isin(group, names[::2]))
        self.crops, self.target = np.stack(crops)[..., None], np.repeat([False, True], count)
        half = np.concatenate(half)
        apart = all(len(np.unique(group)) > 1 for group in self.groups)
        self.halves = (half, ~half) if apart else (np.ones(2 * count, bool),)
        self.logits, self.steps, self.train = [], [], []      # of each test

    def read(self, tell, *, step, train_accuracy):
        """Test a critic; tell: logits float32 [B] of crops [B, Z, Y, X, 1]."""
        self.logits.append(np.concatenate([tell(self.crops[i:i + AT_A_TIME])
                                           for i in range(0, len(self.crops), AT_A_TIME)]))
        self.steps.append(step)
        self.train.append(float(train_accuracy))

    def _auc(self, test, where):
        """AUC of some of the crops at a test."""
        return preservation.auc(self.logits[test][where], self.target[where])

    def _best(self, where):
        """The test at which some crops were told best, the first of equals."""
        return int(np.argmax([self._auc(test, where) for test in range(len(self.logits))]))

    @property
    def ever_learnt(self):
        """True if at any test the critic told the crops that it learnt from."""
        return max(self.train, default=0.0) >= TOLD

    def settled(self, settings):
        """True if neither half has been told better for `patience` tests, half-way at least."""
        if not self.steps or self.steps[-1] < settings.max_steps / 2:
            return False
        best = max(self._best(half) for half in self.halves)
        return len(self.steps) - 1 - best >= settings.patience

    def verdict(self, settings, *, rng):
        """The Verdict; rng draws blocks and stacks anew."""
        right, read = np.zeros(len(self.target), bool), []
        for where, other in zip(self.halves, self.halves[::-1]):
            test, cut = len(self.logits) - 1, 0.0
            if other is not where:
                test = self._best(other)
                cut = best_cut(self.logits[test][other], self.target[other])
            right[where] = (self.logits[test][where] > cut) == self.target[where]
            read.append((test, where))
        return Verdict(
            accuracy=float(right.mean()), interval=self._interval(right, rng),
            auc=float(np.mean([self._auc(test, where) for test, where in read])),
            train_accuracy=float(np.mean([self.train[test] for test, _ in read])),
            steps=int(np.mean([self.steps[test] for test, _ in read])),
            settled=self.settled(settings))

    def _interval(self, right, rng):
        """(2.5 %, 97.5 %) of the accuracy if blocks and stacks are drawn anew."""
        means = np.zeros(BOOTSTRAPS)
        for group, own in zip(self.groups, (right[~self.target], right[self.target])):
            names, place = np.unique(group, return_inverse=True)
            counts, sums = np.bincount(place), np.bincount(place, own)
            drawn = rng.integers(len(names), size=(BOOTSTRAPS, len(names)))
            means += sums[drawn].sum(1) / counts[drawn].sum(1) / 2
        return tuple(float(v) for v in np.quantile(means, [0.025, 0.975]))


def best_cut(values, target):
    """The cut that parts two classes best, the mean of their shares that lie on the right side.

    Args:
        values: float [N]; target: bool [N], True for the class above the cut; both classes occur.

    Returns:
        float, half-way between two values, or beyond all; of equally good ones that nearest to 0.
    """
    order = np.argsort(values)
    values, target = np.asarray(values, float)[order], target[order]
    below = np.append(0, np.cumsum(~target)) / max((~target).sum(), 1)     # right below each cut
    above = 1 - np.append(0, np.cumsum(target)) / max(target.sum(), 1)
    cuts = np.concatenate([[values[0] - 1], (values[:-1] + values[1:]) / 2, [values[-1] + 1]])
    apart = np.concatenate([[True], values[:-1] < values[1:], [True]])     # not between equals
    score = np.where(apart, below + above, -1)
    best = cuts[score > score.max() - 1e-9]
    return float(best[np.argmin(np.abs(best))])
