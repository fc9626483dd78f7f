"""A file that only its owner may read, from its first moment on, and never half of it."""

import os
from pathlib import Path


def write(file: Path, text: str) -> None:
    """Raises OSError."""
    aside = file.with_name(f"{file.name}.{os.getpid()}")
    aside.touch(mode=0o600, exist_ok=False)
    aside.write_text(text)
    aside.replace(file)
