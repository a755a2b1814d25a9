"""``python -m diffpose_mm TOOL ...``: the tools, as ``mim run diffpose_mm TOOL`` reaches them."""

import importlib
import pkgutil
import sys

from . import tools


def main() -> None:
    """Run the tool that is named first."""
    names = sorted(module.name for module in pkgutil.iter_modules(tools.__path__))
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        raise SystemExit(f'usage: python -m diffpose_mm {{{",".join(names)}}} ...')
    name = sys.argv.pop(1)
    sys.argv[0] = name
    importlib.import_module(f'{tools.__name__}.{name}').main()


if __name__ == '__main__':
    main()
