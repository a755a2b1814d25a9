"""``python -m diffpose_mm TOOL ...``: the tools, as ``mim run diffpose_mm TOOL`` reaches them."""

import importlib
import pkgutil
import sys
from difflib import get_close_matches

from . import tools


def main() -> None:
    """Run the tool that is named first."""
    names = sorted(module.name for module in pkgutil.iter_modules(tools.__path__))
    asked = sys.argv[1] if len(sys.argv) > 1 else '--help'
    if asked not in names:
        usage = f'usage: python -m diffpose_mm {{{",".join(names)}}} ..., TOOL --help explains each'
        if len(sys.argv) > 1 and asked in ('-h', '--help'):
            print(usage)
            return
        near = get_close_matches(asked, names, 1)
        hint = f': is {near[0]} meant?' if near else ''
        raise SystemExit(f'there is no tool {asked}{hint}\n{usage}' if len(sys.argv) > 1 else usage)
    name = sys.argv.pop(1)
    sys.argv[0] = name
    importlib.import_module(f'{tools.__name__}.{name}').main()


if __name__ == '__main__':
    main()
