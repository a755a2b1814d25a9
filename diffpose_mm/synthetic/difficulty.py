"""What makes a synthetic video hard, and the presets."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Difficulty:
    """What makes a video hard; see DIFFICULTIES for the presets.

    Attributes:
        people: probabilities of 1, 2, 3 and 4 people.
        cross: probability that a further person crosses the first one's line of sight.
        occluders: mean number of moving occluders that pass a person, per second.
        occluder_speed: slowest and fastest of the moving ones, pixels of a 240-row frame a second.
        static_occluders: mean number of standing ones.
        exposure: shortest and longest exposure time as shares of the frame interval.
        shake: largest amplitude of the hand's tremor, radians at bursts.
        pan: largest pan rate, radians a second.
        defocus: mean number of defocus stretches, per second.
        defocus_size: smallest and largest circle of confusion, pixels of a 240-row frame.
        gain: mean number of exposure changes, per second.
        clutter: body-coloured strokes in the background, per frame area.
        back: probability that a standing person shows the back.
        noise: largest sensor noise, grey levels.
        families: probabilities of walk, run, jump, wave, squat, turn, fall.
        fps: frames a second.
    """

    people: tuple[float, ...] = (0.3, 0.4, 0.2, 0.1)
    cross: float = 0.5
    occluders: float = 0.7
    occluder_speed: tuple[float, float] = (110, 420)
    static_occluders: float = 0.25
    exposure: tuple[float, float] = (0.14, 0.38)
    shake: float = 0.02
    pan: float = 0.2
    defocus: float = 0.3
    defocus_size: tuple[float, float] = (3.0, 6.5)
    gain: float = 0.4
    clutter: float = 3.0
    back: float = 0.05
    noise: float = 4.0
    families: tuple[float, ...] = (0.25, 0.18, 0.12, 0.16, 0.11, 0.13, 0.05)
    fps: float = 15.0


DIFFICULTIES: dict[str, Difficulty] = {
    'easy': Difficulty(
        people=(0.7, 0.3, 0, 0),
        cross=0.2,
        occluders=0.15,
        static_occluders=0.1,
        exposure=(0.1, 0.4),
        shake=0.008,
        pan=0.1,
        defocus=0.05,
        defocus_size=(2.5, 4.0),
        gain=0.1,
        clutter=2.0,
        back=0.1,
        noise=3.0,
        families=(0.28, 0.1, 0.12, 0.2, 0.14, 0.12, 0.04),
    ),
    'standard': Difficulty(),
    'hard': Difficulty(
        people=(0.1, 0.25, 0.35, 0.3),
        cross=0.9,
        occluders=2.0,
        static_occluders=0.8,
        exposure=(0.6, 1.0),
        shake=0.06,
        pan=0.4,
        defocus=0.6,
        defocus_size=(4.0, 11.0),
        gain=0.8,
        clutter=16.0,
        back=0.3,
        noise=12.0,
        families=(0.2, 0.26, 0.14, 0.1, 0.1, 0.1, 0.1),
    ),
    # Frame rate and motion of ordinary footage: for 64 frames and more a video.
    'slow': Difficulty(
        occluders=1.2,
        occluder_speed=(50, 200),
        static_occluders=0.5,
        exposure=(0.15, 0.5),
        shake=0.008,
        pan=0.08,
        families=(0.34, 0.04, 0.04, 0.28, 0.12, 0.16, 0.02),
        fps=25.0,
    ),
}


def difficulty_named(name: str) -> Difficulty:
    """The preset of that name; ValueError when there is none."""
    if name not in DIFFICULTIES:
        raise ValueError(f'difficulty is {name!r}, must be one of {", ".join(DIFFICULTIES)}')
    return replace(DIFFICULTIES[name])
