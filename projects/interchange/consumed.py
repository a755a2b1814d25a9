"""What a program read, in the form that is compared."""

import math

import numpy as np


def result(rows, frames=None, times=None):
    kept = [
        [None if isinstance(v, float) and math.isnan(v) else v for v in row]
        for row in rows
        if np.isfinite(row[3]) and np.isfinite(row[4])
    ]
    times = None if times is None else {int(k): float(v) for k, v in dict(times).items()}
    return dict(rows=kept, frames=frames, times=times)
