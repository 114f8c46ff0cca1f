"""Losses of both trainings, one function each, and the cut of the label-preserving one.

Sources: docs/method.md, step 2 (refiner, discriminator); docs/segmentation.md (segmentation).
"""
from models import tf

STEEP = 4.0              # of the soft threshold 'auto': the background's median counts as 0.02
HIGH = 3.0               # its cut, in noise levels above that median
ONE_SIGMA = 0.8413       # quantile one standard deviation above the median of normal noise
FLATTEST = 0.05          # grey levels; smoothed noise of 8-bit stacks may be below one


# --- intensities ---

def to_network(grey, bits):
    """Grey levels to [-1, 1].

    sqrt(v) / 255 * 2 - 1 for 16 bit, as the square root makes a photon count's noise even;
    v / 255 * 2 - 1 for 8 bit.

    Args:
        grey: float32, any shape, 0 to 2^bits - 1; bits: 8 or 16.
    """
    v = tf.sqrt(tf.maximum(grey, 0.0)) if bits == 16 else grey
    return v * (2.0 / 255.0) - 1.0


def to_grey(x, bits):
    """Inverse of to_network: float32 in [-1, 1] to grey levels, not rounded."""
    v = (x + 1.0) * (255.0 / 2.0)
    return tf.square(v) if bits == 16 else v


# --- label preservation ---

def background_quantile(grey, label, *, quantile):
    """Per image, the quantile of its own background voxels, as numpy.quantile gives it (linear).

    Args:
        grey: float32 [B, Z, Y, X, 1], grey levels; label: float32 {0, 1}, same shape.
        quantile: in [0.5, 1): only the brightest share is sorted.

    Returns:
        float32 [B, 1, 1, 1, 1], grey levels; 0 for an image without background. The gradient
        flows through it to the voxels at the quantile, so that the label loss does not change when
        a whole image gets brighter: held constant, it would push every refined background voxel
        darker, and the cut would follow.
    """
    with tf.name_scope('background_quantile'):
        batch = tf.shape(grey)[0]
        without = tf.fill(tf.shape(grey), -float('inf'))             # where there is a neurite
        values = tf.reshape(tf.where(label > 0.5, without, grey), [batch, -1])
        background = tf.cast(tf.reshape(label, [batch, -1]) <= 0.5, tf.int32)
        n = tf.reduce_sum(background, axis=1)                        # [B] background voxels
        voxels = tf.shape(values)[1]
        keep = tf.cast(tf.ceil(tf.cast(voxels, tf.float32) * (1 - quantile)), tf.int32) + 2
        top, _ = tf.nn.top_k(values, tf.minimum(keep, voxels))       # [B, keep] descending
        place = tf.cast(tf.maximum(n - 1, 0), tf.float32) * (1 - quantile)      # from the top
        above = tf.cast(tf.floor(place), tf.int32)
        weight = place - tf.floor(place)
        below = tf.minimum(above + 1, tf.maximum(n - 1, 0))
        rows = tf.range(batch)
        high = tf.gather_nd(top, tf.stack([rows, above], 1))
        low = tf.gather_nd(top, tf.stack([rows, below], 1))
        found = tf.where(n > 0, high * (1 - weight) + low * weight, tf.zeros_like(high))
        return tf.reshape(found, [batch, 1, 1, 1, 1])


def smoothed(grey, times):
    """Mean over 3 x 3 x 3 voxels, taken several times: noise goes, structure stays.

    Args:
        grey: float32 [B, Z, Y, X, 1]; beyond the border lies the image mirrored.
        times: 0 leaves it as it is; 2 is about a Gaussian with a sigma of 1.15 voxels.

    Returns:
        float32, same shape.
    """
    with tf.name_scope('smoothed'):
        for axis in [1, 2, 3] * times:                       # a box is separable
            n = tf.shape(grey)[axis]
            wide = tf.pad(grey, [[int(a == axis)] * 2 for a in range(5)], 'SYMMETRIC')
            parts = [_slice_along(wide, axis, start=start, size=n) for start in range(3)]
            grey = tf.add_n(parts) / 3.0
        return grey


def _slice_along(x, axis, *, start, size):
    """`size` places of one axis of a tensor [B, Z, Y, X, 1], from `start` on."""
    begin = [start if a == axis else 0 for a in range(5)]
    return tf.slice(x, begin, tf.stack([size if a == axis else -1 for a in range(5)]))


def foreground(grey, label, *, quantile, steepness):
    """Soft threshold of the label-preserving loss: g(v) = sigmoid(K (v - t)), t the image's cut.

    Args:
        grey: float32 [B, Z, Y, X, 1], grey levels (not [-1, 1]); label: float32 {0, 1}, same shape.
        quantile: of each image's own background, that is its cut t.
        steepness: K, 1 / grey level; 0: the cut lies HIGH noise levels above the median of the
            image's background, and K is STEEP over that distance. The noise level is told by the
            darker half of the background, which a strand does not change. Then images are compared
            in their own noise levels: noise may be drawn anew, weaker or stronger; what stands out
            of it must stand out as before, and nothing new may.

    Returns:
        float32 in (0, 1), same shape.
    """
    if steepness:
        cut = background_quantile(grey, label, quantile=quantile)
    else:
        middle = background_quantile(grey, label, quantile=0.5)
        noise = middle + background_quantile(-grey, label, quantile=ONE_SIGMA)
        high = HIGH * tf.maximum(noise, FLATTEST)
        cut, steepness = middle + high, STEEP / tf.stop_gradient(high)
    return tf.sigmoid(steepness * (grey - cut))


def label_loss(before, after, *, label, foreground_share=0.0):
    """Charge the refiner for voxels that change side of the background cut.

    mean |g(z) - g(R(z))|, the paper's data-control loss.

    Args:
        before, after: foreground() of the draft and of the refined draft, float32
            [B, Z, Y, X, 1].
        label: float32 {0, 1}, same shape.
        foreground_share: 0: the mean over all voxels, as in the paper; or how much the mean over
            the batch's foreground counts, the rest is the mean over its background.

    Returns:
        float32 scalar in [0, 1].
    """
    with tf.name_scope('label_loss'):
        crossed = tf.abs(before - after)                             # [B, Z, Y, X, 1]
        if not foreground_share:
            return tf.reduce_mean(crossed)
        sides = [tf.reduce_sum(crossed * side) / tf.maximum(tf.reduce_sum(side), 1.0)
                 for side in (label, 1.0 - label)]
        return foreground_share * sides[0] + (1.0 - foreground_share) * sides[1]


def identity_loss(draft, refined):
    """Mean absolute difference of [-1, 1] intensities; float32 scalar in [0, 2]."""
    return tf.reduce_mean(tf.abs(draft - refined))


def level_loss(draft, refined):
    """Mean absolute change of each image's mean; float32 scalar in [0, 2].

    Where the discriminator does not see levels, and the label loss does not, nothing else keeps a
    refined image as bright as its draft.

    Args:
        draft, refined: float32 [B, Z, Y, X, 1] in [-1, 1].
    """
    return tf.reduce_mean(tf.abs(tf.reduce_mean(refined - draft, [1, 2, 3, 4])))


def contrast_loss(draft, refined, *, label):
    """Mean absolute change of the mean of each image's foreground; float32 scalar in [0, 2].

    How bright neurites are is measured and drawn. A refiner that makes them brighter teaches a
    segmentation network to pass over dim ones. An image without foreground counts as unchanged.

    Args:
        draft, refined: float32 [B, Z, Y, X, 1] in [-1, 1]; label: float32 {0, 1}, same shape.
    """
    changes = tf.reduce_sum((refined - draft) * label, [1, 2, 3, 4])
    return tf.reduce_mean(tf.abs(changes / tf.maximum(tf.reduce_sum(label, [1, 2, 3, 4]), 1.0)))


# --- adversaries: least squares ---

def refiner_adversarial_loss(score_refined):
    """The refiner wants D to answer 1: mean (D(R(z)) - 1)^2; float32 scalar >= 0."""
    return tf.reduce_mean(tf.square(score_refined - 1.0))


def discriminator_loss(score_real, score_refined):
    """D answers 1 to real patches and 0 to refined ones; float32 scalar >= 0.

    mean (D(x) - 1)^2 + mean D(R(z))^2.
    """
    return (tf.reduce_mean(tf.square(score_real - 1.0))
            + tf.reduce_mean(tf.square(score_refined)))


# --- segmentation ---

def masked_dice_loss(logits, label, *, weight):
    """1 - soft Dice over the whole batch, of the voxels that count.

    One voxel is added above and below, so that an empty batch has a loss of 0 at best.

    Args:
        logits: float32 [B, Z, Y, X, 1]; label: float32 {0, 1}, same shape.
        weight: float32 >= 0, same shape; 0 leaves a voxel out.

    Returns:
        float32 scalar in [0, 1).
    """
    with tf.name_scope('masked_dice_loss'):
        p = tf.sigmoid(logits)
        both = tf.reduce_sum(weight * p * label)
        return 1.0 - (2.0 * both + 1.0) / (tf.reduce_sum(weight * (p + label)) + 1.0)


def masked_cross_entropy(logits, label, *, weight):
    """Cross-entropy, nats, mean over the voxels that count; 0 if there is none.

    Args: as for masked_dice_loss.
    """
    with tf.name_scope('masked_cross_entropy'):
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=label, logits=logits)
        return tf.reduce_sum(weight * entropy) / tf.maximum(tf.reduce_sum(weight), 1.0)
