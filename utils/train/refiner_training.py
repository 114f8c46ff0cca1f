"""The training of the refiner against the discriminator (docs/method.md, step 2)."""
import os
from typing import NamedTuple, Tuple

import numpy as np
from tqdm import tqdm

from models import gan, tf
from utils.score import realism
from utils.train import checkpoints, content, history, loop, processes, reports, runs, samplers
from utils.train.domains import calibration_crops, intensities, spectra
from utils.train.streams import Stream


class Schedule(NamedTuple):
    """What is trained on, and how long (configs/mpgan.py)."""
    max_steps: int                       # steps
    refiner_updates: int                 # in each step, before those of the discriminator
    discriminator_updates: int           # in each step; those after the first see old patches
    discriminator_first: int             # updates of it alone before the first step
    pretrain_steps: int                  # first steps without the label loss
    batch_size: int                      # patches, in each process
    crop_shape: Tuple[int, int, int]     # (z, y, x) voxels cut at random out of each patch
    augment: bool                        # mirror and turn crops
    match_content: bool                  # real crops hold as much foreground as drafts
    history_batches: int                 # batches of refined patches kept for the discriminator
    seed: int                            # of weights, batches and history


class Pace(NamedTuple):
    """How often a run tells and saves, in steps."""
    log_every: int                       # rows of log.csv and TensorBoard points
    evaluate_every: int                  # measurements of realism and of label preservation
    evaluation_patches: int              # drafts, and real ones in each of two sets
    preview_every: int                   # preview pictures
    save_every: int                      # checkpoints


class Machine(NamedTuple):
    """How a run uses the machine."""
    threads: int                         # of TensorFlow; 0: all cores
    xla: bool                            # compile with XLA
    mixed_precision: bool                # half precision where it is safe


class Settings(NamedTuple):
    """All settings of a training."""
    model: gan.Settings                  # label_steepness may be 'auto'
    schedule: Schedule
    pace: Pace
    machine: Machine


GROUPS = Schedule, Pace, Machine


def train(run_dir, domains, *, settings, ranks=processes.Ranks()):
    """Train up to max_steps; goes on from the newest checkpoint.

    Args:
        run_dir: folder: checkpoints/, best.json, log.csv, events/, evaluation.json, pictures.
        domains: Domains; settings: Settings; ranks: of processes.find_ranks.

    Raises:
        UserError: patches smaller than the crops, without labels, or too few; a damaged checkpoint;
            training that diverges; a full disk.
        KeyboardInterrupt: stopped by a signal, the step saved.
    """
    model, schedule, pace, machine = settings
    if model.losses.label_steepness == 'auto':
        model = model._replace(losses=model.losses._replace(label_steepness=0.0))
        settings = settings._replace(model=model)

    # --- graph: batches, networks, optimisers ---
    tf.reset_default_graph()
    tf.set_random_seed(schedule.seed)
    match = _match(domains, schedule)
    streams = _open_streams(domains, schedule, match=match, ranks=ranks)
    found = intensities(domains)
    if model.losses.lambda_spectrum:
        found = found._replace(spectra=spectra(*_samplers(
            domains, schedule._replace(batch_size=1), match=match, numbers=(4, 5))))
    graph = gan.build(schedule.crop_shape, domains.bits, settings=model, intensities=found,
                      inputs=streams[0].tensors + streams[1].tensors,
                      wrap=processes.wrapper(ranks, machine.mixed_precision))

    # --- run: what was trained before, what is told ---
    columns = list(graph.refiner_losses) + list(graph.discriminator_losses)
    columns += ['learning_rate', 'label_weight'] + list(reports.COLUMNS)
    told = None if ranks.rank else reports.Reports(
        run_dir, domains, count=pace.evaluation_patches)
    trainer = Trainer(graph, domains, settings=settings, reports=told, rank=ranks.rank)
    with runs.Run(run_dir, columns, threads=machine.threads, ranks=ranks, xla=machine.xla) as run:
        run.may_overflow = ('_gradient',) if machine.mixed_precision else ()
        trainer.begin(run, streams)

        # --- steps ---
        for step in loop.steps(run, schedule.max_steps, save=trainer.save,
                               save_every=pace.save_every, closing=trainer.closing):
            trainer.update(step)
            trainer.report(step)


def _open_streams(domains, schedule, *, match, ranks):
    """Batches of drafts with labels, and of real patches; two Streams."""
    drafts, real = _samplers(domains, schedule, match=match, numbers=(1, 0), ranks=ranks)
    shape = [None] + list(schedule.crop_shape) + [1]
    return (Stream(drafts.batch, [shape, shape], name=domains.drafts.path),
            Stream(lambda i: real.batch(i)[:1], [shape], name=domains.real.path))


def _samplers(domains, schedule, *, match, numbers, ranks=processes.Ranks()):
    """Crops of drafts, and of real patches; two Samplers.

    Args:
        match: of _match; numbers: of the two in their seeds.
    """
    return [samplers.Sampler(
        file, schedule.batch_size, crop=schedule.crop_shape, seed=[schedule.seed, number],
        augment=schedule.augment, rank=ranks.rank, ranks=ranks.size,
        match=match if file is domains.real else None)
        for number, file in zip(numbers, (domains.drafts, domains.real))]


def _match(domains, schedule):
    """Real crops matched to the drafts in content, content.Match; or None.

    Raises:
        UserError: crops are larger than patches.
    """
    for file in domains:
        samplers.check(file, schedule.crop_shape)
    if not schedule.match_content:
        return None
    cut = content.foreground_cut(domains.real)
    real, drafts = content.Content(domains.real, cut), content.Content(domains.drafts, cut)
    return content.Match(real, drafts, crop=schedule.crop_shape, seed=[schedule.seed, 3])


class Trainer:
    """What happens in a step: updates, then log, evaluation, pictures; and what is saved."""

    def __init__(self, graph, domains, *, settings, reports, rank):
        """Args:
            graph: gan.Graph; domains: Domains; settings: Settings.
            reports: Reports; None but in the first process; rank: of this process.
        """
        model, self.schedule, self.pace, _ = settings
        self.graph, self.domains, self.reports = graph, domains, reports
        self.label_weight = model.losses.lambda_label
        self.inference = gan.build_inference(domains.bits, model.architecture.refiner_channels,
                                             standardised=model.architecture.standardise)
        self.history = history.History(
            self.schedule.history_batches * self.schedule.batch_size,
            np.random.default_rng([self.schedule.seed, 2, rank]))
        self.run, self.values, self.saved = None, {}, None

    def begin(self, run, streams):
        """Take up the run where it is: history and batches, or the first moments and averages.

        Args:
            run: runs.Run; streams: of drafts and of real patches.
        """
        self.run, schedule = run, self.schedule
        if run.step:
            self._take_up_history()
        else:
            if run.first:
                crops = calibration_crops(self.domains.drafts, schedule.crop_shape,
                                          seed=schedule.seed, augment=schedule.augment)
                run.session.run(self.graph.calibrate, {self.graph.draft: crops})
                run.session.run(self.graph.start_average)
                if not os.path.exists(self.reports.preview_path(0)):
                    self.reports.preview(run, self.inference)
            run.share_weights()
        before = schedule.discriminator_first if run.step else 0     # batches of _judge_first
        run.start(streams[0], before + run.step * schedule.refiner_updates)
        run.start(streams[1], before + run.step * schedule.discriminator_updates)
        if not run.step:
            self._judge_first()

    def _judge_first(self):
        """The discriminator alone, on drafts that the refiner passes on; a kill begins it anew.

        Else the refiner follows one that knows nothing, and needs hundreds of steps to come back.
        """
        count = self.schedule.discriminator_first
        if count and self.reports:
            print('%s: the discriminator learns alone first, %d updates' % (self.run.folder, count))
        for _ in tqdm(range(count), disable=None if self.reports else True, leave=False):
            refined = self.run.update([self.graph.refined], {})[0]
            self.run.update([self.graph.discriminator_more],
                            {self.graph.history: self.history.mix(refined)})

    def _take_up_history(self):
        """This process's part of the run's history buffer, and its random state.

        Raises:
            UserError: they are damaged, or of patches of another shape.
        """
        run, shape = self.run, tuple(self.schedule.crop_shape) + (1,)
        try:
            if len(run.history) and run.history.shape[1:] != shape:
                raise ValueError('patches of another shape')
            self.history.restore(*history.share(run.history, run.extra, rank=run.ranks.rank,
                                                size=run.ranks.size))
        except (ValueError, TypeError, KeyError, OverflowError):
            raise checkpoints.damaged(checkpoints.path_of(run.folder, run.step))
        run.history = None

    def update(self, step):
        """Refiner updates, then those of the discriminator: on the last batch, and on the history.

        Args:
            step: loop.Step. Its losses, rate and label weight are `values` then.
        """
        graph = self.graph
        weight = 0.0 if step.index < self.schedule.pretrain_steps else self.label_weight
        for _ in range(self.schedule.refiner_updates):
            refined, refiner_losses, _ = self.run.update(
                [graph.refined, graph.refiner_losses, graph.refiner_update],
                {graph.label_weight: weight})
        seen = self.history.mix(refined)
        for _ in range(self.schedule.discriminator_updates - 1):
            self.run.update([graph.discriminator_more],
                            {graph.history: self.history.sample(seen)})
        rate, discriminator_losses, _ = self.run.update(
            [graph.learning_rate, graph.discriminator_losses, graph.discriminator_update],
            {graph.history: seen})
        self.values = dict(refiner_losses, learning_rate=rate, label_weight=weight,
                           **discriminator_losses)

    def report(self, step):
        """Evaluate, log and draw what is due; save the step if it is the best one so far.

        The best is the latest among those that keep the labels and whose gap to real patches is
        hardly above the smallest one: critics tell refined patches the worse the longer it trains.
        """
        run, evaluated, best = self.run, step.due(self.pace.evaluate_every), False
        least = None
        values = dict(self.values)
        if run.first and evaluated:
            run.check(values)                            # what is not finite is never saved
            scores, kept = self.reports.evaluate(run, self.inference)
            values.update(scores)
            least = scores['gap']
            if run.best and run.best.get('against') == self.reports.standard:     # else: of others
                least = min(least, run.best['score'])
            best = kept and scores['gap'] <= least + realism.MARGIN
        if run.first and (evaluated or step.due(self.pace.log_every)):
            run.log(values)
        if run.first and evaluated:
            self.reports.curves()
        if run.first and step.due(self.pace.preview_every):
            self.reports.preview(run, self.inference)
        if evaluated and run.gather(best)[0]:            # the first process tells all
            self.save(best=least)

    def save(self, best=None):
        """Write a checkpoint with the histories of all processes.

        Args:
            best: None, or the smallest gap up to a step that is the best one.
        """
        if self.saved == self.run.step:                  # as the best one
            return
        self.run.check(self.values)
        self.saved = self.run.step
        patches, extra = history.join(self.run.gather(self.history.state()))
        if self.run.first and best is not None:
            self.run.save_best(best, against=self.reports.standard, history=patches, extra=extra)
        elif self.run.first:
            self.run.save(history=patches, extra=extra)

    def closing(self):
        """End of the run's last line."""
        size = self.run.ranks.size
        return ', with pictures and checkpoints' + (', %d processes' % size if size > 1 else '')
