"""Records what the published MoveNet graphs say about two drawn pictures, as movenet.json.

    python tests/test_models/record_movenet.py ../shared

It runs the TensorFlow.js graphs themselves (../shared/real/weights) through ../shared/tools, which
shares no code with the package.
"""

import json
import sys
from pathlib import Path

import numpy as np

PICTURES = {'movenet-thunder': (256, 256), 'movenet-multipose': (160, 256)}
FEATURES = 'StatefulPartitionedCall/center_net_mobile_net_v2fpn_feature_extractor/model_1/'
NODES = dict(
    c4=FEATURES + 'model/block_2_add/add',
    c8=FEATURES + 'model/block_5_add/add',
    c16=FEATURES + 'model/block_12_add/add',
    c32=FEATURES + 'model/out_relu/Relu6',
    m16=FEATURES + 'tf.__operators__.add/AddV2',
    p16=FEATURES + 're_lu/Relu',
    p8=FEATURES + 're_lu_1/Relu',
    p4=FEATURES + 're_lu_2/Relu',
    answer='Identity',
)
SAMPLES = 40


def drawn_picture(height, width):
    """A figure of discs and bars on a wavy ground: HxWx3 RGB, uint8, the same everywhere."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    ground = [100 + 60 * np.sin(0.05 * y * (c + 1) + 0.03 * x) for c in range(3)]
    picture = np.stack(ground, axis=2)
    middle, unit = width / 2, height / 10
    picture[(x - middle) ** 2 + (y - 2 * unit) ** 2 < (0.8 * unit) ** 2] = (224, 172, 105)
    for x0, x1, y0, y1, colour in (
        (-1.1, 1.1, 2.9, 5.8, (180, 30, 40)),
        (-1.0, -0.2, 5.8, 9.0, (30, 40, 90)),
        (0.2, 1.0, 5.8, 9.0, (30, 40, 90)),
        (-1.7, -1.1, 3.0, 6.0, (224, 172, 105)),
        (1.1, 1.7, 3.0, 6.0, (224, 172, 105)),
    ):
        inside = (x >= middle + x0 * unit) & (x < middle + x1 * unit)
        picture[inside & (y >= y0 * unit) & (y < y1 * unit)] = colour
    return np.rint(picture).astype(np.uint8)


def sampled(values):
    """Some of an array's numbers, spread over it."""
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    return flat[np.linspace(0, flat.size - 1, SAMPLES).astype(int)]


def main(shared):
    sys.path.insert(0, str(Path(shared) / 'tools'))
    import torch
    from tfjs_torch import Graph

    record = {}
    for name, size in PICTURES.items():
        graph = Graph(str(Path(shared, 'real', 'weights', f'{name}.json')))
        picture = torch.from_numpy(drawn_picture(*size))[None].int()
        found = dict(zip(NODES, graph.run(picture, list(NODES.values())), strict=True))
        record[name] = {
            key: dict(
                shape=list(value.shape),
                highest=float(value.abs().max()),
                # To channels before rows before columns.
                samples=sampled(value.permute(0, 3, 1, 2) if key != 'answer' else value).tolist(),
            )
            for key, value in found.items()
        }
        record[name]['answer']['values'] = found['answer'].reshape(-1).tolist()
    path = Path(__file__).with_name('movenet.json')
    path.write_text(json.dumps(record, indent=1) + '\n')


if __name__ == '__main__':
    main(sys.argv[1])
