"""The critic as a measure: how well a network that was trained to can tell two sets of images."""
from typing import NamedTuple, Tuple

import numpy as np

from models import critic as network
from models import tf
from utils.score import realism
from utils.train import critic_crops, sessions

BOOTSTRAPS = 1000        # resamplings of blocks and stacks for an interval


class Settings(NamedTuple):
    """How a critic is trained and tested."""
    max_steps: int = 1600        # steps at most
    batch: int = 8               # crops of each set in a step
    evaluate_every: int = 100    # steps between tests on held-out crops
    patience: int = 5            # tests without a gain before the training ends
    test_crops: int = 256        # held-out crops of each set
    block: int = 76              # voxels per side of the blocks that stacks are parted into
    channels: Tuple[int, ...] = (12, 24, 48, 48)
    threads: int = 1             # of TensorFlow; 0: all cores, 1: results repeat to the last bit


class Verdict(NamedTuple):
    """What a critic found."""
    accuracy: float              # share of the held-out crops that it told rightly, 0.5: none
    auc: float                   # probability that of two crops it takes the right one
    interval: Tuple[float, float]    # of the accuracy, 95 %, over blocks and stacks
    train_accuracy: float        # of the crops that it learned from, at the same step
    steps: int                   # that it was read after


def judge(real, judged, *, settings=Settings(), scale='texture', seed=0):
    """Train a critic on real and judged patches and test it on held-out ones.

    Real crops are held out by blocks of their stacks, judged ones by stacks.

    Args:
        real, judged: patches.PatchFile or critic_crops.Images, of any size and bits.
        settings: Settings; scale: 'texture', as the images are, or 'structure', smoothed and
            thinned; seed: whole number, of the weights, crops and which part is held out.

    Returns:
        Verdict.

    Raises:
        UserError: too few blocks or stacks to hold some out.
    """
    view = _view(scale, real, judged)
    sides = [critic_crops.split(images, view.crop, block=settings.block, blocks=blocks,
                                swap=seed % 2)
             for images, blocks in ((real, True), (judged, False))]
    return contest(sides, view, settings=settings, seed=seed)


def floor(real, *, settings=Settings(), scale='texture', seed=0):
    """What a critic makes of real patches against real ones: disjoint blocks as the two sets.

    Args, returns, raises: as judge.
    """
    view = _view(scale, real, real)
    sides = critic_crops.halves(real, view.crop, block=settings.block,
                                rng=np.random.default_rng([seed, 5]))
    return contest(sides, view, settings=settings, seed=seed)


def _view(scale, *sets):
    """The critic_crops.View of a scale, its crops not larger than the patches."""
    view = critic_crops.VIEWS[scale]
    return view._replace(crop=tuple(min(n) for n in zip(view.crop, *[s.shape for s in sets])))


# --- training and test ---

def contest(sides, view, *, settings, seed):
    """Train a critic on two sides, test it now and then; Verdict.

    Held-out blocks and stacks fall into two halves. The step at which one half is read is chosen on
    the other half, so that no figure is the best of many.

    Args:
        sides: two critic_crops.Side, real first; view: critic_crops.View.
        settings: Settings; seed: whole number.
    """
    eyes = [critic_crops.Eye(side, view, rng=np.random.default_rng([seed, 1, k]))
            for k, side in enumerate(sides)]
    test = Test(sides, eyes, count=settings.test_crops, rng=np.random.default_rng([seed, 2]))
    with tf.Graph().as_default():
        tf.set_random_seed(seed)
        shape = [-(-n // view.thin) for n in view.crop]
        graph = network.build(shape, network.Architecture(channels=settings.channels))
        with sessions.open_session(settings.threads) as session:
            session.run(tf.global_variables_initializer())
            session.run(graph.start)
            target = np.repeat([0.0, 1.0], settings.batch)
            right = []
            for step in range(1, settings.max_steps + 1):
                logit, _ = session.run(
                    [graph.logit, graph.update],
                    {graph.image: _batch(sides, eyes, settings.batch, seed=[seed, 3, step]),
                     graph.target: target})
                right.append(np.mean((logit > 0) == (target > 0)))
                if step % settings.evaluate_every == 0 or step == settings.max_steps:
                    test.read(session, graph, step=step, train_accuracy=np.mean(right))
                    right = []
                    if test.waited() >= settings.patience:
                        break
    return test.verdict(np.random.default_rng([seed, 4]))


def _batch(sides, eyes, count, *, seed):
    """`count` crops of each side, changed at random; float32 [2 * count, Z, Y, X, 1]."""
    rng, crops = np.random.default_rng(seed), []
    for side, eye in zip(sides, eyes):
        chosen, corners = critic_crops.draw(side.train, count, rng=rng)
        crops += [eye.crop(i, corner, rng=rng)
                  for i, corner in zip(side.train.patch[chosen], corners)]
    return np.stack(crops)[..., None]


class Test:
    """Held-out crops, and what a critic said of them at each reading."""

    def __init__(self, sides, eyes, *, count, rng):
        """Args:
            sides, eyes: of both sets; count: crops of each.
            rng: draws crops and halves.
        """
        crops, groups, half = [], [], []
        for side, eye in zip(sides, eyes):
            chosen, corners = critic_crops.draw(side.test, count, rng=rng)
            crops += [eye.crop(i, corner) for i, corner in zip(side.test.patch[chosen], corners)]
            group = side.test.group[chosen]
            names = rng.permutation(np.unique(group))
            groups.append(group)
            half.append(np.isin(group, names[::2]) if len(names) > 1
                        else np.arange(count) % 2 == 0)
        self.crops, self.target = np.stack(crops)[..., None], np.repeat([False, True], count)
        self.groups, self.half = groups, np.concatenate(half)
        self.logits, self.steps, self.train = [], [], []

    def read(self, session, graph, *, step, train_accuracy):
        """Let the critic tell the crops."""
        self.logits.append(np.concatenate([
            session.run(graph.steady, {graph.image: self.crops[i:i + 16]})
            for i in range(0, len(self.crops), 16)]))
        self.steps.append(step)
        self.train.append(float(train_accuracy))

    def _best(self, where):
        """Index of the reading at which some crops were told best, the first of equals."""
        return int(np.argmax([realism.auc(logits[where], self.target[where])
                              for logits in self.logits]))

    def waited(self):
        """Readings since either half was told better than ever before."""
        return len(self.steps) - 1 - max(self._best(self.half), self._best(~self.half))

    def verdict(self, rng):
        """The Verdict; rng resamples."""
        best = [self._best(self.half), self._best(~self.half)]       # chosen on one half ...
        right = np.where(self.half, self._right(best[1]), self._right(best[0]))   # ... read on
        aucs = [realism.auc(self.logits[b][where], self.target[where])            # the other
                for b, where in zip(best, (~self.half, self.half))]
        return Verdict(float(right.mean()), float(np.mean(aucs)), self._interval(right, rng),
                       float(np.mean([self.train[b] for b in best])),
                       int(np.mean([self.steps[b] for b in best])))

    def _right(self, reading):
        """Which crops were told rightly, bool [N]."""
        return (self.logits[reading] > 0) == self.target

    def _interval(self, right, rng):
        """(2.5 %, 97.5 %) of the accuracy if blocks and stacks are drawn anew."""
        means = np.zeros(BOOTSTRAPS)
        for group, own in zip(self.groups, (right[~self.target], right[self.target])):
            counts, sums = np.bincount(group), np.bincount(group, own)
            here = np.flatnonzero(counts)
            drawn = rng.choice(here, (BOOTSTRAPS, len(here)))
            means += sums[drawn].sum(1) / counts[drawn].sum(1) / 2
        low, high = np.quantile(means, [0.025, 0.975])
        return float(low), float(high)
