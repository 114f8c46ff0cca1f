"""One training step (4 refiner updates, 1 discriminator update): ours against the released loop of METHOD.md, and where ours
spends its time.

The released loop, transcribed: a forward pass of its own for the thresholds, which are sorted in full by NumPy over the whole
batch; TensorFlow's own convolution gradients and each batch's moments; 32 image summaries and three more forward passes a
step. Ours is what 2_mpgan.py runs, with its data pipeline, augmentation and history. Equal networks and batch, one process,
one thread. The fused kernel normalises the batch for both (the released code has a slower one), so the ratio is no flattery.

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

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from models import gan, layers, losses, tf                # noqa: E402
from models.discriminator import discriminator            # noqa: E402
from models.refiner import refiner                        # noqa: E402
from utils.common import config          # noqa: E402
from utils.data import patches          # noqa: E402
from utils.train import history, samplers, sessions, streams  # noqa: E402
from tensorflow.python.client import timeline             # noqa: E402

CROP, BATCH, BITS = (16, 32, 32), 2, 16                   # the paper's networks on small crops, so that it ends in minutes
STEPS = 3                                                 # timed; one more warms up


def data(folder):
    """Patch files of labelled drafts and real patches."""
    rng = np.random.default_rng(0)
    labels = np.zeros((24, 32, 64, 64), np.uint8)
    labels[:, 14:18, :, 30:34] = 1
    images = (rng.normal(400, 40, labels.shape) + 500 * labels).clip(0).astype(np.uint16)
    for name, label in (('drafts', labels), ('real', None)):
        patches.write(os.path.join(folder, name), images, origins=np.zeros((24, 3)), sources=['s'] * 24, labels=label)
    return [patches.PatchFile(os.path.join(folder, name), name == 'drafts') for name in ('drafts', 'real')]


def released(cfg, drafts, *, real):
    """Seconds of each step of the released loop."""
    layers.OWN_GRADIENT = False
    tf.reset_default_graph()
    shape = [None] + list(CROP) + [1]
    draft, label, target, old = [tf.placeholder(tf.float32, shape) for _ in range(4)]
    draft_cut, refined_cut = [tf.placeholder(tf.float32, [1, 1, 1, 1, 1]) for _ in range(2)]
    updates = []
    x = losses.to_network(draft, BITS)
    refined = refiner(x, cfg.REFINER_CHANNELS, training=True, updates=updates)
    grey = losses.to_grey(refined, BITS)

    def score(values):
        return discriminator(values, cfg.DISCRIMINATOR_CHANNELS, activation=False)

    total = losses.refiner_adversarial_loss(score(refined)) + cfg.LAMBDA_IDENTITY * losses.identity_loss(x, refined) \
        + cfg.LAMBDA_LABEL * losses.label_loss(draft, grey, draft_cut=draft_cut, refined_cut=refined_cut, steepness=0.1)
    d_total = losses.discriminator_loss(score(losses.to_network(target, BITS)), score(old))
    with tf.control_dependencies(updates):
        r_step = tf.train.AdamOptimizer(1e-4, 0.5).minimize(total, var_list=tf.trainable_variables('refiner/'))
    d_step = tf.train.AdamOptimizer(1e-4, 0.5).minimize(d_total, var_list=tf.trainable_variables('discriminator/'))
    summaries = tf.summary.merge([tf.summary.image('slice%d' % z, refined[:, z % CROP[0]], 1) for z in range(32)])
    rng = np.random.default_rng(0)

    def batch(file):
        chosen = rng.integers(len(file), size=BATCH)
        box = tuple(slice(0, c) for c in CROP)
        return [np.stack([a[i][box] for i in chosen])[..., None].astype(np.float32)
                for a in (file.image, file.label) if a is not None]

    def cut(values, labels):
        background = np.sort(values[labels == 0])
        return np.reshape(background[int(0.95 * len(background))], [1, 1, 1, 1, 1])

    with tempfile.TemporaryDirectory() as folder, sessions.open_session(1) as session:
        session.run(tf.global_variables_initializer())
        writer = tf.summary.FileWriter(folder)
        times = []
        for step in range(STEPS + 1):
            begun = time.perf_counter()
            for _ in range(cfg.REFINER_UPDATES):
                image, labels = batch(drafts)
                now = session.run(grey, {draft: image})
                session.run([r_step, total], {draft: image, label: labels, draft_cut: cut(image, labels),
                                              refined_cut: cut(now, labels)})
            session.run([d_step, d_total], {target: batch(real)[0], old: session.run(refined, {draft: image})})
            writer.add_summary(session.run(summaries, {draft: image}), step)
            session.run(refined, {draft: image})
            times.append(time.perf_counter() - begun)
        writer.close()
    return times[1:]


def ours(cfg, drafts, *, real, own):
    """Seconds of each step, and the share of a traced step that each kind of op takes."""
    layers.OWN_GRADIENT = own
    tf.reset_default_graph()
    shape = [None] + list(CROP) + [1]
    draw = [samplers.Sampler(file, BATCH, crop=CROP, seed=[0, i], augment=True).batch for i, file in enumerate((drafts, real))]
    pipelines = [streams.Stream(draw[0], [shape, shape], name='drafts'), streams.Stream(lambda i: draw[1](i)[:1], [shape], name='real')]
    graph = gan.build(CROP, BITS, refiner_channels=cfg.REFINER_CHANNELS, discriminator_channels=cfg.DISCRIMINATOR_CHANNELS, activation=cfg.DISCRIMINATOR_ACTIVATION,
                      lambda_identity=cfg.LAMBDA_IDENTITY, steepness=0.01, background_quantile=cfg.BACKGROUND_QUANTILE, learning_rate=cfg.LEARNING_RATE, decay_rate=cfg.DECAY_RATE,
                      decay_steps=cfg.DECAY_STEPS, beta1=cfg.BETA1, start=(-1.4, 0.3), frozen=cfg.FROZEN_MOMENTS, domain=(-1.4, 0.3), target=(-0.8, 0.1),
                      sees_level=cfg.DISCRIMINATOR_SEES_LEVEL, average_decay=cfg.AVERAGE_DECAY, discriminator_rate=None, inputs=pipelines[0].tensors + pipelines[1].tensors)
    buffer = history.History(100 * BATCH, np.random.default_rng(0))
    traces = []

    def run(session, fetches, feed, traced):
        if not traced:
            return session.run(fetches, feed)
        found = tf.RunMetadata()
        values = session.run(fetches, feed, tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), found)
        traces.append(found)
        return values

    with sessions.open_session(1) as session:
        session.run(tf.global_variables_initializer())
        for stream in pipelines:
            stream.start(session, 0)
        times = []
        shares = []
        for step in range(2 * STEPS + 1):                 # the first warms up, the later half is traced
            del traces[:]
            begun = time.perf_counter()
            for _ in range(cfg.REFINER_UPDATES):
                refined = run(session, [graph.refined, graph.refiner_losses, graph.refiner_update],
                              {graph.label_weight: cfg.LAMBDA_LABEL}, step > STEPS)[0]
            run(session, [graph.learning_rate, graph.discriminator_losses, graph.discriminator_update],
                {graph.history: buffer.mix(refined)}, step > STEPS)
            times.append(time.perf_counter() - begun)
            if traces:
                found = by_kind(traces)
                found['between the ops (Python, session, tracing)'] = max(times[-1] - sum(found.values()), 0.0)
                shares.append({name: seconds / max(times[-1], sum(found.values())) for name, seconds in found.items()})
    return times[1:STEPS + 1], {name: float(np.median([share[name] for share in shares])) for name in shares[0]}


def kind(name):
    """What an op is part of, by its name."""
    scopes = name.split('/')
    if not {'refiner', 'discriminator', 'refiner_1', 'discriminator_1', 'discriminator_2'} & set(scopes):
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
        events = json.loads(timeline.Timeline(trace.step_stats).generate_chrome_trace_format(show_memory=False))['traceEvents']
        for event in events:
            if event.get('ph') == 'X' and 'args' in event and 'name' in event['args'] and 'IteratorGetNext' != event['name']:
                name = event['args']['name']
                if name in ('unknown', '_SOURCE') or event['name'] == 'unknown':
                    continue
                seconds[kind(name)] = seconds.get(kind(name), 0.0) + event['dur'] * 1e-6
    return seconds


def main():
    cfg = config.load('configs/mpgan.py', [])
    own = layers.OWN_GRADIENT
    with tempfile.TemporaryDirectory() as folder:
        drafts, real = data(folder)
        before = released(cfg, drafts, real=real)
        after, parts = ours(cfg, drafts, real=real, own=own)
    a, b = float(np.median(before)), float(np.median(after))
    print('TensorFlow %s, %d and %d channels, batch %d of %s, one thread' % (
        tf.__version__, cfg.REFINER_CHANNELS, cfg.DISCRIMINATOR_CHANNELS, BATCH, CROP))
    print('%-50s %7.2f s a step (%s)' % ('released loop', a, ', '.join('%.2f' % t for t in before)))
    print('%-50s %7.2f s a step (%s)' % ('ours', b, ', '.join('%.2f' % t for t in after)))
    for name, share in sorted(parts.items(), key=lambda item: -item[1]):
        print('    %-50s %5.1f %%' % (name, 100 * share))
    outside = 1 - parts['convolutions'] - parts.get('batch norm', 0)
    print('result: ratio=%.3f outside_share=%.4f' % (a / b, outside))


if __name__ == '__main__':
    main()
