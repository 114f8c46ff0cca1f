"""A bounded history of refined patches: the discriminator does not forget the refiner's old tricks.

Source: Shrivastava et al., CVPR 2017 (SimGAN), section 2.3; docs/method.md, step 2.
"""
import numpy as np


class History:
    """Keeps up to `capacity` patches (0: none), swaps half of each new batch against old ones."""

    def __init__(self, capacity, rng):
        self.capacity, self.rng, self.patches = capacity, rng, []

    def __len__(self):
        return len(self.patches)

    def mix(self, batch):
        """Take in a batch of refined patches and hand out one, half of it from the history.

        Args:
            batch: float32 [B, ...].

        Returns:
            array like `batch`: B / 2 of its places (odd B: rounded up or down at random) hold old
            patches, fewer while there are too few. New patches fill the buffer; once it is full, a
            new one takes the place of the old one that was handed out for it.
        """
        result = np.array(batch)
        ready = len(self.patches)
        if self.capacity == 0:
            return result
        n = min((len(batch) + int(self.rng.integers(2))) // 2, ready)
        places = self.rng.permutation(len(batch))[:n]
        chosen = self.rng.permutation(ready)[:n]
        for place, old in zip(places, chosen):
            result[place] = self.patches[old]
        room = self.capacity - ready
        if room > 0:
            self.patches.extend(np.array(patch) for patch in batch[:room])
        else:
            for place, old in zip(places, chosen):
                self.patches[old] = np.array(batch[place])
        return result

    def sample(self, batch):
        """As many old patches as `batch` has; `batch` itself while there are fewer."""
        if len(self.patches) < len(batch):
            return batch
        return np.array([self.patches[i]
                         for i in self.rng.permutation(len(self.patches))[:len(batch)]])

    def state(self):
        """What a restart needs: (patches, float32 [N, ...]; random state, dict)."""
        return np.array(self.patches, np.float32), self.rng.bit_generator.state

    def restore(self, patches, random_state):
        """Take up a state() again; without a random state the own one stays.

        Raises:
            ValueError, TypeError, KeyError, OverflowError: it is no random state of this kind.
        """
        self.patches = [np.array(patch) for patch in patches[:self.capacity]]
        if random_state is not None:
            self.rng.bit_generator.state = random_state


def join(states):
    """The state()s of several processes' histories as one: (patches, [(count, random state)])."""
    some = [patches for patches, _ in states if len(patches)]
    return (np.concatenate(some) if some else np.zeros(0, np.float32),
            [(len(patches), random_state) for patches, random_state in states])


def share(patches, parts, *, rank, size):
    """The part of join()'s result for process `rank` of `size`.

    Args:
        patches, parts: of join(); rank, size: of this process.

    Returns:
        (patches, random state). If another number of processes has joined them, the patches are
        dealt out anew and the random state is None.

    Raises:
        ValueError, TypeError: these are not of join().
    """
    if sum(count for count, _ in parts) != len(patches):
        raise ValueError('%d patches' % len(patches))
    if len(parts) != size:
        return patches[rank::size], None
    first = sum(count for count, _ in parts[:rank])
    return patches[first:first + parts[rank][0]], parts[rank][1]
