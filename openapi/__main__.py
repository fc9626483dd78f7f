"""Writes openapi.json and its page: `python -m openapi build/protos.binpb gen/kintsugi/v1`.

`make gen` runs it.
"""

import json
import sys
from pathlib import Path

from openapi.document import document
from openapi.page import page
from openapi.protos import Protos
from server.resources.document import DESCRIBED


def main(descriptors: str, directory: str) -> None:
    made = document(Protos.parse(Path(descriptors).read_bytes()), DESCRIBED)
    text = json.dumps(made, indent=1, ensure_ascii=False)
    Path(directory, "openapi.json").write_text(f"{text}\n", encoding="utf-8")
    Path(directory, "reference.html").write_text(page(made), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
