"""One training step (4 refiner updates, 1 of the discriminator): ours against the released loop.

The released loop, transcribed from docs/method.md (faults 4, 5, 6 and 11): a forward pass of its
own for the thresholds, which NumPy sorts in full over the whole batch; TensorFlow's own convolution
gradients and each batch's moments; 32 image summaries and three more forward passes a step. Ours is
what 2_mpgan.py runs, with its data pipeline, augmentation and history; and where it spends its
time. Equal networks and batch, one process, one thread. The fused kernel normalises the batch for
both (the released code has a slower one).

Reads   nothing
Writes  nothing
Run     python tests/benchmarks/training_step.py
"""
import json
import os
import sys
import tempfile
import time

import numpy as np
from tensorflow.python.client import timeline

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from models import gan, layers, losses, tf                # noqa: E402
from models.discriminator import discriminator            # noqa: E402
from models.refiner import refiner                        # noqa: E402
from utils.common import config                           # noqa: E402
from utils.data import patches                            # noqa: E402
from utils.train import history, samplers, sessions       # noqa: E402
from utils.train.streams import Stream                    # noqa: E402

CROP, BATCH, BITS = (16, 32, 32), 2, 16      # the paper's networks on small crops: minutes
STEPS = 3                                    # timed; one more warms up
SHAPE = [None] + list(CROP) + [1]
SEEN = gan.Intensities(
    (-1.4, 0.3), (-1.4, 0.3), (-0.8, 0.1),
    spectra=gan.Spectra(40.0, tuple(np.zeros(n // 2, np.float32) for n in CROP)))


def data(folder):
    """Patch files of labelled drafts and real patches."""
    rng = np.random.default_rng(0)
    labels = np.zeros((24, 32, 64, 64), np.uint8)
    labels[:, 14:18, :, 30:34] = 1
    images = (rng.normal(400, 40, labels.shape) + 500 * labels).clip(0).astype(np.uint16)
    for name, label in (('drafts', labels), ('real', None)):
        patches.write(os.path.join(folder, name), images, origins=np.zeros((24, 3)),
                      sources=['s'] * 24, labels=label)
    return [patches.PatchFile(os.path.join(folder, name), name == 'drafts')
            for name in ('drafts', 'real')]


# --- the released loop ---

class Released:
    """Its graph: placeholders draft, label, target, old (refined patches), two cuts; updates."""

    def __init__(self, cfg):
        """Args: cfg: configs/mpgan.py, for widths and weights of the losses."""
        self.draft, self.label, self.target, self.old = [
            tf.placeholder(tf.float32, SHAPE) for _ in range(4)]
        self.draft_cut, self.refined_cut = [
            tf.placeholder(tf.float32, [1, 1, 1, 1, 1]) for _ in range(2)]
        updates = []
        x = losses.to_network(self.draft, BITS)
        self.refined = refiner(x, cfg.REFINER_CHANNELS, moments=layers.Moments(updates))
        self.grey = losses.to_grey(self.refined, BITS)

        def score(values):
            return discriminator(values, cfg.DISCRIMINATOR_CHANNELS, activation=False)

        kept = losses.label_loss(tf.sigmoid(0.1 * (self.draft - self.draft_cut)),
                                 tf.sigmoid(0.1 * (self.grey - self.refined_cut)),
                                 label=self.label)
        total = (losses.refiner_adversarial_loss(score(self.refined))
                 + cfg.LAMBDA_IDENTITY * losses.identity_loss(x, self.refined)
                 + cfg.LAMBDA_LABEL * kept)
        d_total = losses.discriminator_loss(score(losses.to_network(self.target, BITS)),
                                            score(self.old))

        def minimise(loss, scope):
            return tf.train.AdamOptimizer(1e-4, 0.5).minimize(
                loss, var_list=tf.trainable_variables(scope))

        with tf.control_dependencies(updates):
            self.refiner_step = [minimise(total, 'refiner/'), total]
        self.discriminator_step = [minimise(d_total, 'discriminator/'), d_total]
        self.summaries = tf.summary.merge([
            tf.summary.image('slice%d' % z, self.refined[:, z % CROP[0]], 1) for z in range(32)])


def crops_of(file, rng):
    """A batch of a patch file: image, and label if it has one, float32 [B, Z, Y, X, 1]."""
    chosen = rng.integers(len(file), size=BATCH)
    box = tuple(slice(0, c) for c in CROP)
    return [np.stack([array[i][box] for i in chosen])[..., None].astype(np.float32)
            for array in (file.image, file.label) if array is not None]


def cut(values, labels):
    """The 95th percentile of the batch's background, sorted in full."""
    background = np.sort(values[labels == 0])
    return np.reshape(background[int(0.95 * len(background))], [1, 1, 1, 1, 1])


def released(cfg, drafts, *, real):
    """Seconds of each step of the released loop."""
    layers.OWN_GRADIENT = False
    tf.reset_default_graph()
    graph, rng, times = Released(cfg), np.random.default_rng(0), []
    with tempfile.TemporaryDirectory() as folder, sessions.open_session(1) as session:
        session.run(tf.global_variables_initializer())
        writer = tf.summary.FileWriter(folder)
        for step in range(STEPS + 1):
            begun = time.perf_counter()
            for _ in range(cfg.REFINER_UPDATES):
                image, labels = crops_of(drafts, rng)
                now = session.run(graph.grey, {graph.draft: image})
                session.run(graph.refiner_step, {
                    graph.draft: image, graph.label: labels, graph.draft_cut: cut(image, labels),
                    graph.refined_cut: cut(now, labels)})
            refined = session.run(graph.refined, {graph.draft: image})
            session.run(graph.discriminator_step, {graph.target: crops_of(real, rng)[0],
                                                   graph.old: refined})
            writer.add_summary(session.run(graph.summaries, {graph.draft: image}), step)
            session.run(graph.refined, {graph.draft: image})
            times.append(time.perf_counter() - begun)
        writer.close()
    return times[1:]


# --- ours ---

def ours(cfg, drafts, *, real, own):
    """Seconds of each step, and the share of a traced step that each kind of op takes."""
    layers.OWN_GRADIENT = own
    tf.reset_default_graph()
    draw = [samplers.Sampler(file, BATCH, crop=CROP, seed=[0, i], augment=True).batch
            for i, file in enumerate((drafts, real))]
    streams = [Stream(draw[0], [SHAPE, SHAPE], name='drafts'),
               Stream(lambda i: draw[1](i)[:1], [SHAPE], name='real')]
    settings = gan.Settings(*[config.pick(cfg, group) for group in gan.GROUPS])
    graph = gan.build(CROP, BITS, settings=settings, intensities=SEEN,
                      inputs=streams[0].tensors + streams[1].tensors)
    buffer = history.History(100 * BATCH, np.random.default_rng(0))
    times, shares = [], []
    with sessions.open_session(1) as session:
        session.run(tf.global_variables_initializer())
        for stream in streams:
            stream.start(session, 0)
        for step in range(2 * STEPS + 1):        # the first warms up, the later half is traced
            traces = [] if step > STEPS else None
            begun = time.perf_counter()
            one_step(cfg, session, graph=graph, buffer=buffer, traces=traces)
            times.append(time.perf_counter() - begun)
            if traces:
                shares.append(shares_of(traces, times[-1]))
    return times[1:STEPS + 1], {name: float(np.median([share[name] for share in shares]))
                                for name in shares[0]}


def one_step(cfg, session, *, graph, buffer, traces):
    """One training step; with `traces`, a list, its RunMetadata are added there."""
    def run(fetches, feed):
        if traces is None:
            return session.run(fetches, feed)
        found = tf.RunMetadata()
        options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        values = session.run(fetches, feed, options, found)
        traces.append(found)
        return values

    for _ in range(cfg.REFINER_UPDATES):
        refined = run([graph.refined, graph.refiner_losses, graph.refiner_update],
                      {graph.label_weight: cfg.LAMBDA_LABEL})[0]
    run([graph.learning_rate, graph.discriminator_losses, graph.discriminator_update],
        {graph.history: buffer.mix(refined)})


# --- where the time goes ---

def shares_of(traces, seconds):
    """Share of a step's seconds that each kind of op takes; dict."""
    found = by_kind(traces)
    found['between the ops (Python, session, tracing)'] = max(seconds - sum(found.values()), 0.0)
    whole = max(seconds, sum(found.values()))
    return {name: part / whole for name, part in found.items()}


def kind(name):
    """What an op is part of, by its name."""
    scopes = name.split('/')
    networks = {'refiner', 'discriminator', 'refiner_1', 'discriminator_1', 'discriminator_2'}
    if not networks & set(scopes):
        return 'losses, data pipeline, updates of the weights'
    if any(scope.startswith(('conv', 'out')) for scope in scopes[:-1]):
        return 'convolutions'
    if any(scope.startswith('bn') for scope in scopes[:-1]):
        return 'batch norm'
    return 'activations, sums, padding, pooling'


def by_kind(traces):
    """Seconds of all traced ops, by kind. Waiting for the data pipeline is no work."""
    seconds = {}
    for trace in traces:
        text = timeline.Timeline(trace.step_stats).generate_chrome_trace_format(show_memory=False)
        for event in json.loads(text)['traceEvents']:
            name = event.get('args', {}).get('name', 'unknown')
            idle = event.get('name') in ('IteratorGetNext', 'unknown')
            if event.get('ph') == 'X' and not idle and name not in ('unknown', '_SOURCE'):
                seconds[kind(name)] = seconds.get(kind(name), 0.0) + event['dur'] * 1e-6
    return seconds


def main():
    cfg = config.load('configs/mpgan.py', ['LABEL_STEEPNESS=0.01', 'LABEL_SMOOTHING=0',
                                            'LABEL_FOREGROUND_SHARE=0'])
    own = layers.OWN_GRADIENT
    with tempfile.TemporaryDirectory() as folder:
        drafts, real = data(folder)
        before = released(cfg, drafts, real=real)
        after, parts = ours(cfg, drafts, real=real, own=own)
    a, b = float(np.median(before)), float(np.median(after))
    print('TensorFlow %s, %d and %d channels, batch %d of %s, one thread' % (
        tf.__version__, cfg.REFINER_CHANNELS, cfg.DISCRIMINATOR_CHANNELS, BATCH, CROP))
    for name, median, times in (('released loop', a, before), ('ours', b, after)):
        print('%-50s %7.2f s a step (%s)' % (name, median,
                                             ', '.join('%.2f' % seconds for seconds in times)))
    for name, share in sorted(parts.items(), key=lambda item: -item[1]):
        print('    %-50s %5.1f %%' % (name, 100 * share))
    outside = 1 - parts['convolutions'] - parts.get('batch norm', 0)
    print('result: ratio=%.3f outside_share=%.4f' % (a / b, outside))


if __name__ == '__main__':
    main()
