"""The running average of a network's weights, which the inference graphs use."""
from models import tf


def follow(scope, average_scope, *, step, decay, after, newest=()):
    """Keep running averages of a network's variables beside them.

    After an update mean <- d mean + (1 - d) weight with d = min(decay, (1 + step) / (10 + step)):
    the first steps are forgotten soon.

    Args:
        scope: of the network's variables; average_scope: of their averages, made here as zeros.
        step: int64 scalar, finished steps; decay: of the average, in [0, 1).
        after: op of the update that the averages follow.
        newest: parts of names whose averages are the newest values (moments are no weights).

    Returns:
        (start, update): op that sets the averages to the variables, to be run once before the
        first step; op that updates and then averages.
    """
    start, update = [], []
    decay = tf.minimum(decay, (1.0 + tf.cast(step, tf.float32))
                       / (10.0 + tf.cast(step, tf.float32)))
    for variable in tf.global_variables(scope + '/'):
        name = variable.op.name
        mean = tf.get_variable(name.replace(scope, average_scope, 1), variable.shape,
                               trainable=False, initializer=tf.zeros_initializer())
        start.append(tf.assign(mean, variable))
        with tf.control_dependencies([after]):
            slow = 0.0 if any(part in name for part in newest) else decay
            update.append(tf.assign(mean, slow * mean + (1 - slow) * variable.read_value()))
    return tf.group(*start), tf.group(*update)


def adopt(scope, average_scope):
    """Op that sets a network's variables to their averages, the way back of `follow`'s start."""
    variables = {variable.op.name: variable for variable in tf.global_variables(scope + '/')}
    means = {mean.op.name: mean for mean in tf.global_variables(average_scope + '/')}
    return tf.group(*[tf.assign(variable, means[name.replace(scope, average_scope, 1)])
                      for name, variable in variables.items()])
