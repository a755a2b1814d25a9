"""Labels by a teacher: ``mim run diffpose_mm pseudo_label VIDEO... --out DIR``."""

import argparse
import os.path as osp
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from diffpose_mm.apis import DiffPoseInferencer
from diffpose_mm.apis.file_sources import is_picture
from diffpose_mm.apis.label_rules import Label, LabelRules
from diffpose_mm.apis.label_set import LabelSet
from diffpose_mm.apis.naming import unique_stems
from diffpose_mm.apis.progress import frame_progress
from diffpose_mm.apis.sources import find_source
from diffpose_mm.configs import read_config
from diffpose_mm.engine.launch import one_line_errors
from diffpose_mm.files import prepare_folder, read_json
from diffpose_mm.images import read_image
from diffpose_mm.visualization.label_figures import evenly, label_tile
from diffpose_mm.visualization.video_figures import contact_sheet

RULES = LabelRules()
DEFAULT_TEACHER, DEFAULT_WEIGHTS = 'movenet_thunder', 'shipped://movenet-thunder'

EXAMPLES = """
examples:
  two videos to train on and one to validate on (a video belongs to one split):
    mim run diffpose_mm pseudo_label walk.mp4 dance.mp4 --out data/mine
    mim run diffpose_mm pseudo_label jump.mp4 --out data/mine --split val

  a teacher of your own, any top-down model of mmpose:
    ... --teacher td-hm_ViTPose-huge.py --teacher-checkpoint vitpose_h.pth

what is written:
  OUT/images/VIDEO/000000.jpg ...         every frame
  OUT/annotations/SPLIT/VIDEO.json        people and joints that the teacher is sure of
  OUT/teacher/VIDEO/                      all that it said; an interrupted run goes on from there
  OUT/kept_SPLIT.png, dropped_SPLIT.png   people who are labelled; those left out, if any
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='pseudo_label',
        description='Label videos by a teacher that sees single frames.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('videos', nargs='+', metavar='VIDEO', help='video, or folder of frames')
    parser.add_argument('--out', required=True, metavar='DIR', help='the data set')
    parser.add_argument('--split', default='train', help='(default: train)')
    parser.add_argument(
        '--teacher', default=DEFAULT_TEACHER, metavar='CONFIG',
        help='config of a top-down model, or the name of one in this package (default: '
        '%(default)s)',
    )  # fmt: skip
    parser.add_argument('--teacher-checkpoint', metavar='FILE', help='its weights')
    parser.add_argument('--det-model', help='as at infer')
    parser.add_argument('--det-checkpoint', help='its weights')
    parser.add_argument('--bbox-thr', type=float, default=0.3, help='(default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=8, help='(default: %(default)s)')
    parser.add_argument('--device', help='cpu, cuda:0, ... (default: a GPU if there is one)')
    rules = parser.add_argument_group('what a label has to be like')
    for name, text in dict(
        min_joint_score='score of a joint that gets a label',
        min_joints='labelled joints that make a person',
        min_person_score="mean score of a person's labelled joints",
        min_height='height of a person in pixels',
        max_jump='distance of a joint from where the frames before and after say, by the '
        "person's size",
        smooth='seconds before and after over which labels are steadied; 0: not at all',
    ).items():
        default = getattr(RULES, name)
        rules.add_argument(
            f'--{name.replace("_", "-")}',
            type=type(default),
            default=default,
            help=f'{text} (default: {default})',
        )
    parser.add_argument(
        '--tiles', type=int, default=24, help='people on each of the sheets (default: %(default)s)'
    )
    parser.add_argument(
        '--traceback', action='store_true', help='show where in the code an error was raised'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> dict[str, int]:
    """Label as the command line says, and print what was done.

    Returns:
        The counts over all videos.

    Raises:
        SystemExit: With what is wrong with an argument, an input or a file.
    """
    args = parse_args(argv)
    with one_line_errors(args.traceback):
        return run(args)


def run(args: argparse.Namespace) -> dict[str, int]:
    """Label as parsed arguments say."""
    rules = LabelRules(**{name: getattr(args, name) for name in asdict(RULES)})
    sources = [find_source(video, True) for video in args.videos]
    for video, source in zip(args.videos, sources):
        if is_picture(video) or not (source.is_clip and source.from_disk):
            raise ValueError(f'{video} is not a video or a folder of frames')
    names = unique_stems([source.name for source in sources])
    weights = args.teacher_checkpoint
    if weights is None and args.teacher == DEFAULT_TEACHER:
        weights = DEFAULT_WEIGHTS
    inferencer = DiffPoseInferencer(
        read_config(args.teacher),
        weights,
        device=args.device,
        det_model=args.det_model,
        det_weights=args.det_checkpoint,
        show_progress=True,
    )
    if 'flip_test' in inferencer.model.test_cfg:
        # Heatmaps of the crop and its mirror image are averaged before they are decoded.
        inferencer.model.test_cfg.flip_test = True
        inferencer.cfg.model.test_cfg.flip_test = True
    data = LabelSet(args.out, args.split)
    total: Counter[str] = Counter()
    people: list[tuple[str, Label]] = []
    skeleton: list = []
    for video, name in zip(args.videos, names):
        predictions = teach(inferencer, video, name, args)
        skeleton = predictions[0]['meta']['skeleton']
        identity = dict(teacher=predictions[0]['run'], rules=asdict(rules))
        source = find_source(video, True)
        if data.find(name, identity) is not None:
            print(f'{name}: is labelled already')
            continue
        with frame_progress(f'{name}: frames', len(predictions)) as advance:
            labels, counts = data.add(name, source, predictions, rules, identity, advance)
        people += [(name, label) for label in labels]
        total.update(counts)
        print(f'{name}: {in_words(counts)}')
    if people:
        draw_sheets(args, people, skeleton)
        print(f'together: {in_words(total)}; written: {args.out}')
    if total['frames'] and not total['people']:
        print(
            'no person was labelled: look at the sheets, and at --det-model, --min-height and '
            '--min-joint-score',
            file=sys.stderr,
        )
    return dict(total)


def teach(inferencer: Any, video: str, name: str, args: argparse.Namespace) -> list[dict]:
    """All that the teacher says of a video; goes on where it was interrupted."""
    folder = osp.join(args.out, 'teacher', name)
    prepare_folder(folder)
    results = inferencer(
        video,
        as_clip=True,
        resume=True,
        pred_out_dir=folder,
        bbox_thr=args.bbox_thr,
        batch_size=args.batch_size,
    )
    for _ in results:
        pass
    return read_json(results.files[0])


def in_words(counts: Counter[str]) -> str:
    """The counts in a line."""
    left_out = [f'{n} {what}' for what, n in sorted(counts.items()) if n and what not in _MAIN]
    words = ', '.join(f'{counts[what]} {what}' for what in _MAIN)
    return words + (f'; left out: {", ".join(left_out)}' if left_out else '')


_MAIN = ('frames', 'frames with labels', 'people')


def draw_sheets(args: argparse.Namespace, people: list, skeleton: list) -> None:
    """People who are labelled, and who were left out, each on a sheet."""
    for sheet in ('kept', 'dropped'):
        chosen = [(n, x) for n, x in people if (x.reason is None) == (sheet == 'kept')]
        tiles, titles = [], []
        for i in evenly(len(chosen), args.tiles) if chosen else ():
            name, label = chosen[i]
            image = read_image(osp.join(args.out, 'images', name, f'{label.frame:06d}.jpg'))
            tiles.append(label_tile(image, label.box, label.keypoints, label.labelled, skeleton))
            text = label.reason or f'{np.mean(label.scores[label.labelled]):.2f}'
            titles.append(f'{name} {label.frame}: {text}')
        if tiles:
            contact_sheet(osp.join(args.out, f'{sheet}_{args.split}.png'), tiles, titles)


if __name__ == '__main__':
    main()
