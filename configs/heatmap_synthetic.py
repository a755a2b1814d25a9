"""The single-frame baseline on the synthetic PoseTrack: a heatmap head on the keyframe alone.

Only the clip is another than in ``strl_synthetic.py``: it has one frame. The neck stays, so that
what the two differ by is time and not depth.
"""

_base_ = ['strl_synthetic.py']

frame_offsets = (0,)

model = dict(neck=dict(num_frames=len(frame_offsets)))
train_dataloader = dict(dataset=dict(frame_offsets=frame_offsets))
val_dataloader = dict(dataset=dict(frame_offsets=frame_offsets))
test_dataloader = val_dataloader
