"""What transformers' own ViTPose computes of the weights of weights_cases, written to a file.

Where transformers is installed (5.24.0 for the file that is kept):

    python tests/test_weights/record_transformers.py tests/test_weights/recorded/transformers.npz
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import weights_cases as cases


def main(target):
    import transformers

    arrays = {'version': np.array(transformers.__version__)}
    for kind, (_, experts) in cases.KINDS.items():
        config = transformers.VitPoseConfig.from_dict(cases.config(kind))
        model = transformers.VitPoseForPoseEstimation(config).eval()
        model.load_state_dict(cases.hugging_face(kind), strict=True)
        arrays[f'{kind}/names'] = np.array(sorted(model.state_dict()))
        for expert in range(experts):
            pixels = cases.pixels()
            index = torch.full((len(pixels),), expert) if experts > 1 else None
            with torch.no_grad():
                tokens = model.backbone.forward_with_filtered_kwargs(
                    pixels, dataset_index=index
                ).feature_maps[-1]
                arrays[f'{kind}/{expert}/features'] = tokens.transpose(1, 2).numpy()
                arrays[f'{kind}/{expert}/heatmaps'] = model(
                    pixels, dataset_index=index
                ).heatmaps.numpy()
    np.savez_compressed(target, **arrays)


if __name__ == '__main__':
    main(sys.argv[1])
