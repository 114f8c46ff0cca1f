"""What a training run of the refiner tells about itself: evaluations, curves, previews."""
import os

import numpy as np
from tqdm import tqdm

from utils.common import files
from utils.draw import training
from utils.score import judges, lone, realism
from utils.train.refiner import refine_patch

PREVIEWS = 4               # patches in a preview picture
COLUMNS = realism.COLUMNS


class Reports:
    """Fixed sets of patches that the refiner is measured on and shown on, the same in every run.

    Attributes:
        judge: realism.Judge.
    """

    def __init__(self, run_dir, domains, *, count):
        """Writes RUN_DIR/evaluation.json, which the figures read.

        Args:
            run_dir: folder of the run; domains: Domains.
            count: drafts, and in each of two sets as many real patches, that are evaluated.

        Raises:
            UserError: one real patch alone, or no label voxel.
        """
        self.run_dir, self.domains = run_dir, domains
        self.judge, _ = judges.open_judge(*domains, count=count)
        files.write_json(os.path.join(run_dir, 'evaluation.json'), {
            'draft': self.judge.draft, 'floor': self.judge.floor})

    @property
    def standard(self):
        """A number that is another one where gaps are of other patches, or by other measures."""
        judge = self.judge
        return float(judge.draft['gap'] + sum(judge.draft[m] + judge.floor[m]
                                              for m in realism.REALISM))

    def evaluate(self, run, inference):
        """Refine the evaluation set, score it, and say how it is.

        Args:
            run: runs.Run; inference: gan.Inference.

        Returns:
            (dict from measure to score, whether the labels were kept).
        """
        judge, draft = self.judge, self.judge.draft
        refined = np.stack([refine_patch(run.session, inference, voxels=image)
                            for image in judge.drafts])
        scores = judge.score(refined)
        tqdm.write('step %d: gap to real patches %.2f (drafts %.2f), Dice %.3f (%.3f), '
                   'clDice %.3f (%.3f), invented %.0f voxels (%.0f), lost %.1f %%, dimmed %.1f %%, '
                   'lone voxels %.0f per million (%.0f), moved %.3g grey levels' % (
                       run.step, scores['gap'], draft['gap'], scores['dice'], draft['dice'],
                       scores['cldice'], draft['cldice'], scores['invented_length'],
                       draft['invented_length'], 100 * scores['lost'], 100 * scores['dimmed'],
                       sum(scores[name] for name in lone.LONE),
                       sum(draft[name] for name in lone.LONE), scores['moved']))
        wrong = realism.verdict(scores, draft, noise=judge.noise)
        if wrong:
            best = ('the best checkpoint, of step %d, is kept' % run.best['step'] if run.best
                    else 'there is no best checkpoint yet')
            tqdm.write('step %d: warning: %s; %s' % (run.step, wrong, best))
        return scores, judge.keeps_labels(scores)

    def curves(self):
        """Redraw RUN_DIR/curves.png from log.csv."""
        training.curves(os.path.join(self.run_dir, 'curves.png'),
                        training.read_log(os.path.join(self.run_dir, 'log.csv')),
                        judge={'draft': self.judge.draft, 'floor': self.judge.floor})

    def preview_path(self, step):
        """Path of the preview picture of a step."""
        return os.path.join(self.run_dir, 'preview_%06d.png' % step)

    def preview(self, run, inference):
        """Draw draft | refined | real for PREVIEWS patches that lie evenly in their files."""
        real, drafts = self.domains

        def spread(array):
            places = np.linspace(0, len(array) - 1, PREVIEWS + 2)[1:-1]
            return np.stack([array[int(i)] for i in places])

        draft = spread(drafts.image)
        refined = np.stack([refine_patch(run.session, inference, voxels=image) for image in draft])
        training.draft_refined_real(
            self.preview_path(run.step), draft, refined=refined, real=spread(real.image),
            labels=spread(drafts.label), title='step %d' % run.step)
