"""Stacks in Vaa3D's files, raw (.v3draw, .raw) and pbd (.v3dpbd). Readers only; axes (z, y, x).

Source of both layouts: Vaa3D's own reader (Peng et al., Nature Biotechnology 28:348, 2010).
"""
import os
import struct

import numpy as np

from utils.common.errors import UserError

EXTENSIONS = ('.v3draw', '.raw', '.v3dpbd')
RAW, PBD = b'raw_image_stack_by_hpeng', b'v3d_volume_pkbitdf_encod'
HEADER = 43          # bytes: magic 24, 'L' or 'B' 1, data type int16, x y z channels int32
DTYPES = {1: 'u1', 2: 'u2', 4: 'f4'}
# pbd: a byte, the code, opens each run of code - first + 1 voxels.
# {bytes per voxel: {first code of a kind of run: bits per voxel}}. 0 bits: one voxel, repeated;
# all bits: the voxels as they are; fewer: differences from the voxel before.
PBD_CODES = {1: {0: 8, 33: 2, 128: 0}, 2: {0: 16, 32: 3, 80: 4, 183: 5, 223: 0}}
PBD_RUNS = 1 << 14   # unpacked at a time: 2 million voxels at most


def is_raw(path):
    """True if a file begins as Vaa3D's raw stacks do; .raw is other programs' extension, too."""
    try:
        with open(path, 'rb') as file:
            return file.read(len(RAW)) == RAW
    except OSError:                                          # reading it tells what is wrong
        return True


def read(path):
    """Read a raw or pbd file, as its first bytes say.

    Returns:
        array [Z, Y, X], uint8, uint16 or float32, in the file's byte order.

    Raises:
        UserError: no Vaa3D file, cut short, several channels, 2-D, other data type.
        OSError: it cannot be opened.
    """
    magic, dtype, shape = _header(path)
    z, y, x = shape
    n = z * y * x                                            # of Python, which does not overflow
    if magic == PBD:
        voxels = _unpack(np.fromfile(path, np.uint8)[HEADER:], n, dtype=dtype, path=path)
    else:
        size, wanted = os.path.getsize(path), HEADER + n * dtype.itemsize
        if size != wanted:
            raise UserError('%s is %s (%d bytes, %d wanted): copy or save it again' % (
                path, 'cut short' if size < wanted else 'longer than its header says',
                size, wanted))
        voxels = np.fromfile(path, dtype, offset=HEADER)
    return voxels.reshape(shape)


def _header(path):
    """(magic, dtype in the file's byte order, (z, y, x)); raises UserError as read."""
    with open(path, 'rb') as file:
        header = file.read(HEADER)
    magic = header[:len(RAW)]
    if magic not in (RAW, PBD) or header[24:25] not in (b'L', b'B'):
        raise UserError('%s is no Vaa3D stack (it does not begin with its mark): copy it again or '
                        'save it as TIFF' % path)
    if len(header) < HEADER:
        raise UserError('%s is cut short (%d bytes): copy it again' % (path, len(header)))
    order = '<' if header[24:25] == b'L' else '>'
    kind, x, y, z, channels = struct.unpack(order + 'h4i', header[25:])
    if kind not in (DTYPES if magic == RAW else PBD_CODES):
        raise UserError('%s has Vaa3D data type %d: save it with 8 or 16 bit' % (path, kind))
    if magic == PBD and kind == 2 and order == '>':          # Vaa3D does not read it either
        raise UserError('%s is 16-bit pbd of a big-endian machine: save it as .v3draw or TIFF there'
                        % path)
    if min(x, y, z, channels) < 1:
        raise UserError('%s is damaged (%d x %d x %d voxels): save it again' % (path, z, y, x))
    if channels > 1:
        raise UserError('%s has %d channels: save one of them alone' % (path, channels))
    if z == 1:
        raise UserError('%s has 2 dimensions (one plane): want a 3-D stack of (z, y, x)' % path)
    return magic, np.dtype(order + DTYPES[kind]), (z, y, x)


# --- pbd ---

def _runs(itemsize):
    """For each code 0 to 255: voxels of its run, bits per voxel, bytes of the run with its code."""
    codes = PBD_CODES[itemsize]
    firsts = np.sort(list(codes))
    kind = firsts[np.searchsorted(firsts, np.arange(256), 'right') - 1]    # first code of its kind
    count = np.arange(256) - kind + 1
    bits = np.array([codes[first] for first in kind])
    return count, bits, 1 + np.where(bits == 0, itemsize, (count * bits + 7) // 8)


def _unpack(data, n, *, dtype, path):
    """Decode pbd.

    Args:
        data: uint8 [B], all runs; n: voxels; dtype: in the byte order of the voxels given whole.

    Returns:
        [n] of the native dtype.

    Raises:
        UserError: the runs do not end with the n-th voxel.
    """
    damaged = UserError('%s is cut short or damaged (its %d bytes do not unpack to %d voxels): '
                        'copy or save it again' % (path, HEADER + len(data), n))
    if n > 128 * len(data):                                  # the longest run repeats one 128 times
        raise damaged
    count, bits, length = _runs(dtype.itemsize)
    steps, text = length.tolist(), data.tobytes()
    data = np.append(data, np.zeros(2, np.uint8))            # a difference may end behind the end
    voxels = np.empty(n, dtype.newbyteorder('='))
    at, done, last = 0, 0, 0
    while done < n and at < len(text):
        starts = []
        while at < len(text) and len(starts) < PBD_RUNS:
            starts.append(at)
            at += steps[text[at]]
        if at > len(text):
            break
        starts = np.array(starts)
        codes = data[starts]
        part = _unpack_runs(data, starts, count=count[codes], bits=bits[codes], dtype=dtype,
                            last=last)
        if len(part) > n - done:
            break
        voxels[done:done + len(part)], last = part, part[-1]
        done += len(part)
    if done < n or at != len(text):
        raise damaged
    return voxels


def _unpack_runs(data, starts, *, count, bits, dtype, last):
    """Voxels of some runs: those given whole, and sums of differences from the nearest of them.

    Args:
        data: uint8; starts: int [R], where the runs' codes stand; count, bits: int [R].
        last: the voxel before the runs.
    """
    size, native = dtype.itemsize, dtype.newbyteorder('=')
    bits = np.repeat(bits, count)                            # of each voxel, as all below
    inside = np.arange(len(bits)) - np.repeat(np.cumsum(count) - count, count)
    bit = inside * bits
    byte = np.repeat(starts + 1, count) + (bit >> 3)
    whole = (bits == 0) | (bits == 8 * size)
    given = np.zeros(1 + len(bits), native)                  # the voxel before the runs goes first
    given[0] = last
    given[1:][whole] = data[byte[whole, None] + np.arange(size)].view(dtype)[:, 0]
    total = np.zeros(1 + len(bits), native)
    total[1:][~whole] = _differences(data, byte[~whole], bit=bit[~whole] & 7, bits=bits[~whole],
                                     size=size).astype(native)
    np.cumsum(total, dtype=native, out=total)                # wraps around, and back just below
    is_given = np.append(True, whole)
    nearest = np.maximum.accumulate(np.where(is_given, np.arange(len(given)), 0))
    return (given - total)[nearest[1:]] + total[1:]


def _differences(data, byte, *, bit, bits, size):
    """Packed differences: 0 .. half stand for themselves, larger codes for -1, -2, ...; int [V]."""
    if size == 1:                                            # the first is in the low bits
        code = data[byte] >> bit
    else:                                                    # in the high bits, over two bytes
        code = (data[byte].astype(int) << 8 | data[byte + 1]) >> (16 - bits - bit)
    half = 1 << (bits - 1)
    code = code & (2 * half - 1)
    return np.where(code > half, half - code, code)
