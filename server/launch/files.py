"""Where the files that Envoy reads are: in the repository, or in the installed wheel.

What is in them, and what becomes of it, is not known here.
"""

from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]


def path(name: str) -> Path:
    """The absolute path of `envoy.yaml`, or of a file that is named there.

    Raises FileNotFoundError for what is in neither place.
    """
    for folder in (HERE, REPOSITORY, _generated()):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{name} is missing from this installation of Kintsugi")


def _generated() -> Path:
    spec = find_spec("kintsugi.v1.exception_pb2")
    return Path(spec.origin).parent if spec and spec.origin else HERE
