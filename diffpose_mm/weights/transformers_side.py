"""What transformers' own model computes of weights, in a process of its own and over files.

transformers and mmpretrain are not imported in one process: some releases of the one keep the
other from being imported. This file is therefore run as a script, and
imports nothing of the package.
"""

import json
import sys


def main(folder: str, picture: str, target: str, expert: int, attention: str = 'eager') -> None:
    """Load a folder, run it on a picture, and write features, heatmaps and what was not loaded.

    Args:
        folder: With ``config.json`` and weights.
        picture: .npy of the input, (N, 3, H, W), normalised.
        target: .npz to write.
        expert: Index of the data set, for a model with experts.
        attention: Implementation of attention.
    """
    import numpy as np
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    model, report = transformers.VitPoseForPoseEstimation.from_pretrained(
        folder, output_loading_info=True, attn_implementation=attention, dtype=torch.float32
    )
    model.eval()
    pixels = torch.from_numpy(np.load(picture))
    several = model.config.backbone_config.num_experts > 1
    index = torch.full((len(pixels),), expert) if several else None
    with torch.no_grad():
        features = model.backbone.forward_with_filtered_kwargs(pixels, dataset_index=index)
        heatmaps = model(pixels, dataset_index=index).heatmaps
    tokens = features.feature_maps[-1]
    patch = model.config.backbone_config.patch_size[0]
    rows, columns = pixels.shape[2] // patch, pixels.shape[3] // patch
    grid = tokens.transpose(1, 2).reshape(len(pixels), -1, rows, columns)
    left = {key: sorted(map(str, report[key])) for key in ('missing_keys', 'mismatched_keys')}
    np.savez(
        target,
        features=grid.numpy(),
        heatmaps=heatmaps.numpy(),
        report=json.dumps({'version': transformers.__version__, **left}),
    )


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
