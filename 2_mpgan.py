"""Step 2: train the refiner on drafts and real patches, then refine the drafts.

Reads   data/patches/real.h5                    real patches (prepare_patches.py)
        data/simulated/                         drafts: patches.h5, images/ (1_simulator.py)
Writes  runs/mpgan/  checkpoints/, best.json, evaluation.json, events/ (TensorBoard), log.csv, curves.png,
                    preview_NNNNNN.png
        data/refined/  images/0001.tif ...      refined stacks; their labels are the drafts'
        data/refined/patches.h5                 refined training patches: image, label
Run     python 2_mpgan.py                       resumes from the last checkpoint, refines what is missing
        python 2_mpgan.py STAGE=refine INPUT=folder OUTPUT=folder      refines any stacks
        python 2_mpgan.py STAGE=pack OUTPUT=models/pretrained/x        the weights alone, to keep or hand on
        python 2_mpgan.py --config configs/demo/mpgan.py STAGE=train MAX_STEPS=500
        horovodrun -np 4 python 2_mpgan.py STAGE=train             on four GPUs (requirements-distributed.txt)
"""
import hashlib
import os
import sys
import time

import numpy as np
from tqdm import tqdm

from models import gan, tf
from models.refiner import LIMIT, RADIUS
from utils.common import claims, config, errors, files, tiling
from utils.common.errors import UserError
from utils.data import patches, stacks
from utils.draw import training
from utils.score import realism
from utils.train import checkpoints, history, loop, processes, runs, samplers, sessions, streams

# Constants that may change between runs into one RUN_DIR: how long, how often, where to, on what machine
MAY_CHANGE = ('STAGE', 'REAL_PATCHES', 'DRAFTS', 'RUN_DIR', 'INPUT', 'OUTPUT', 'MAX_STEPS', 'LOG_EVERY', 'PREVIEW_EVERY', 'SAVE_EVERY',
        'THREADS', 'TILE_SHAPE', 'EVALUATE_EVERY', 'CHECKPOINT', 'XLA')
FORMAT = 2                                               # of runs: raised where an older one cannot go on
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
        raise UserError('%s is %d bit but %s %d bit: run 1_simulator.py BITS=%d'
                               % (drafts.path, bits_of(drafts.dtype), real.path, bits_of(real.dtype),
                                  bits_of(real.dtype)))
    if 'refine' in cfg.STAGE and os.path.isdir(drafts.path):     # said now, not after hours of training
        raise UserError('%s has no patches.h5 of 1_simulator.py: it serves for STAGE=train alone' % drafts.path)
    return real, drafts


def intensities(file, bits, *, unbounded=False):
    """Median and standard deviation of a patch file's intensities in [-1, 1], or of their atanh."""
    grey = file.image[:: 1 + len(file) // 50].astype(np.float32)
    x = (np.sqrt(grey) if bits == 16 else grey) * 2 / 255 - 1
    x = np.arctanh(np.clip(x, -LIMIT, LIMIT)) if unbounded else np.clip(x, -0.99, 0.99)
    return float(np.median(x)), float(max(x.std(), 1e-3))


def steepness(cfg, drafts):
    """K of the label loss, per grey level; 'auto': 4 over the drafts' contrast, foreground minus background."""
    if cfg.LABEL_STEEPNESS != 'auto':
        return float(cfg.LABEL_STEEPNESS)
    some = slice(None, None, 1 + len(drafts) // 50)
    if not drafts.label[some].any():
        raise UserError('%s: no patch of a sample has a label voxel: make it anew' % drafts.path)
    grey, label = drafts.image[some].astype(np.float32), drafts.label[some] > 0
    return float(4 / max(grey[label].mean() - grey[~label].mean(), 1.0))


def calibration(cfg, drafts):
    """Draft crops of about a million voxels, to measure the refiner's moments on; the same for any batch size."""
    count = max(1, 2 ** 20 // int(np.prod(cfg.CROP_SHAPE)))
    return samplers.Sampler(drafts, count, crop=cfg.CROP_SHAPE, seed=[cfg.SEED, 1], augment=cfg.AUGMENT).batch(0)[0]


def train(cfg, ranks):
    """Train up to MAX_STEPS; goes on from the newest checkpoint."""
    real, drafts = open_patches(cfg)
    real_batches, draft_batches = [
        samplers.Sampler(file, cfg.BATCH_SIZE, crop=cfg.CROP_SHAPE, seed=[cfg.SEED, i], augment=cfg.AUGMENT, rank=ranks.rank, ranks=ranks.size)
        for i, file in enumerate((real, drafts))]
    bits = bits_of(real.dtype)
    if ranks.rank == 0:
        claims.claim(cfg.RUN_DIR, dict(
            vars(cfg), REAL_DIGEST=real.digest, DRAFT_DIGEST=drafts.digest, BITS=bits, FORMAT=FORMAT), may_change=MAY_CHANGE,
                     overwrite=checkpoints.newest(cfg.RUN_DIR) is None, cure='give another RUN_DIR, or remove this one')
    tf.reset_default_graph()
    tf.set_random_seed(cfg.SEED)
    shape = [None] + list(cfg.CROP_SHAPE) + [1]
    draft_stream = streams.Stream(draft_batches.batch, [shape, shape], name=drafts.path)
    real_stream = streams.Stream(lambda i: real_batches.batch(i)[:1], [shape], name=real.path)
    graph = gan.build(cfg.CROP_SHAPE, bits, refiner_channels=cfg.REFINER_CHANNELS, discriminator_channels=cfg.DISCRIMINATOR_CHANNELS,
                      activation=cfg.DISCRIMINATOR_ACTIVATION, lambda_identity=cfg.LAMBDA_IDENTITY, steepness=steepness(cfg, drafts), background_quantile=cfg.BACKGROUND_QUANTILE,
                      learning_rate=cfg.LEARNING_RATE, decay_rate=cfg.DECAY_RATE, decay_steps=cfg.DECAY_STEPS, beta1=cfg.BETA1,
                      start=intensities(drafts, bits) if cfg.IDENTITY_START else None, frozen=cfg.FROZEN_MOMENTS,
                      domain=intensities(drafts, bits, unbounded=True) if cfg.STANDARDISE else None,
                      target=intensities(real, bits) if cfg.STANDARDISE else None, sees_level=cfg.DISCRIMINATOR_SEES_LEVEL, average_decay=cfg.AVERAGE_DECAY,
                      discriminator_rate=cfg.DISCRIMINATOR_RATE or None, inputs=draft_stream.tensors + real_stream.tensors,
                      wrap=processes.wrapper(ranks, cfg.MIXED_PRECISION))
    inference = gan.build_inference(bits, cfg.REFINER_CHANNELS, standardised=cfg.STANDARDISE)
    buffer = history.History(cfg.HISTORY_BATCHES * cfg.BATCH_SIZE, np.random.default_rng([cfg.SEED, 2, ranks.rank]))
    columns = list(graph.refiner_losses) + list(graph.discriminator_losses) + ['learning_rate', 'label_weight']
    columns += realism.COLUMNS
    judge = open_judge(cfg, drafts, real=real) if ranks.rank == 0 else None

    with runs.Run(cfg.RUN_DIR, columns, threads=cfg.THREADS, ranks=ranks, xla=cfg.XLA) as run, loop.Stop(ranks.size == 1) as stop:
        run.may_overflow = ('_gradient',) if cfg.MIXED_PRECISION else ()      # its loss scale is raised until they overflow
        if run.step:
            buffer.restore(*history.share(run.history, run.extra, rank=ranks.rank, size=ranks.size))
            run.history = None
            if run.first:
                print('%s: goes on from step %d' % (cfg.RUN_DIR, run.step))
        else:
            if run.first:
                run.session.run(graph.calibrate, {graph.draft: calibration(cfg, drafts)})
                run.session.run(graph.start_average)
            run.share_weights()
        if run.first and not run.step and not os.path.exists(preview_path(cfg, 0)):
            preview(cfg, run, inference=inference, drafts=drafts, real=real)
        run.start(draft_stream, run.step * cfg.REFINER_UPDATES)
        run.start(real_stream, run.step)
        first, started, said = run.step, time.time(), time.time()
        for step in tqdm(range(first, cfg.MAX_STEPS), 'training', disable=not (run.first and sys.stderr.isatty())):
            weight = 0.0 if step < cfg.PRETRAIN_STEPS else cfg.LAMBDA_LABEL
            for k in range(cfg.REFINER_UPDATES):
                refined, refiner_losses, _ = run.update(
                    [graph.refined, graph.refiner_losses, graph.refiner_update], {graph.label_weight: weight})
            rate, discriminator_losses, _ = run.update(
                [graph.learning_rate, graph.discriminator_losses, graph.discriminator_update],
                {graph.history: buffer.mix(refined)})
            run.step = step + 1
            last, stopping = run.step == cfg.MAX_STEPS, stop.asked          # asked for later: after the next step
            to_evaluate = run.step % cfg.EVALUATE_EVERY == 0 or last
            to_save, best = run.step % cfg.SAVE_EVERY == 0 or last or stopping, False
            if run.first:
                values = dict(refiner_losses, **discriminator_losses)
                if to_evaluate or to_save:
                    run.check(values)                    # what is not finite is never saved
                if to_evaluate:
                    scores = evaluate(run, inference, judge=judge)
                    values.update(scores)
                    best = judge.keeps_labels(scores) and (run.best is None or scores['gap'] < run.best['score'])
                if run.step % cfg.LOG_EVERY == 0 or to_evaluate:
                    run.log(dict(values, learning_rate=rate, label_weight=weight))
                    if time.time() - said > 20 and not sys.stderr.isatty():
                        said = time.time()
                        each = (said - started) / (run.step - first)
                        print('step %d of %d, %.2f s each, %.0f s left' % (run.step, cfg.MAX_STEPS, each,
                                                                         each * (cfg.MAX_STEPS - run.step)))
                if to_evaluate:
                    training.curves(os.path.join(cfg.RUN_DIR, 'curves.png'),
                                   training.read_log(os.path.join(cfg.RUN_DIR, 'log.csv')),
                                   judge={'draft': judge.draft, 'floor': judge.floor})
                if run.step % cfg.PREVIEW_EVERY == 0 or last:
                    preview(cfg, run, inference=inference, drafts=drafts, real=real)
            if to_save or (to_evaluate and run.gather(best)[0]):            # the first process tells all whether to save
                states = run.gather(buffer.state())
                if best:
                    patches_, extra = history.join(states)
                    run.save_best(scores['gap'], history=patches_, extra=extra)
                elif run.first:
                    patches_, extra = history.join(states)
                    run.save(history=patches_, extra=extra)
            if stopping:
                raise KeyboardInterrupt('%s: stopped after step %d, which is saved: run the same command again to go on'
                                        % (cfg.RUN_DIR, run.step))
        if not run.first:
            return
        if run.step > first:
            print('%s: %d steps, %.3f s each, with pictures and checkpoints%s' %
                  (cfg.RUN_DIR, run.step - first, (time.time() - started) / (run.step - first),
                   ', %d processes' % ranks.size if ranks.size > 1 else ''))
        else:
            print('%s: has its %d steps already' % (cfg.RUN_DIR, run.step))


def open_judge(cfg, drafts, *, real):
    """The evaluation set, the same in every run: drafts, and two disjoint sets of real patches; saved as figures need it."""
    rng = np.random.default_rng(0)
    some, others = rng.permutation(len(real))[:2 * cfg.EVALUATION_PATCHES], rng.permutation(len(drafts))
    if len(some) < 2:
        raise UserError('%s has one patch only: evaluation needs two or more' % real.path)
    others = others[:cfg.EVALUATION_PATCHES]
    box = tuple(slice(min(a, b)) for a, b in zip(real.shape, drafts.shape))         # spectra want one shape
    target, image, label = [np.stack([file[i][box] for i in chosen]) for file, chosen in
                            ((real.image, some), (drafts.image, others), (drafts.label, others))]
    if not label.any():
        raise UserError('%s: no patch of the evaluation set has a label voxel: make it anew' % drafts.path)
    judge = realism.Judge(image, label, real=target[:len(some) // 2], more_real=target[len(some) // 2:])
    files.write_json(os.path.join(cfg.RUN_DIR, 'evaluation.json'),
                      {'draft': judge.draft, 'floor': judge.floor, 'label_steepness': steepness(cfg, drafts)})
    return judge


def evaluate(run, inference, *, judge):
    """Refine the evaluation set, score it, and say how it is; returns the scores."""
    scores = judge.score(np.stack([refine_tile(run.session, inference, voxels=image) for image in judge.drafts]))
    tqdm.write('step %d: gap to real patches %.2f (drafts %.2f), Dice %.3f (%.3f), clDice %.3f (%.3f), moved %.3g grey levels'
               % (run.step, scores['gap'], judge.draft['gap'], scores['dice'], judge.draft['dice'], scores['cldice'],
                  judge.draft['cldice'], scores['moved']))
    wrong = realism.verdict(scores, judge.draft, spread=judge.spread)
    if wrong:
        tqdm.write('step %d: warning: %s; %s' % (run.step, wrong, 'the best checkpoint, of step %d, is kept' % run.best['step']
                                                 if run.best else 'there is no best checkpoint yet'))
    return scores


def preview_path(cfg, step):
    return os.path.join(cfg.RUN_DIR, 'preview_%06d.png' % step)


def preview(cfg, run, *, inference, drafts, real):
    """Draw draft | refined | real for a few fixed patches."""
    def spread(file):
        return [int(i) for i in np.linspace(0, len(file) - 1, PREVIEWS + 2)[1:-1]]

    draft = np.stack([drafts.image[i] for i in spread(drafts)])
    label = np.stack([drafts.label[i] for i in spread(drafts)])
    target = np.stack([real.image[i] for i in spread(real)])
    refined = np.stack([refine_tile(run.session, inference, voxels=image) for image in draft])
    training.draft_refined_real(preview_path(cfg, run.step), draft, refined=refined, real=target, labels=label, title='step %d' % run.step)


def refine_tile(session, inference, *, voxels, shed=((0, 0), (0, 0), (0, 0))):
    """Refine one array [Z, Y, X] of grey levels; returns its dtype, without the sides that are shed (tiling.apply)."""
    grey = session.run(inference.refined_grey, {inference.draft: voxels[None, ..., None].astype(np.float32),
                                                inference.shed: shed})
    return np.clip(np.rint(grey[0, ..., 0]), 0, np.iinfo(voxels.dtype).max).astype(voxels.dtype)


def open_refiner(cfg):
    """The trained refiner's graph: (inference, saver, checkpoint, settings that it was trained with).

    Raises:
        UserError: no checkpoint, or one of another width.
    """
    checkpoint = checkpoints.newest(cfg.RUN_DIR)
    if checkpoint is None:
        raise UserError('%s has no checkpoint: train first (STAGE=train)' % cfg.RUN_DIR)
    if cfg.CHECKPOINT == 'best':
        best = checkpoints.best(cfg.RUN_DIR)
        if best is None and not checkpoints.is_packed(cfg.RUN_DIR):
            print('%s: no evaluation has kept the labels: the newest checkpoint refines' % cfg.RUN_DIR)
        checkpoint = best or checkpoint
    trained = files.read_json(os.path.join(cfg.RUN_DIR, 'config.json'))
    if 'REFINER_CHANNELS' not in trained:
        raise UserError('%s is no run of 2_mpgan.py: give another RUN_DIR' % cfg.RUN_DIR)
    if trained['REFINER_CHANNELS'] != cfg.REFINER_CHANNELS and not checkpoints.is_packed(cfg.RUN_DIR):
        raise UserError('%s was trained with REFINER_CHANNELS=%d, not %d: give that, or another RUN_DIR'
                               % (cfg.RUN_DIR, trained['REFINER_CHANNELS'], cfg.REFINER_CHANNELS))
    tf.reset_default_graph()
    inference = gan.build_inference(trained['BITS'], trained['REFINER_CHANNELS'], standardised=trained.get('STANDARDISE', False))
    return inference, tf.train.Saver(gan.inference_variables()), checkpoint, trained


def pack(cfg):
    """Write the weights that refine, and their settings, into OUTPUT: a RUN_DIR for refining, a tenth as large."""
    if cfg.OUTPUT == config.read_constants(config.rooted('configs/mpgan.py'))['OUTPUT']:
        raise UserError('STAGE=pack: give an OUTPUT of its own with it, such as models/pretrained/refiner')
    _, saver, checkpoint, trained = open_refiner(cfg)
    with sessions.open_session(cfg.THREADS) as session:
        sessions.restore(session, saver, checkpoint=checkpoint)
        path = checkpoints.pack(cfg.OUTPUT, step=checkpoints.step_of(checkpoint), session=session, saver=saver,
                                settings=trained, may_change=MAY_CHANGE)
    print('%s: weights of step %d of %s' % (path, checkpoints.step_of(checkpoint), cfg.RUN_DIR))


def refine(cfg):
    """Refine every draft stack with the best checkpoint, then cut the refined training patches."""
    inference, saver, checkpoint, trained = open_refiner(cfg)
    bits = trained['BITS']
    if cfg.INPUT:
        paths = stacks.find(cfg.INPUT)
    else:
        paths = [image for image, _ in stacks.pair_by_name(os.path.join(cfg.DRAFTS, 'images'),
                                                           os.path.join(cfg.DRAFTS, 'labels'))]
    record_path = os.path.join(cfg.OUTPUT, 'made_from.json')
    record = files.read_json(record_path) if os.path.exists(record_path) else {}
    images_dir = os.path.join(cfg.OUTPUT, 'images')
    done, bad = 0, []
    for path in paths:
        if os.path.realpath(path) == os.path.realpath(os.path.join(images_dir, stacks.name_of(path) + '.tif')):
            raise UserError('%s would be overwritten: give another OUTPUT' % path)
    with sessions.open_session(cfg.THREADS) as session:
        sessions.restore(session, saver, checkpoint=checkpoint)
        weights = hashlib.sha1()
        for values in session.run(gan.inference_variables()):
            weights.update(values.tobytes())
        for image_path in paths:
            name = stacks.name_of(image_path)
            status = os.stat(image_path)
            key = '%s %d %d' % (weights.hexdigest(), status.st_size, status.st_mtime_ns)
            target = os.path.join(images_dir, name + '.tif')
            if record.get(name) == key and os.path.exists(target):
                continue
            try:
                stack = stacks.read(image_path, (2, 2, 2))
                if bits_of(stack.voxels.dtype) != bits:
                    raise UserError('%s is %d bit, %s was trained on %d: refine stacks of its kind'
                                           % (image_path, bits_of(stack.voxels.dtype), cfg.RUN_DIR, bits))
            except UserError as error:
                if not cfg.INPUT:
                    raise
                print('error: %s' % error, file=sys.stderr)          # the other stacks are still worth doing
                bad.append(image_path)
                continue
            started = time.time()
            refined = tiling.apply(lambda tile, shed: refine_tile(session, inference, voxels=tile, shed=shed), stack.voxels,
                                   tile=cfg.TILE_SHAPE, halo=RADIUS, crops=True, progress=lambda tiles: tqdm(
                                       tiles, name, leave=False, disable=not sys.stderr.isatty()))
            stacks.write(target, refined, voxel_size=stack.voxel_size, notes=stack.notes)
            record[name] = key
            files.write_json(record_path, record)
            tqdm.write('%s: refined in %.1f s' % (target, time.time() - started))
            done += 1
    said = '%s: %d stacks (%d new) by step %d' % (cfg.OUTPUT, len(paths), done, checkpoints.step_of(checkpoint))
    if not cfg.INPUT:
        said += ', %d patches' % cut_refined(cfg, images_dir, names={stacks.name_of(path) for path in paths})
    print(said)
    if bad:
        return 'error: %d of %d stacks were left out: %s' % (len(bad), len(paths), ', '.join(bad[:5]))


def cut_refined(cfg, images_dir, *, names):
    """Cut the refined patches where the drafts' were cut; returns their number."""
    drafts = patches.PatchFile(os.path.join(cfg.DRAFTS, 'patches.h5'), with_labels=True)
    unknown = sorted(set(drafts.source) - names)
    if unknown:
        raise UserError('%s has patches of stacks that %s lacks (%s): run 1_simulator.py again'
                               % (drafts.path, cfg.DRAFTS, ', '.join(unknown[:5])))
    images = np.empty((len(drafts),) + drafts.shape, drafts.dtype)
    source = np.array(drafts.source)
    for name in sorted(set(drafts.source)):
        voxels = stacks.read(os.path.join(images_dir, name + '.tif')).voxels
        draft = stacks.read(os.path.join(cfg.DRAFTS, 'images', name + '.tif')).voxels
        for i in np.flatnonzero(source == name):
            if (patches.cut(draft, drafts.origin[i], window=drafts.shape) != drafts.image[i]).any():
                raise UserError('%s was not cut from %s/images/%s.tif: run 1_simulator.py again'
                                       % (drafts.path, cfg.DRAFTS, name))
            images[i] = patches.cut(voxels, drafts.origin[i], window=drafts.shape)
    patches.write(os.path.join(cfg.OUTPUT, 'patches.h5'), images, origins=drafts.origin, sources=drafts.source, labels=drafts.label[:],
                  voxel_size=drafts.voxel_size)
    return len(images)


def main():
    cfg = config.load('configs/mpgan.py', sys.argv[1:], description=__doc__)
    if cfg.STAGE not in ('train', 'refine', 'train+refine', 'pack'):
        raise UserError('STAGE=%s: want train, refine, train+refine or pack' % cfg.STAGE)
    if cfg.INPUT and cfg.OUTPUT == config.read_constants(config.rooted('configs/mpgan.py'))['OUTPUT']:
        raise UserError('INPUT=%s: give an OUTPUT of its own with it; %s is for refined drafts' % (cfg.INPUT, cfg.OUTPUT))
    if cfg.INPUT and cfg.STAGE != 'refine':
        raise UserError('INPUT=%s: give STAGE=refine with it' % cfg.INPUT)
    if cfg.CHECKPOINT not in ('best', 'newest'):
        raise UserError('CHECKPOINT=%s: want best or newest' % cfg.CHECKPOINT)
    if cfg.LABEL_STEEPNESS != 'auto' and not (
            isinstance(cfg.LABEL_STEEPNESS, (int, float)) and cfg.LABEL_STEEPNESS > 0):
        raise UserError("LABEL_STEEPNESS=%s: want a number above 0, or 'auto'" % (cfg.LABEL_STEEPNESS,))
    config.require(cfg, LEARNING_RATE=(0, 1), DISCRIMINATOR_RATE=(0, 1), AVERAGE_DECAY=(0, 0.99999),
                   BACKGROUND_QUANTILE=(0.5, 0.9999), TILE_SHAPE=(2, None), SEED=(0, None), **{
        name: (1, None) for name in ('BATCH_SIZE', 'REFINER_UPDATES', 'LOG_EVERY', 'PREVIEW_EVERY', 'SAVE_EVERY',
                                     'EVALUATE_EVERY', 'EVALUATION_PATCHES', 'DECAY_STEPS', 'MAX_STEPS', 'CROP_SHAPE')})
    config.require(cfg, HISTORY_BATCHES=(0, None))
    ranks = processes.find_ranks('train' in cfg.STAGE)
    if cfg.STAGE == 'pack':
        return pack(cfg)
    if 'train' in cfg.STAGE:
        train(cfg, ranks)
    if 'refine' in cfg.STAGE and ranks.rank == 0:
        return refine(cfg)


if __name__ == '__main__':
    errors.run(main)
