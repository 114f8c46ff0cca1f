"""How many GPUs TensorFlow sees: python -m utils.train.devices prints the number."""
from models import tf


def count():
    """GPUs that a session would use, whole number."""
    return len(tf.config.experimental.list_physical_devices('GPU'))


if __name__ == '__main__':
    print(count())
