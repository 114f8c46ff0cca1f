"""A trained network in a session of its own: what the refiner and the segmenter share."""
import hashlib
import os

from utils.common import files, schemas
from utils.common.errors import UserError
from utils.train import checkpoints, sessions


def settings_of(run_dir, names, *, script):
    """The constants that a run was trained with, of its config.json.

    Args:
        names: constants that must be among them; script: that trains such runs.

    Returns:
        dict from constant to value.

    Raises:
        UserError: no config.json, one of another script, or values that no training has
            (schemas.RUN); a damaged packed.json.
    """
    checkpoints.is_packed(run_dir)
    cure = 'put back the constants that this run was trained with'
    path = os.path.join(run_dir, 'config.json')
    settings = files.read_json(path, cure=cure)
    schemas.check(settings, schemas.RUN, path=path, cure=cure)
    if not set(names) <= set(settings):
        raise UserError('%s is no run of %s: give another RUN_DIR' % (run_dir, script))
    return settings


class Trained:
    """A checkpoint's variables in a session. Use as a context manager.

    Attributes:
        session: tf.Session; settings: dict of the training's constants.
        step: training step of the weights; digest: SHA-1 of the weights, hexadecimal.
    """

    def __init__(self, checkpoint, variables, *, settings, threads=0):
        """Args:
            checkpoint: its folder; variables: of the inference graph, the default graph's.
            settings: see above; threads: of TensorFlow, 0 takes all cores.

        Raises:
            UserError: the checkpoint is damaged or of networks of another size.
        """
        self.settings, self.step = settings, checkpoints.step_of(checkpoint)
        self.saver = checkpoints.saver_of(variables)
        self.session = sessions.open_session(threads)
        sessions.restore(self.session, self.saver, checkpoint=checkpoint)
        weights = hashlib.sha1()
        for values in self.session.run(variables):
            weights.update(values.tobytes())
        self.digest = weights.hexdigest()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.close()

    def pack(self, folder, *, owner, may_change):
        """Write weights and settings alone; see checkpoints.pack, which tells errors and result."""
        settings = {name: value for name, value in self.settings.items() if name not in may_change}
        return checkpoints.pack(folder, step=self.step, session=self.session, saver=self.saver,
                                settings=settings, owner=owner)
