"""Steps and hypotheses at a slider, over a video: ``mim run diffpose_mm play VIDEO ...``."""

import argparse
import os.path as osp
import signal
import tempfile
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from diffpose_mm.apis import DiffPoseInferencer
from diffpose_mm.apis.boxes import read_boxes
from diffpose_mm.apis.defaults import MODEL, weights_of_config
from diffpose_mm.apis.kept_poser import MAX_FEATURE_BYTES, FeatureStore, KeepingPoser
from diffpose_mm.apis.poser import ClipPoser
from diffpose_mm.apis.records import instances_to_dicts
from diffpose_mm.apis.run import Run
from diffpose_mm.configs import read_config
from diffpose_mm.detectors import FORMS
from diffpose_mm.engine.launch import one_line_errors
from diffpose_mm.report import MAX_MEGABYTES, make_report
from diffpose_mm.report.server import PageServer

MOST_STEPS, MOST_HYPOTHESES = 50, 32  # of the sliders
MOST_FRAMES = 64  # of a question


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='play',
        description='Pose a video and serve its page on this machine, with sliders for the '
        'denoising steps and the hypotheses. They run the head again on features that were kept, '
        'not the backbone.',
    )
    parser.add_argument('input', help='video file')
    parser.add_argument(
        '--config',
        help='config file, or the name of one in this package (default: diffpose_real, which comes '
        'along with its weights)',
    )
    parser.add_argument('--checkpoint', help='weights of --config (default: random, to try it out)')
    parser.add_argument('--device', help='cpu, cuda:0, ... (default: a GPU if there is one)')
    parser.add_argument('--boxes', metavar='FILE', help='boxes in a JSON file; no detector runs')
    parser.add_argument(
        '--det-model',
        help=f"what finds people: {FORMS}; or 'whole_image' (default: the first that can be had)",
    )
    parser.add_argument('--det-checkpoint', help='its weights')
    parser.add_argument(
        '--max-people', type=int, metavar='N', help='of a frame, the N with the best boxes'
    )
    parser.add_argument(
        '--steps', type=int, help="denoising steps at first (default: the config's)"
    )
    parser.add_argument(
        '--hypotheses', type=int, help="poses sampled for a person at first (default: the config's)"
    )
    parser.add_argument(
        '--batch-size', type=int, default=8, help='people x frames in a pass (default: 8)'
    )
    parser.add_argument(
        '--features-size',
        type=float,
        default=MAX_FEATURE_BYTES / 1e6,
        metavar='MB',
        help='of the features that are kept at most, million bytes in the temporary folder; '
        'people beyond it keep their first poses (default: %(default).0f)',
    )
    parser.add_argument(
        '--max-size',
        type=float,
        default=MAX_MEGABYTES,
        metavar='MB',
        help='of the page, million bytes, see report (default: %(default)g)',
    )
    parser.add_argument(
        '--port', type=int, default=0, help='to serve on (default: any that is free)'
    )
    parser.add_argument(
        '--traceback', action='store_true', help='show where in the code an error was raised'
    )
    args = parser.parse_args(argv)
    if args.config is None and args.checkpoint is not None:
        parser.error('--checkpoint needs the --config of its model')
    for name in ('features_size', 'max_size'):
        if not getattr(args, name) > 0:
            parser.error(f'--{name.replace("_", "-")} must be positive')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Pose the video and serve its page until Ctrl-C.

    Args:
        argv: The arguments, without the program's name. Default: those of the process.

    Raises:
        SystemExit: With what is wrong with an argument, an input or a file.
    """
    args = parse_args(argv)
    # What a service manager sends ends it as Ctrl-C does.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    with one_line_errors(args.traceback):
        store = FeatureStore(int(args.features_size * 1e6))
        try:
            server = prepare(args, store)
            print(f'open {server.address} in a browser on this machine; Ctrl-C ends it', flush=True)
            server.serve()
        except KeyboardInterrupt:
            print('ended')
        finally:
            store.close()


def prepare(args: argparse.Namespace, store: FeatureStore) -> PageServer:
    """Pose the video, keeping its features in ``store``; the server of its page, not yet serving.

    Raises:
        ValueError: The input is no video file, or an argument cannot be used.
    """
    if not osp.isfile(args.input):
        raise ValueError(f'{args.input} is not a file: play takes a video file')
    if args.config is None:
        args.config, args.checkpoint = MODEL
    elif args.checkpoint is None:
        args.checkpoint = weights_of_config(args.config)
    inferencer = DiffPoseInferencer(
        read_config(args.config),
        args.checkpoint,
        device=args.device,
        det_model=args.det_model,
        det_weights=args.det_checkpoint,
        show_progress=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        run = inferencer(
            args.input,
            batch_size=args.batch_size,
            bboxes=None if args.boxes is None else read_boxes(args.boxes),
            max_people=args.max_people,
            sampling_steps=args.steps,
            num_hypotheses=args.hypotheses,
            return_hypotheses=hasattr(inferencer.model.head, 'check_test_cfg'),
            pred_out_dir=folder,
        )
        if not run.source.is_clip:
            raise ValueError(f'{args.input} is not a video')
        sampler = Sampler(run, store)
        for _ in run:
            pass
        report = make_report(run.files[0], args.input, args.max_size, live=sampler.facts())
    print(report.summary())
    if store.refused:
        print(
            f'{store.refused} poses cannot be sampled again: their features are beyond '
            f'--features-size, or the disk is full'
        )
    if args.checkpoint is None:
        print('these poses are those of RANDOM weights: give --checkpoint')
    return PageServer(report.page, sampler, args.port)


class Sampler:
    """Answers what the page of a run asks: poses of frames, by S steps and N hypotheses.

    Args:
        run: Not begun; its people's features are kept while it goes on.
        store: Takes them.
    """

    def __init__(self, run: Run, store: FeatureStore) -> None:
        self.run, self.store = run, store
        self.poser: KeepingPoser | None = None
        inferencer = run.inferencer
        self.reason = ''
        if not hasattr(inferencer.model.head, 'check_test_cfg'):
            kind = type(inferencer.model.head).__name__
            self.reason = (
                f'This model has no denoising steps (its head is a {kind}): give --config and '
                '--checkpoint of a DiffPose model.'
            )
        elif type(run.poser) is ClipPoser:
            self.poser = KeepingPoser(inferencer.model, inferencer.pipeline, run.test_cfg, store)
            run.poser = self.poser
        else:
            self.reason = 'The features of this model are not kept.'

    def facts(self) -> dict[str, Any]:
        """What the page has to know to ask."""
        if self.poser is None:
            return dict(reason=self.reason)
        head = self.run.inferencer.model.head
        cfg = head.check_test_cfg(dict(self.run.test_cfg))
        return dict(
            steps=cfg['sampling_steps'],
            hypotheses=cfg['num_hypotheses'],
            most_steps=max(min(MOST_STEPS, head.schedule.num_steps), cfg['sampling_steps']),
            most_hypotheses=max(MOST_HYPOTHESES, cfg['num_hypotheses']),
            not_kept=self.store.refused,
        )

    def __call__(self, question: dict) -> dict[str, Any]:
        """``frames``: frame number to people, as in the JSON; ``missing``: some are not kept.

        Raises:
            ValueError: The question is not one.
        """
        if self.poser is None:
            raise ValueError(self.reason)
        frames = question.get('frames')
        if (
            not isinstance(frames, list)
            or len(frames) > MOST_FRAMES
            or not all(type(number) is int for number in frames)
        ):
            raise ValueError(f'frames must be a list of at most {MOST_FRAMES} numbers')
        limits, values = self.facts(), {}
        for name in ('steps', 'hypotheses'):
            value, most = question.get(name), limits[f'most_{name}']
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(f'{name} must be an integer from 1 to {most}, got {value!r}')
            values[name] = value
        found = self.poser.sample_again(frames, values['steps'], values['hypotheses'])
        return dict(
            frames={number: self._people(posed) for number, posed in found.items()},
            missing=self.store.refused > 0,
        )

    def _people(self, posed: list) -> list[dict]:
        people = []
        for track, sample in posed:
            instances = self.run.keypoints.convert(sample).pred_instances
            if track is not None:
                instances.set_field(np.array([track]), 'track_ids')
            people += instances_to_dicts(instances, with_hypotheses=True)
        return people


if __name__ == '__main__':
    main()
