"""diffpose_synthetic whose tracks can be written as text: `infer ... --format json track_text`."""

_base_ = ['../../configs/diffpose_synthetic.py']

custom_imports = dict(imports=['track_text'])
