"""Poses of an image, a folder, a video or a webcam: ``mim run diffpose_mm infer INPUT ...``."""

import argparse
import os.path as osp
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from mmengine.config import DictAction

from diffpose_mm.apis import FORMATS, DiffPoseInferencer, InferenceOptions, Run
from diffpose_mm.apis.boxes import read_boxes
from diffpose_mm.apis.defaults import MODEL, output_folder
from diffpose_mm.apis.exported import ENGINES, run_exported
from diffpose_mm.apis.naming import check_outputs
from diffpose_mm.apis.run_figures import draw_sheet
from diffpose_mm.configs import read_config
from diffpose_mm.detectors import FORMS
from diffpose_mm.engine.launch import merge_cfg_options, one_line_errors
from diffpose_mm.keypoint_sets import KEYPOINT_SETS
from diffpose_mm.visualization.video_figures import TrackHistory, trajectories

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
  OUT/contact_sheet.png     key moments: equal shares of all movement, and the least certain frame
  OUT/trajectories.png      joints over time with a band of one standard deviation (clips only)

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
        help='config file, or the name of one in this package (default: MoveNet Thunder, which '
        'comes along with its weights and looks at single frames)',
    )
    parser.add_argument('--checkpoint', help='weights of --config (default: random, to try it out)')
    parser.add_argument(
        '--out', metavar='DIR', help='folder to write to (default: NAME_poses beside the input)'
    )
    parser.add_argument(
        '--format',
        nargs='+',
        default=list(DEFAULTS.formats),
        metavar='NAME',
        help=f'of the predictions, out of {", ".join(FORMATS)} (default: json)',
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
    if (args.engine == 'torch') != (args.model is None):
        parser.error('--engine onnxruntime or openvino and --model DIR go together')
    if args.config is None and args.checkpoint is not None:
        parser.error('--checkpoint needs the --config of its model')
    return args


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Infer as the command line says, and print what was done.

    Args:
        argv: The arguments, without the program's name. Default: those of the process.

    Returns:
        ``frames``, ``people`` (person-frames), ``tracks`` and ``files``.

    Raises:
        SystemExit: With what is wrong with an argument, an input or a file.
    """
    args = parse_args(argv)
    # What a batch system or a service manager sends completes the files as Ctrl-C does.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    with one_line_errors(args.traceback):
        return run(args)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Infer as parsed arguments say."""
    if args.engine != 'torch':
        return run_exported(args, parse_args([args.input]))
    if args.config is None:
        args.config, args.checkpoint = MODEL
        print(f'poses are by {args.config}, which comes along and looks at single frames')
    if args.out is None:
        args.out = output_folder(args.input, args.resume)
    predictions = osp.join(args.out, 'predictions')
    pictures = '' if args.no_video else osp.join(args.out, 'visualizations')
    options = dict(
        batch_size=args.batch_size,
        as_clip=args.as_clip,
        fps=args.fps,
        reconnect_at_end=args.reconnect_at_end,
        mode=args.mode,
        frame_offsets=args.frame_offsets,
        streaming=args.streaming,
        sampling_steps=args.steps,
        num_hypotheses=args.hypotheses,
        keypoints=args.keypoints,
        return_hypotheses=args.save_hypotheses,
        bboxes=None if args.boxes is None else read_boxes(args.boxes),
        bbox_thr=args.bbox_thr,
        nms_thr=args.nms_thr,
        max_people=args.max_people,
        use_oks_tracking=args.use_oks_tracking,
        tracking_thr=args.tracking_thr,
        show=args.show,
        draw_bbox=args.draw_bbox,
        kpt_thr=args.kpt_thr,
        radius=args.radius,
        thickness=args.thickness,
        vis_out_dir=pictures,
        pred_out_dir=predictions,
        formats=args.format,
        resume=args.resume,
    )
    config = read_config(args.config)  # which may bring formats of its own
    InferenceOptions(**options)  # what is wrong is said before the model is built
    merge_cfg_options(config, args.cfg_options)
    inferencer = DiffPoseInferencer(
        config,
        args.checkpoint,
        device=args.device,
        det_model=args.det_model,
        det_weights=args.det_checkpoint,
        det_cat_ids=args.det_cat_ids,
        show_progress=True,
    )
    results = inferencer(args.input, **options)
    others = [osp.join(args.out, name) for name in ('contact_sheet.png', 'trajectories.png')]
    check_outputs(others, results.source.paths)
    if args.boxes is not None:
        check_outputs([*results.files, *others], [args.boxes])
    return follow(results, args)


def follow(results: Run, args: argparse.Namespace) -> dict[str, Any]:
    """Go through a run, draw its figures, and print what was done."""
    history = TrackHistory()
    names: list[str] = []  # of pictures
    times: dict[int, float | None] = {}
    source = results.source
    start = time.perf_counter()
    stopped, error = False, None
    try:
        for result in results:
            (frame,) = result['frames']
            history.add(frame['frame_id'], result['predictions'][0])
            times[frame['frame_id']] = frame['time']
            if not source.is_clip and 'fault' not in frame:
                names.append(results.drawn_file(frame['frame_id']))
    except KeyboardInterrupt:
        results.close()
        stopped = True
    except OSError as lost:
        # What came before a connection was lost is complete, and worth its figures.
        if not (source.live and history.frames):
            raise
        error = lost
    elapsed = time.perf_counter() - start
    files = [osp.join(args.out, 'predictions')]
    if not args.no_video and history.frames:
        files.append(osp.join(args.out, 'visualizations'))
        files += draw_sheet(results, args.out, args.moments, history, times, names)
    if source.is_clip and history.people:
        plot = osp.join(args.out, 'trajectories.png')
        joints = results.keypoints.names
        fps = float(source.fps) if source.fps else None
        has_times = any(at is not None for at in times.values())
        trajectories(
            plot,
            history.longest(3),
            joints,
            fps,
            kpt_thr=args.kpt_thr,
            times=times if has_times else None,
        )
        files.append(plot)
    rate = history.frames / max(elapsed, 1e-9)
    tracks = f' in {len(history)} tracks' if source.is_clip else ''
    print(
        f'{history.frames} frames, {history.people} people{tracks}, {elapsed:.1f} s '
        f'({rate:.1f} frames/s); written: {", ".join(files)}'
    )
    if args.checkpoint is None:
        print('these poses are those of RANDOM weights: give --checkpoint')
    if results.num_faults:
        print(f'{results.num_faults} frames cannot be read and are gaps in the predictions')
    if source.reconnects:
        print(f'the connection was lost {source.reconnects} times and opened again')
    state = results.state
    if state is not None and state.person_frames:
        print(
            f'crops renewed in {100 * state.renewals / state.person_frames:.1f} % of '
            f'{state.person_frames} person-frames; '
            f'{state.backbone_passes / state.person_frames:.2f} backbone passes each'
        )
    if error is not None:
        raise error
    if stopped and not source.live:  # live input ends in no other way
        more = '; the same command with --resume continues it' if source.is_clip else ''
        print(f'interrupted{more}', file=sys.stderr)
        raise SystemExit(130)
    return dict(frames=history.frames, people=history.people, tracks=len(history), files=files)


if __name__ == '__main__':
    main()
