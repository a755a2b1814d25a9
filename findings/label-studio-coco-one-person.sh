#!/usr/bin/env bash
# label-studio-sdk 2.1.2: the converter that exports annotations, of a picture with two people, each a rectangle with its keypoints in it.
#
# One would guess: COCO's keypoints have an annotation a person, so two people give two; coordinates are those
# of the annotation, in pixels.
# What happens: one annotation with keypoints for the whole picture, whatever is in it. Of each joint the last one drawn is kept, so
# that a person can be made of one's head and another's feet. Places are rounded to whole pixels. Rectangles become
# annotations of their own, without keypoints. No warning. The export to YOLO of the same annotation has both people.
# Guessed before the run: two people, joints in the order of the labels. Missed: the rounding too.
# Versions: label-studio-sdk 2.1.2, Python 3.11. Who meets it: whoever has poses of several people corrected, and trains or
# evaluates on the export.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --no-compile --disable-pip-version-check label-studio-sdk==2.1.2
cd "$work"
"$work/venv/bin/python" -W ignore - << 'PY'
import importlib.metadata as metadata
import json
import pathlib

from label_studio_sdk.converter import Converter

pathlib.Path('config.xml').write_text('''<View>
  <Image name="image" value="$image"/>
  <RectangleLabels name="people" toName="image"><Label value="person"/></RectangleLabels>
  <KeyPointLabels name="joints" toName="image">
    <Label value="nose" model_index="0"/><Label value="ankle" model_index="1"/>
  </KeyPointLabels>
</View>''')
WIDTH, HEIGHT = 640, 480
PEOPLE = {'anna': {'nose': (100.3, 50.4), 'ankle': (110.3, 300.4)}, 'ben': {'nose': (500.3, 60.4)}}  # his ankle is hidden


def region(kind, name, value, **more):
    size = dict(original_width=WIDTH, original_height=HEIGHT, image_rotation=0)
    return dict(type=kind, from_name=name, to_name='image', value=value, **size, **more)


regions = []
for person, joints in PEOPLE.items():
    left = min(x for x, _ in joints.values()) - 20
    box = dict(x=left / WIDTH * 100, y=5, width=20, height=80, rotation=0, rectanglelabels=['person'])
    regions.append(region('rectanglelabels', 'people', box, id=person))
    for joint, (x, y) in joints.items():
        value = dict(x=x / WIDTH * 100, y=y / HEIGHT * 100, width=0.5, keypointlabels=[joint])
        regions.append(region('keypointlabels', 'joints', value, id=f'{person} {joint}', parentID=person))
task = dict(id=1, data=dict(image='/data/local-files/?d=walk/000001.jpg'))
task['annotations'] = [dict(id=1, completed_by=1, result=regions)]
pathlib.Path('export.json').write_text(json.dumps([task]))

converter = Converter('config.xml', '.', download_resources=False)
converter.convert_to_coco('export.json', 'coco', 'coco/images', is_dir=False)
content = json.loads(pathlib.Path('coco/result.json').read_text())
poses = [found['keypoints'] for found in content['annotations'] if found.get('keypoints')]
print(f'label-studio-sdk {metadata.version("label-studio-sdk")}: {len(PEOPLE)} people drawn: {PEOPLE}')
print(f'COCO: {len(content["annotations"])} annotations, of which {len(poses)} with keypoints: {poses}')
converter.convert_to_yolo('export.json', 'yolo', 'yolo/images', is_dir=False)
lines = [line for path in pathlib.Path('yolo/labels').glob('*') for line in path.read_text().splitlines()]
print(f'YOLO: {len(lines)} people: {lines}')
assert poses == [[500, 60, 2, 110, 300, 2]], 'CHANGED: COCO'  # ben's nose on anna's ankle
assert len(lines) == 2, 'CHANGED: YOLO'
PY
