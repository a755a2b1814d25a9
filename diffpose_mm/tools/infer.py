"""Poses of an image, a folder, a video or a webcam: ``mim run diffpose_mm infer INPUT ...``."""

import argparse
import glob
import os.path as osp
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from diffpose_mm.apis import DiffPoseInferencer, InferenceOptions, Run
from diffpose_mm.apis.boxes import read_boxes
from diffpose_mm.apis.defaults import DETECTOR, MODEL, output_folder, weights_of_config
from diffpose_mm.apis.exported import run_exported
from diffpose_mm.apis.infer_arguments import parse_args
from diffpose_mm.apis.naming import check_outputs
from diffpose_mm.apis.run_exports import check_exports, export_run, split_formats
from diffpose_mm.apis.run_figures import draw_sheet
from diffpose_mm.apis.run_hints import RunHints
from diffpose_mm.apis.run_page import page_of_run
from diffpose_mm.apis.run_smoothing import (
    check_smoothing,
    poses_of,
    set_aside_smoothed,
    smooth_run,
)
from diffpose_mm.apis.sink import set_aside
from diffpose_mm.configs import read_config
from diffpose_mm.engine.launch import merge_cfg_options, one_line_errors
from diffpose_mm.smoothing import smoothed_name
from diffpose_mm.visualization.video_figures import TrackHistory, trajectories

OTHERS = ('contact_sheet.png', 'trajectories.png', 'report.html')
"""What is written beside predictions and visualizations."""


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
        if args.det_model is None and args.det_checkpoint is None:
            args.det_model = DETECTOR
        args.streaming = not args.use_oks_tracking  # a fifth of the time, see docs/real_people.md
        print(f'poses are by {args.config}, which comes along')
    elif args.checkpoint is None:
        args.checkpoint = weights_of_config(args.config)
    if args.out is None:
        args.out = output_folder(args.input, args.resume)
    predictions = osp.join(args.out, 'predictions')
    pictures = '' if args.no_video else osp.join(args.out, 'visualizations')
    config = read_config(args.config)  # which may bring formats of its own
    formats, args.export = split_formats(args.format)
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
        formats=formats,
        resume=args.resume,
    )
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
        precision=args.precision,
    )
    results = inferencer(args.input, **options)
    others = [osp.join(args.out, name) for name in OTHERS]
    check_smoothing(args.smooth, results)
    poses = poses_of(results)
    if args.smooth is not None:
        poses = smoothed_name(poses)
        others.append(poses)
    others += check_exports(results, args.export, poses)
    check_outputs(others, results.source.paths)
    if args.boxes is not None:
        check_outputs([*results.files, *others], [args.boxes])
    if not args.resume:
        set_aside_smoothed(results)
        set_aside_figures(results, args.out)
    return follow(results, args)


def set_aside_figures(results: Run, folder: str) -> None:
    """Keep the figures of another input in the folder: its predictions stay there, too."""
    own = poses_of(results)
    others = glob.glob(osp.join(glob.escape(osp.dirname(own)), '*.json'))
    if own and any(path not in (own, smoothed_name(own)) for path in others):
        for path in (osp.join(folder, name) for name in OTHERS):
            if osp.isfile(path):
                set_aside(path, 'belongs to another input')


def follow(results: Run, args: argparse.Namespace) -> dict[str, Any]:
    """Go through a run, draw its figures, and print what was done."""
    history, hints = TrackHistory(), RunHints(results.keypoints.names)
    names: list[str] = []  # of pictures
    times: dict[int, float | None] = {}
    source = results.source
    start = time.perf_counter()
    stopped, error = False, None
    try:
        for result in results:
            (frame,) = result['frames']
            history.add(frame['frame_id'], result['predictions'][0])
            hints.add(result['predictions'][0])
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
    smooth = smooth_run(results, args.smooth)
    files += smooth
    files += export_run(smooth[0] if smooth else poses_of(results), args.export)
    if not args.no_report:
        page = osp.join(args.out, 'report.html')
        files += page_of_run(results, args.input, page, args.report_size, *smooth)
    rate = history.frames / max(elapsed, 1e-9)
    tracks = f' in {len(history)} tracks' if source.is_clip else ''
    print(
        f'{history.frames} frames, {history.people} people{tracks}, {elapsed:.1f} s '
        f'({rate:.1f} frames/s); written: {", ".join(files)}'
    )
    if args.checkpoint is None:
        print('these poses are those of RANDOM weights: give --checkpoint')
    for hint in hints.lines():
        print(hint)
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
