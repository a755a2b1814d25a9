"""Videos of an animal with keypoints of its own: no code, a config and beast.py.

data/beast/annotations/train.json  val.json    COCO's form, with track_id if there is one
data/beast/images/VIDEO/000000.jpg ...
"""

_base_ = ['../../configs/diffpose_synthetic.py']

dataset_type = 'ClipDataset'
data_root = 'data/beast/'
num_keypoints = 5
metainfo = dict(from_file='{{ fileDirname }}/beast.py')

model = dict(head=dict(out_channels=num_keypoints))

dataset = dict(type=dataset_type, data_root=data_root, metainfo=metainfo)
train_dataloader = dict(dataset=dict(dataset, ann_file='annotations/train.json'))
val_dataloader = dict(dataset=dict(dataset, ann_file='annotations/val.json'))
test_dataloader = val_dataloader

# PoseTrackAP is for the keypoints of PoseTrack. The best checkpoint goes by the new metric.
val_evaluator = dict(_delete_=True, type='PCKAccuracy', thr=0.2)
test_evaluator = val_evaluator
