"""TensorFlow 1.x graph functions, the same source on TF 1.15 and TF 2 (compat.v1, graph mode)."""
import os
import warnings

# without a GPU both builds greet with errors that are none
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
# TF 2 takes oneDNN on newer server CPUs only: three times slower without
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
with warnings.catch_warnings():
    warnings.simplefilter('ignore', FutureWarning)        # TF 1.15 on numpy 1.21: one per dtype
    import tensorflow.compat.v1 as tf

tf.logging.set_verbosity(tf.logging.ERROR)
tf.disable_v2_behavior()
