"""Stacks that are no TIFF: HDF5, Vaa3D raw and Vaa3D pbd. Readers only; axes (z, y, x)."""
import os
import struct

import h5py
import numpy as np

from utils.common.errors import UserError

HDF5, VAA3D = ('.h5', '.hdf5'), ('.v3draw', '.raw', '.v3dpbd')
NAMES = 'image', 'volume', 'data', 'raw'     # the stack's name where a file holds several 3-D datasets
RAW, PBD = b'raw_image_stack_by_hpeng', b'v3d_volume_pkbitdf_encod'
HEADER = 43                                  # bytes: magic 24, 'L' or 'B' 1, data type int16, x y z channels int32
DTYPES = {1: 'u1', 2: 'u2', 4: 'f4'}
# pbd: a byte opens each run. {bytes per voxel: {first code of a kind of run: bits per voxel}}; code - first + 1 voxels
# follow. 0 bits: one voxel, repeated; all bits: the voxels as they are; fewer: differences from the voxel before.
PBD_CODES = {1: {0: 8, 33: 2, 128: 0}, 2: {0: 16, 32: 3, 80: 4, 183: 5, 223: 0}}
PBD_RUNS = 1 << 14                           # unpacked at a time: 2 million voxels at most


def is_stack(path):
    """False for what only looks like a stack by its extension: our own patch files, .raw of other programs."""
    lower = path.lower()
    try:
        if lower.endswith(HDF5):
            with h5py.File(path, 'r') as file:
                return not _holds_patches(file)
        if lower.endswith('.raw'):
            with open(path, 'rb') as file:
                return file.read(len(RAW)) == RAW
    except Exception:                                        # reading it tells what is wrong
        pass
    return True


def _holds_patches(file):
    return {'image', 'origin', 'source'} <= set(file) and len(getattr(file['image'], 'shape', ())) == 4


def read_hdf5(path):
    """Read the only 3-D dataset of a file, or of several the one named as in NAMES.

    Returns:
        (array [Z, Y, X] of any number type, (z, y, x) um of its attribute element_size_um or None).

    Raises:
        UserError: no HDF5, cut short; no 3-D dataset, several; patches. OSError: it cannot be opened.
    """
    open(path, 'rb').close()                                 # h5py reports a missing file as it does a damaged one
    try:
        with h5py.File(path, 'r') as file:
            if _holds_patches(file):
                raise UserError('%s holds patches, not a stack: give the stacks that they were cut from' % path)
            found = []
            file.visititems(lambda name, item: found.append(item) if isinstance(item, h5py.Dataset)
                            and item.dtype.kind in 'uifb' and item.ndim > 1 and item.size else None)
            stacks = [item for item in found if len(_squeezed(item.shape)) == 3]
            if not stacks and found:
                raise UserError('%s: dataset %s is %s: want a 3-D stack of (z, y, x), one channel'
                                % (path, found[0].name, ' x '.join(map(str, found[0].shape))))
            if not stacks:
                raise UserError('%s holds no 3-D dataset: save the stack as one, (z, y, x)' % path)
            named = [item for item in stacks if item.name.split('/')[-1].lower() in NAMES]
            if len(stacks) > 1 and len(named) != 1:
                raise UserError('%s holds %d 3-D datasets (%s): keep one, or name just one of them %s'
                                % (path, len(stacks), ', '.join(item.name for item in stacks[:5]), ' or '.join(NAMES)))
            stack = stacks[0] if len(stacks) == 1 else named[0]
            size = np.ravel(stack.attrs.get('element_size_um', ()))
            known = len(size) == 3 and size.dtype.kind in 'uif' and np.isfinite(size).all() and (size > 0).all()
            return stack[()].reshape(_squeezed(stack.shape)), tuple(map(float, size)) if known else None
    except UserError:
        raise
    except Exception as error:                               # h5py raises many kinds on damaged files
        raise UserError('%s is damaged, cut short or no HDF5 (%s): copy or save it again'
                        % (path, str(error).split('\n')[0][:100]))


def _squeezed(shape):
    """A shape without axes of length 1 (time, channel) beyond the three that a stack has: the first of them first."""
    shape = list(shape)
    while len(shape) > 3 and 1 in shape:
        shape.remove(1)
    return tuple(shape)


def read_vaa3d(path):
    """Read Vaa3D raw (.v3draw, .raw) or pbd (.v3dpbd), as the file's first bytes say.

    Returns:
        array [Z, Y, X], uint8, uint16 or float32, in the file's byte order.

    Raises:
        UserError: no Vaa3D file, cut short, several channels, 2-D, other data type. OSError: it cannot be opened.
    """
    with open(path, 'rb') as file:
        header = file.read(HEADER)
    magic = header[:len(RAW)]
    if magic not in (RAW, PBD) or header[24:25] not in (b'L', b'B'):
        raise UserError('%s is no Vaa3D stack (it does not begin with its mark): copy it again or save it as TIFF' % path)
    if len(header) < HEADER:
        raise UserError('%s is cut short (%d bytes): copy it again' % (path, len(header)))
    order = '<' if header[24:25] == b'L' else '>'
    kind, x, y, z, channels = struct.unpack(order + 'h4i', header[25:])
    if kind not in (DTYPES if magic == RAW else PBD_CODES):
        raise UserError('%s has Vaa3D data type %d: save it with 8 or 16 bit' % (path, kind))
    if magic == PBD and kind == 2 and order == '>':          # Vaa3D does not read it either: nothing to check ours against
        raise UserError('%s is 16-bit pbd of a big-endian machine: save it as .v3draw or TIFF there' % path)
    if min(x, y, z, channels) < 1:
        raise UserError('%s is damaged (%d x %d x %d voxels): save it again' % (path, z, y, x))
    if channels > 1:
        raise UserError('%s has %d channels: save one of them alone' % (path, channels))
    if z == 1:
        raise UserError('%s has 2 dimensions (one plane): want a 3-D stack of (z, y, x)' % path)
    dtype = np.dtype(order + DTYPES[kind])
    if magic == PBD:
        voxels = _unpack(np.fromfile(path, np.uint8)[HEADER:], x * y * z, dtype=dtype, path=path)
    else:
        size, wanted = os.path.getsize(path), HEADER + x * y * z * dtype.itemsize
        if size != wanted:
            raise UserError('%s is %s (%d bytes, %d wanted): copy or save it again'
                            % (path, 'cut short' if size < wanted else 'longer than its header says', size, wanted))
        voxels = np.fromfile(path, dtype, offset=HEADER)
    return voxels.reshape(z, y, x)


def _unpack(data, n, *, dtype, path):
    """Decode pbd: uint8 data to n voxels of dtype (with the byte order of the voxels that are given whole)."""
    damaged = UserError('%s is cut short or damaged (its %d bytes do not unpack to %d voxels): copy or save it again'
                        % (path, HEADER + len(data), n))
    if n > 128 * len(data):                                  # the longest run repeats a voxel 128 times
        raise damaged
    codes = PBD_CODES[dtype.itemsize]
    firsts = np.sort(list(codes))
    kind = firsts[np.searchsorted(firsts, np.arange(256), 'right') - 1]        # [256] the first code of its kind
    count = np.arange(256) - kind + 1
    bits = np.array([codes[first] for first in kind])
    length = 1 + np.where(bits == 0, dtype.itemsize, (count * bits + 7) // 8)   # bytes of a run, the code included
    steps, text = length.tolist(), data.tobytes()
    data = np.append(data, np.zeros(2, np.uint8))            # a difference's second byte may lie behind the end
    voxels = np.empty(n, dtype.newbyteorder('='))
    at, done, last = 0, 0, 0
    while done < n and at < len(text):
        starts = []
        while at < len(text) and len(starts) < PBD_RUNS:
            starts.append(at)
            at += steps[text[at]]
        starts = np.array(starts)
        part = _unpack_runs(data, starts, count=count[data[starts]], bits=bits[data[starts]], dtype=dtype, last=last) if at <= len(text) else ()
        if at > len(text) or len(part) > n - done:
            break
        voxels[done:done + len(part)], last = part, part[-1]
        done += len(part)
    if done < n or at != len(text):
        raise damaged
    return voxels


def _unpack_runs(data, starts, *, count, bits, dtype, last):
    """Voxels of runs: those that are given whole, and sums of differences from the nearest of them before."""
    size, native = dtype.itemsize, dtype.newbyteorder('=')
    bits = np.repeat(bits, count)                            # of each voxel, as all below
    inside = np.arange(len(bits)) - np.repeat(np.cumsum(count) - count, count)
    bit = inside * bits
    byte = np.repeat(starts + 1, count) + (bit >> 3)
    whole = (bits == 0) | (bits == 8 * size)
    given = np.zeros(1 + len(bits), native)                  # the voxel before the runs goes first
    given[0] = last
    given[1:][whole] = data[byte[whole, None] + np.arange(size)].view(dtype)[:, 0]
    few, byte, bit = bits[~whole], byte[~whole], bit[~whole] & 7
    if size == 1:                                            # the first difference is in the low bits
        difference = data[byte] >> bit
    else:                                                    # in the high bits, and may go on in the next byte
        difference = (data[byte].astype(int) << 8 | data[byte + 1]) >> (16 - few - bit)
    half = 1 << (few - 1)
    difference = difference & (2 * half - 1)
    difference = np.where(difference > half, half - difference, difference)     # 0 .. half, then -1, -2, ...
    total = np.zeros(1 + len(bits), native)
    total[1:][~whole] = difference.astype(native)
    np.cumsum(total, dtype=native, out=total)                # wraps around, and back by the next lines
    nearest = np.maximum.accumulate(np.where(np.append(True, whole), np.arange(len(given)), 0))
    return (given - total)[nearest[1:]] + total[1:]
