"""Sums up the invoices of a month: `bill.py invoices.csv`. A row without a total stops it.

It knows nothing of Kintsugi; `kintsugi exec` runs it as it is.
"""

import csv
import sys
from decimal import Decimal
from pathlib import Path


def total_of(row: dict[str, str]) -> Decimal:
    if not row["total"]:
        raise ValueError(f"invoice {row['number']} of {row['customer']} has no total")
    return Decimal(row["total"])


def bill(path: Path) -> None:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    due = Decimal(0)
    for row in rows:
        due += total_of(row)
        print(f"{row['number']}  {row['customer']:<12} {row['total']:>10}", flush=True)
    print(f"billed {due} to {len(rows)} customers")


if __name__ == "__main__":
    bill(Path(sys.argv[1]))
