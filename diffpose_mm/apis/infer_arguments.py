"""The command line of ``infer``: its arguments, and what of them cannot be."""

import argparse
from collections.abc import Sequence

from mmengine.config import DictAction

from ..detectors import FORMS
from ..interchange import POSE_FORMATS
from ..keypoint_sets import KEYPOINT_SETS
from ..report import MAX_MEGABYTES
from ..smoothing import METHODS
from .exported import ENGINES
from .formats import FORMATS
from .options import InferenceOptions
from .precision import PRECISIONS

DEFAULTS = InferenceOptions()

EXAMPLES = """
examples:
  real people, with what comes along:
    mim run diffpose_mm infer walk.mp4

  people found by the first detector that can be had (mmdet's RTMDet-m; docs/detectors.md):
    mim run diffpose_mm infer walk.mp4 --config diffpose_posetrack18 --checkpoint best.pth --out out

  a detector of your own, four hypotheses, uncertainty in the pictures and in the JSON:
    ... --det-model rtmdet_tiny_8xb32-300e_coco --det-checkpoint rtmdet.pth --hypotheses 4

  detectors of transformers (by name on the Hugging Face hub, or a folder) and of torchvision:
    ... --det-model hf:PekingU/rtdetr_v2_r18vd
    ... --det-model torchvision:fasterrcnn_resnet50_fpn_v2

  boxes that you have; one person as large as the picture; a folder of frames of one video:
    ... --boxes boxes.json
    ... --det-model whole_image
    ... frames/ --as-clip

  live, without waiting for later frames, each frame through the backbone once:
    ... webcam:0 --streaming --show
    ... rtsp://192.168.1.20/stream1 --streaming --out out

  a long video that was interrupted:
    ... walk.mp4 --out out --resume

what is written:
  OUT/visualizations/NAME   the video (or pictures) with poses drawn
  OUT/predictions/NAME.json a list of {frame_id, time, frames_used, instances: [{keypoints,
                            keypoint_scores, keypoint_std, bbox, bbox_score, track_id}]} in image
                            pixels and seconds, the first with {meta: joints, skeleton, frame
                            rate, ...}; while it runs NAME.jsonl, a line a frame. Of a picture
                            that is not part of a clip: the list of its instances. A frame that
                            cannot be read keeps its number, with the reason as fault
  OUT/predictions/NAME_smooth.json  with --smooth: the same, steady over time
  OUT/contact_sheet.png     key moments: equal shares of all movement, and the least certain frame
  OUT/trajectories.png      joints over time with a band of one standard deviation (clips only)
  OUT/report.html           of a video file: all of this to look at, in any browser, offline

boxes.json is a list with one entry a frame, or an object from frame number to entry; an entry is
[[x1, y1, x2, y2], ...], or {"bboxes": ..., "scores": ..., "track_ids": ...}. The predictions file
of a video, written by this tool or by mmpose, works as well.
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='infer',
        description='Estimate the poses of people in images, videos or a webcam.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'input', help='image, folder of images, video file, webcam:0, or the address of a stream'
    )
    parser.add_argument(
        '--config',
        help='config file, or the name of one in this package (default: diffpose_real, which comes '
        'along with its weights, with --streaming)',
    )
    parser.add_argument(
        '--checkpoint',
        help='weights of --config (default: those that come along with it, else random, to try it)',
    )
    parser.add_argument(
        '--out', metavar='DIR', help='folder to write to (default: NAME_poses beside the input)'
    )
    parser.add_argument(
        '--format',
        nargs='+',
        default=list(DEFAULTS.formats),
        metavar='NAME',
        help=f'of the predictions, out of {", ".join({**FORMATS, **POSE_FORMATS})} (default: json)',
    )
    parser.add_argument('--resume', action='store_true', help='continue the interrupted run in DIR')
    parser.add_argument(
        '--engine',
        choices=['torch', *ENGINES],
        default='torch',
        help='what runs the networks; all but torch need --model and --boxes (default: torch)',
    )
    parser.add_argument('--model', metavar='DIR', help='what export wrote, for --engine')
    parser.add_argument('--device', help='cpu, cuda:0, ... (default: a GPU if there is one)')
    parser.add_argument(
        '--precision',
        choices=list(PRECISIONS),
        default='float32',
        help='number format of backbone and neck; float16 on GPUs alone (default: float32)',
    )

    people = parser.add_argument_group('who is in a frame')
    people.add_argument('--boxes', metavar='FILE', help='boxes in a JSON file; no detector runs')
    people.add_argument(
        '--det-model',
        help=f"what finds people: {FORMS}; or 'whole_image' (default: the first that can be had)",
    )
    people.add_argument(
        '--det-checkpoint', help='its weights; without --det-model, the config in them is used'
    )
    people.add_argument(
        '--det-cat-ids',
        type=int,
        nargs='+',
        help='its labels that mean people (default: those called person)',
    )
    people.add_argument(
        '--bbox-thr',
        type=float,
        default=DEFAULTS.bbox_thr,
        help='minimum box score (default: %(default)s)',
    )
    people.add_argument(
        '--nms-thr',
        type=float,
        default=DEFAULTS.nms_thr,
        help='maximum IoU of two boxes (default: %(default)s)',
    )
    people.add_argument(
        '--max-people', type=int, metavar='N', help='of a frame, the N with the best boxes'
    )
    people.add_argument(
        '--use-oks-tracking',
        action='store_true',
        help='track by keypoints (OKS) instead of boxes (IoU)',
    )
    people.add_argument(
        '--tracking-thr',
        type=float,
        default=DEFAULTS.tracking_thr,
        help='minimum IoU or OKS from frame to frame (default: %(default)s)',
    )

    clip = parser.add_argument_group('clips')
    clip.add_argument(
        '--mode',
        choices=['offline', 'causal'],
        help='causal: no frame after the keyframe is used (default: offline; live input: causal)',
    )
    clip.add_argument(
        '--frame-offsets', type=int, nargs='+', help="the window's frames (default: the config's)"
    )
    clip.add_argument(
        '--smooth',
        choices=list(METHODS),
        help='write NAME_smooth.json beside the poses as they are: made steady over time with '
        '(rts) or without (one-euro) looking ahead; report.html shows them (docs/smoothing.md)',
    )
    clip.add_argument(
        '--as-clip', action='store_true', help='images of a folder are consecutive frames'
    )
    clip.add_argument(
        '--fps', type=float, help='frames a second, where the input has no frame rate of its own'
    )
    clip.add_argument(
        '--reconnect-at-end',
        action='store_true',
        help='connect to a stream again also when the other side ends it (a camera that restarts)',
    )
    clip.add_argument(
        '--streaming',
        action='store_true',
        help='about one backbone pass per person and frame, not one per frame of each window',
    )
    clip.add_argument(
        '--batch-size', type=int, default=8, help='people x frames in a pass (default: 8)'
    )

    model = parser.add_argument_group('diffusion')
    model.add_argument('--steps', type=int, help="denoising steps (default: the config's)")
    model.add_argument(
        '--hypotheses', type=int, help="poses sampled for a person (default: the config's)"
    )
    model.add_argument(
        '--save-hypotheses', action='store_true', help='write every hypothesis to the JSON'
    )
    model.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='values that replace those of the config, as model.test_cfg.flip_test=False',
    )

    parser.add_argument(
        '--keypoints',
        choices=list(KEYPOINT_SETS),
        help="give this set of keypoints in place of the model's; those that the model does not "
        'have are absent: (0, 0) with score 0',
    )
    drawing = parser.add_argument_group('drawing')
    drawing.add_argument(
        '--no-video', action='store_true', help='write no drawn video or pictures, no contact sheet'
    )
    drawing.add_argument(
        '--no-report', action='store_true', help='write no page (report.html) of a video'
    )
    drawing.add_argument(
        '--report-size',
        type=float,
        default=MAX_MEGABYTES,
        metavar='MB',
        help='of the page at most, million bytes; the video in it is made smaller to fit '
        '(default: %(default)g)',
    )
    drawing.add_argument('--show', action='store_true', help='show the frames in a window')
    drawing.add_argument('--draw-bbox', action='store_true', help='draw the boxes')
    drawing.add_argument(
        '--kpt-thr',
        type=float,
        default=DEFAULTS.kpt_thr,
        help='minimum score of a drawn joint (default: %(default)s)',
    )
    drawing.add_argument('--radius', type=int, help="of a joint (default: by the frame's size)")
    drawing.add_argument('--thickness', type=int, help="of a limb (default: by the frame's size)")
    drawing.add_argument(
        '--moments', type=int, default=12, help='frames on the contact sheet (default: 12)'
    )
    parser.add_argument(
        '--traceback', action='store_true', help='show where in the code an error was raised'
    )
    args = parser.parse_args(argv)
    if args.moments < 1:
        parser.error('--moments must be at least 1')
    if not args.report_size > 0:
        parser.error('--report-size must be positive')
    if (args.engine == 'torch') != (args.model is None):
        parser.error('--engine onnxruntime or openvino and --model DIR go together')
    if args.config is None and args.checkpoint is not None:
        parser.error('--checkpoint needs the --config of its model')
    return args
