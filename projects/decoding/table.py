"""Errors of decodings on heatmaps whose truth is known: borders, two peaks, noise; and their time.

    python projects/decoding/table.py

Errors are in image pixels of a crop of 300 x 400 on heatmaps of 48 x 64: 6.4 of them are a heatmap
pixel. ``mmpose`` is its UDPHeatmap; ``narrow`` is the rule of transformers' ViTPose processor
(a blur of sigma 0.8 with mirrored border, then DARK's step), written from its description.
"""

import argparse
import time

import cv2
import numpy as np
from mmpose.codecs import UDPHeatmap

from diffpose_mm.codecs import DiffusionHeatmap

INPUT, SIZE = (192, 256), (48, 64)
IMAGE_PIXELS = 6.4
CODECS = {
    'mmpose': UDPHeatmap(INPUT, SIZE, sigma=2),
    'dark': DiffusionHeatmap(INPUT, SIZE, decoding='dark'),
    'gaussian_fit': DiffusionHeatmap(INPUT, SIZE, decoding='gaussian_fit'),
}
# Input pixels of a heatmap pixel: mmpose's decoding has another stretch.
STRIDES = {name: (np.array(INPUT) - (name != 'mmpose')) / (np.array(SIZE) - 1) for name in CODECS}


def narrow(heatmaps):
    """transformers' rule, joint by joint."""
    places = []
    for heatmap in heatmaps:
        y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
        blurred = cv2.GaussianBlur(heatmap, (11, 11), 0.8, borderType=cv2.BORDER_REFLECT)
        log = np.pad(np.log(np.clip(blurred, 1e-3, 50)), 1, mode='edge')[y : y + 3, x : x + 3]
        (a, up, _), (left, middle, right), (_, down, b) = log.astype(np.float64)
        slope = [(right - left) / 2, (down - up) / 2]
        xy = (b - right - down + 2 * middle - left - up + a) / 2
        bend = [[right - 2 * middle + left, xy], [xy, down - 2 * middle + up]]
        bend += np.finfo(np.float32).eps * np.eye(2)
        places.append([x, y] - np.linalg.solve(bend, slope))
    return np.array(places)


def decodings():
    """Name -> function of (M, H, W) float32 heatmaps that gives (M, 2) heatmap pixels."""
    made = {
        name: lambda maps, name=name: CODECS[name].decode(maps.copy())[0][0] / STRIDES[name]
        for name in CODECS
    }
    return {'narrow': narrow, **made}


def gaussians(places, sigma=2.0, height=1.0):
    x, y = (
        np.exp(-((np.arange(n) - places[:, i, None]) ** 2) / (2 * sigma**2))
        for i, n in enumerate(SIZE)
    )
    return (height * y[:, :, None] * x[:, None]).astype(np.float32)


def cases(number):
    """Yield row name, heatmaps, true places (heatmap pixels) and how errors are summed up."""
    rng = np.random.default_rng(0)
    places = rng.uniform([15, 20], [33, 44], (number, 2))
    for sigma in (2.0, 1.5, 2.5, 3.0):
        yield f'inside, sigma {sigma:g}', gaussians(places, sigma), places, 'largest'
    yield 'inside, height 0.005', gaussians(places, height=0.005), places, 'largest'
    for x in (0, 0.5, 1, 1.5, 2, 3, 5):
        at = np.stack([np.full(number, float(x)), places[:, 1]], 1)
        yield f'x = {x:g}', gaussians(at), at, 'along x'
    for distance in (3, 4, 5, 6, 8):
        second = gaussians(places + [distance, 0], height=0.8)
        yield f'second peak at {distance}', np.maximum(gaussians(places), second), places, 'mean'
    for noise in (0.02, 0.08):
        maps = gaussians(places, height=0.8)
        maps = maps + rng.normal(0, noise, maps.shape).astype(np.float32)
        for how in ('largest', '95 %', 'rms'):
            yield f'noise {noise:g} on 0.8, {how}', maps, places, how
    at = np.stack([rng.uniform(0, 3, number), places[:, 1]], 1)
    maps = gaussians(at) + rng.normal(0, 0.05, (number, SIZE[1], SIZE[0])).astype(np.float32)
    yield 'x = 0 to 3, noise 0.05, rms', maps, at, 'rms'


def error(found, true, how):
    offsets = (found - true) * IMAGE_PIXELS
    lengths = np.linalg.norm(offsets, axis=1)
    if how == 'along x':
        return offsets[np.abs(offsets[:, 0]).argmax(), 0]
    return {
        'largest': lengths.max,
        'mean': lengths.mean,
        '95 %': lambda: np.quantile(lengths, 0.95),
        'rms': lambda: np.sqrt((lengths**2).mean()),
    }[how]()


def seconds(decode, maps, repeats):
    """Processor time of a call, the median."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        decode(maps)
        times.append(time.process_time() - start)
    return np.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--number', type=int, default=1000, help='heatmaps of a row')
    parser.add_argument('--repeats', type=int, default=50, help='calls that are timed')
    args = parser.parse_args()
    every = decodings()
    print('| heatmaps |', ' | '.join(every), '|')
    print('|---|' + '---:|' * len(every))
    for name, maps, true, how in cases(args.number):
        values = [error(decode(maps), true, how) for decode in every.values()]
        print(f'| {name} |', ' | '.join(f'{value:.4f}' for value in values), '|')
    rng = np.random.default_rng(1)
    for number in (17, 85, 544):
        maps = gaussians(rng.uniform([15, 20], [33, 44], (number, 2)), height=0.8)
        maps = maps + rng.normal(0, 0.02, maps.shape).astype(np.float32)
        values = [seconds(decode, maps, args.repeats) * 1e3 for decode in every.values()]
        print(f'| ms for {number} |', ' | '.join(f'{value:.2f}' for value in values), '|')


if __name__ == '__main__':
    main()
