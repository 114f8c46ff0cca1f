"""Step 2: train the refiner on drafts and real patches, then refine the drafts.

Reads   data/patches/real.h5                    real patches (prepare_patches.py)
        data/simulated/                         drafts: patches.h5, images/ (1_simulator.py)
Writes  runs/mpgan/  checkpoints/, events/ (TensorBoard), log.csv, preview_NNNNNN.png
        data/refined/  images/0001.tif ...      refined stacks; their labels are the drafts'
        data/refined/patches.h5                 refined training patches: image, label
Run     python 2_mpgan.py                       resumes from the last checkpoint, refines what is missing
        python 2_mpgan.py --config configs/demo/mpgan.py STAGE=train MAX_STEPS=500
"""
import hashlib
import os
import sys
import time

import numpy as np
from tqdm import tqdm

from models import gan, tf
from models.refiner import RADIUS
from utils import config, figures, history, metrics, patches, runs, stacks, tiling

# Constants that may change between runs into one RUN_DIR: how long, how often, where to, on what machine
FREE = ('STAGE', 'REAL_PATCHES', 'DRAFTS', 'RUN_DIR', 'OUTPUT', 'MAX_STEPS', 'LOG_EVERY', 'PREVIEW_EVERY', 'SAVE_EVERY',
        'THREADS', 'TILE_SHAPE')
PREVIEWS = 4                                             # patches in a preview picture


def bits_of(dtype):
    return 8 * np.dtype(dtype).itemsize


def open_patches(cfg):
    """The real patches and the labelled drafts, checked to fit each other."""
    real = patches.PatchFile(cfg.REAL_PATCHES)
    drafts_path = os.path.join(cfg.DRAFTS, 'patches.h5')
    drafts = patches.PatchFile(drafts_path if os.path.exists(drafts_path) or not os.path.isdir(cfg.DRAFTS)
                               else cfg.DRAFTS, with_labels=True)
    if real.dtype != drafts.dtype:
        raise config.UserError('%s is %d bit but %s %d bit: run 1_simulator.py BITS=%d'
                               % (drafts.path, bits_of(drafts.dtype), real.path, bits_of(real.dtype),
                                  bits_of(real.dtype)))
    if 'refine' in cfg.STAGE and os.path.isdir(drafts.path):     # said now, not after hours of training
        raise config.UserError('%s has no patches.h5 of 1_simulator.py: it serves for STAGE=train alone' % drafts.path)
    return real, drafts


def intensities(drafts, bits):
    """Median and standard deviation of the drafts' intensities in [-1, 1]."""
    grey = drafts.image[:: 1 + len(drafts) // 50].astype(np.float32)
    x = (np.sqrt(grey) if bits == 16 else grey) * 2 / 255 - 1
    return float(np.clip(np.median(x), -0.99, 0.99)), float(x.std())


def train(cfg):
    """Train up to MAX_STEPS; goes on from the newest checkpoint."""
    real, drafts = open_patches(cfg)
    real_batches = patches.Sampler(real, cfg.BATCH_SIZE, cfg.CROP_SHAPE, [cfg.SEED, 0])
    draft_batches = patches.Sampler(drafts, cfg.BATCH_SIZE, cfg.CROP_SHAPE, [cfg.SEED, 1])
    bits = bits_of(real.dtype)
    config.claim(cfg.RUN_DIR, dict(vars(cfg), REAL_DIGEST=real.digest, DRAFT_DIGEST=drafts.digest, BITS=bits), FREE,
                 overwrite=runs.newest_checkpoint(cfg.RUN_DIR) is None, cure='give another RUN_DIR, or remove this one')
    tf.reset_default_graph()
    tf.set_random_seed(cfg.SEED)
    graph = gan.build(cfg.CROP_SHAPE, bits, cfg.REFINER_CHANNELS, cfg.DISCRIMINATOR_CHANNELS,
                      cfg.DISCRIMINATOR_ACTIVATION, cfg.LAMBDA_IDENTITY, cfg.LABEL_STEEPNESS, cfg.BACKGROUND_QUANTILE,
                      cfg.LEARNING_RATE, cfg.DECAY_RATE, cfg.DECAY_STEPS, cfg.BETA1,
                      intensities(drafts, bits) if cfg.IDENTITY_START else None)
    inference = gan.build_inference(bits, cfg.REFINER_CHANNELS)
    buffer = history.History(cfg.HISTORY_BATCHES * cfg.BATCH_SIZE, np.random.default_rng([cfg.SEED, 2]))
    columns = list(graph.refiner_losses) + list(graph.discriminator_losses) + ['learning_rate', 'label_weight']

    with runs.Run(cfg.RUN_DIR, columns, cfg.THREADS) as run:
        if run.step:
            buffer.restore(run.history, run.extra)
            print('%s: goes on from step %d' % (cfg.RUN_DIR, run.step))
        elif not os.path.exists(preview_path(cfg, 0)):
            preview(cfg, run, inference, drafts, real)
        first, started, said = run.step, time.time(), time.time()
        for step in tqdm(range(first, cfg.MAX_STEPS), 'training', disable=not sys.stderr.isatty()):
            weight = 0.0 if step < cfg.PRETRAIN_STEPS else cfg.LAMBDA_LABEL
            for k in range(cfg.REFINER_UPDATES):
                image, label = draft_batches.batch(step * cfg.REFINER_UPDATES + k)
                refined, refiner_losses, _ = run.session.run(
                    [graph.refined, graph.refiner_losses, graph.refiner_update],
                    {graph.draft: image, graph.label: label, graph.label_weight: weight})
            rate, discriminator_losses, _ = run.session.run(
                [graph.learning_rate, graph.discriminator_losses, graph.discriminator_update],
                {graph.real: real_batches.batch(step)[0], graph.history: buffer.mix(refined)})
            run.step = step + 1
            if run.step % cfg.LOG_EVERY == 0 or run.step == cfg.MAX_STEPS:
                values = dict(refiner_losses, **discriminator_losses)
                run.log(dict(values, learning_rate=rate, label_weight=weight))
                if time.time() - said > 20 and not sys.stderr.isatty():
                    said = time.time()
                    each = (said - started) / (run.step - first)
                    print('step %d of %d, %.2f s each, %.0f s left' % (run.step, cfg.MAX_STEPS, each,
                                                                     each * (cfg.MAX_STEPS - run.step)))
            if run.step % cfg.PREVIEW_EVERY == 0 or run.step == cfg.MAX_STEPS:
                preview(cfg, run, inference, drafts, real)
            if run.step % cfg.SAVE_EVERY == 0 or run.step == cfg.MAX_STEPS:
                run.check(dict(refiner_losses, **discriminator_losses))
                run.save(*buffer.state())
        if run.step > first:
            print('%s: %d steps, %.3f s each, with pictures and checkpoints' %
                  (cfg.RUN_DIR, run.step - first, (time.time() - started) / (run.step - first)))
        else:
            print('%s: has its %d steps already' % (cfg.RUN_DIR, run.step))


def preview_path(cfg, step):
    return os.path.join(cfg.RUN_DIR, 'preview_%06d.png' % step)


def preview(cfg, run, inference, drafts, real):
    """Draw draft | refined | real for a few fixed patches and say how far the refiner has come."""
    def spread(file):
        return [int(i) for i in np.linspace(0, len(file) - 1, PREVIEWS + 2)[1:-1]]

    draft = np.stack([drafts.image[i] for i in spread(drafts)])
    label = np.stack([drafts.label[i] for i in spread(drafts)])
    target = np.stack([real.image[i] for i in spread(real)])
    refined = np.stack([refine_tile(run.session, inference, image) for image in draft])
    figures.draft_refined_real(preview_path(cfg, run.step), draft, refined, target, label, 'step %d' % run.step)
    tqdm.write('step %d: grey-level distance to the real patches: draft %.0f, refined %.0f; '
               'Dice with the label at the best threshold: draft %.2f, refined %.2f'
               % (run.step, metrics.grey_distance(draft, target), metrics.grey_distance(refined, target),
                  metrics.best_dice(draft, label)[0], metrics.best_dice(refined, label)[0]))


def refine_tile(session, inference, voxels):
    """Refine one array [Z, Y, X] of grey levels; returns its dtype."""
    grey = session.run(inference.refined_grey, {inference.draft: voxels[None, ..., None].astype(np.float32)})
    return np.clip(np.rint(grey[0, ..., 0]), 0, np.iinfo(voxels.dtype).max).astype(voxels.dtype)


def refine(cfg):
    """Refine every draft stack with the newest checkpoint, then cut the refined training patches."""
    checkpoint = runs.newest_checkpoint(cfg.RUN_DIR)
    if checkpoint is None:
        raise config.UserError('%s has no checkpoint: train first (STAGE=train)' % cfg.RUN_DIR)
    pairs = stacks.pair_by_name(os.path.join(cfg.DRAFTS, 'images'), os.path.join(cfg.DRAFTS, 'labels'))
    trained = config.read_json(os.path.join(cfg.RUN_DIR, 'config.json'))
    if trained['REFINER_CHANNELS'] != cfg.REFINER_CHANNELS:
        raise config.UserError('%s was trained with REFINER_CHANNELS=%d, not %d: give that, or another RUN_DIR'
                               % (cfg.RUN_DIR, trained['REFINER_CHANNELS'], cfg.REFINER_CHANNELS))
    first = stacks.read(pairs[0][0])
    bits = bits_of(first.voxels.dtype)
    if trained['BITS'] != bits:
        raise config.UserError('%s was trained on %d-bit stacks, %s is %d bit: refine stacks of its kind'
                               % (cfg.RUN_DIR, trained['BITS'], first.path, bits))
    tf.reset_default_graph()
    inference = gan.build_inference(bits, cfg.REFINER_CHANNELS)
    saver = tf.train.Saver(gan.inference_variables())
    record_path = os.path.join(cfg.OUTPUT, 'made_from.json')
    record = config.read_json(record_path) if os.path.exists(record_path) else {}
    images_dir = os.path.join(cfg.OUTPUT, 'images')
    done = 0
    with runs.open_session(cfg.THREADS) as session:
        runs.restore(session, saver, checkpoint)
        weights = hashlib.sha1()
        for values in session.run(gan.inference_variables()):
            weights.update(values.tobytes())
        for image_path, _ in tqdm(pairs, 'stacks', disable=not sys.stderr.isatty()):
            name = stacks.name_of(image_path)
            status = os.stat(image_path)
            key = '%s %d %d' % (weights.hexdigest(), status.st_size, status.st_mtime_ns)
            target = os.path.join(images_dir, name + '.tif')
            if record.get(name) == key and os.path.exists(target):
                continue
            stack = stacks.read(image_path)
            if stack.voxels.dtype != first.voxels.dtype:
                raise config.UserError('%s is %s and %s %s: refine each kind apart'
                                       % (image_path, stack.voxels.dtype, first.path, first.voxels.dtype))
            started = time.time()
            refined = tiling.apply(lambda tile: refine_tile(session, inference, tile), stack.voxels, cfg.TILE_SHAPE,
                                   RADIUS)
            stacks.write(target, refined, stack.voxel_size)
            record[name] = key
            config.write_json(record_path, record)
            tqdm.write('%s: refined in %.1f s' % (target, time.time() - started))
            done += 1
    count = cut_refined(cfg, images_dir, {stacks.name_of(image) for image, _ in pairs})
    print('%s: %d stacks (%d new) by step %d, %d patches'
          % (cfg.OUTPUT, len(pairs), done, runs.step_of(checkpoint), count))


def cut_refined(cfg, images_dir, names):
    """Cut the refined patches where the drafts' were cut; returns their number."""
    drafts = patches.PatchFile(os.path.join(cfg.DRAFTS, 'patches.h5'), with_labels=True)
    unknown = sorted(set(drafts.source) - names)
    if unknown:
        raise config.UserError('%s has patches of stacks that %s lacks (%s): run 1_simulator.py again'
                               % (drafts.path, cfg.DRAFTS, ', '.join(unknown[:5])))
    images = np.empty((len(drafts),) + drafts.shape, drafts.dtype)
    source = np.array(drafts.source)
    for name in sorted(set(drafts.source)):
        voxels = stacks.read(os.path.join(images_dir, name + '.tif')).voxels
        draft = stacks.read(os.path.join(cfg.DRAFTS, 'images', name + '.tif')).voxels
        for i in np.flatnonzero(source == name):
            if (patches.cut(draft, drafts.origin[i], drafts.shape) != drafts.image[i]).any():
                raise config.UserError('%s was not cut from %s/images/%s.tif: run 1_simulator.py again'
                                       % (drafts.path, cfg.DRAFTS, name))
            images[i] = patches.cut(voxels, drafts.origin[i], drafts.shape)
    patches.write(os.path.join(cfg.OUTPUT, 'patches.h5'), images, drafts.origin, drafts.source, drafts.label[:],
                  voxel_size=drafts.voxel_size)
    return len(images)


def main():
    cfg = config.load('configs/mpgan.py', sys.argv[1:], __doc__)
    if cfg.STAGE not in ('train', 'refine', 'train+refine'):
        raise config.UserError('STAGE=%s: want train, refine or train+refine' % cfg.STAGE)
    config.require(cfg, BACKGROUND_QUANTILE=(0.5, 0.9999), TILE_SHAPE=(2, None), SEED=(0, None), **{
        name: (1, None) for name in ('BATCH_SIZE', 'REFINER_UPDATES', 'LOG_EVERY', 'PREVIEW_EVERY', 'SAVE_EVERY',
                                     'HISTORY_BATCHES', 'DECAY_STEPS', 'MAX_STEPS', 'CROP_SHAPE')})
    if 'train' in cfg.STAGE:
        train(cfg)
    if 'refine' in cfg.STAGE:
        refine(cfg)


if __name__ == '__main__':
    config.run(main)
