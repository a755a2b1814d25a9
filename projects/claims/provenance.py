"""What must be known of a measurement to read its numbers."""

import argparse
import subprocess
from datetime import date
from pathlib import Path
from typing import Any


def provenance(args: argparse.Namespace, **facts: Any) -> dict[str, Any]:
    """The model, the commit and the date of a measurement, with other facts of it.

    Args:
        args: With ``config`` and ``checkpoint``.
        **facts: Whatever else it depends on.
    """
    commit = subprocess.run(
        ['git', 'rev-parse', '--short', 'HEAD'], capture_output=True, text=True, check=False
    )
    return dict(
        config=args.config,
        checkpoint=Path(args.checkpoint).name,
        **facts,
        commit=commit.stdout.strip(),
        date=date.today().isoformat(),
    )
