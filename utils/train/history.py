"""A bounded history of refined patches, so that the discriminator does not forget old tricks (SimGAN, METHOD)."""
import numpy as np


class History:
    """Keeps up to `capacity` patches; `mix` swaps half a batch of new patches against old ones. 0: none."""

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

    def state(self):
        """Everything needed to go on after a restart: (patches as one array, random state as a dict)."""
        return np.array(self.patches, np.float32), self.rng.bit_generator.state

    def restore(self, patches, random_state):
        """Take up a state() again; without a random state the own one stays."""
        self.patches = [np.array(patch) for patch in patches[:self.capacity]]
        if random_state is not None:
            self.rng.bit_generator.state = random_state


def join(states):
    """One state() of the histories of several processes: (patches, list of (count, random state))."""
    some = [patches for patches, _ in states if len(patches)]
    return (np.concatenate(some) if some else np.zeros(0, np.float32),
            [(len(patches), random_state) for patches, random_state in states])


def share(patches, parts, *, rank, size):
    """What of join()'s result is for process `rank` of `size`: (patches, random state); the random state is None, and the
    patches are dealt out anew, if other processes than now have joined it."""
    if len(parts) != size:
        return patches[rank::size], None
    first = sum(count for count, _ in parts[:rank])
    return patches[first:first + parts[rank][0]], parts[rank][1]
