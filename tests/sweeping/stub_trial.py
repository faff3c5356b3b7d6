"""Stands in for ``cropi.job``: a run whose accuracy is best at x = 1, and breaks above 2.8."""

from __future__ import annotations

import json
import sys
from pathlib import Path

job = json.loads(Path(sys.argv[1]).read_text())
x = float(job["config"]["values"][0].partition("=")[2])
folder = Path(job["folder"])
folder.mkdir(parents=True, exist_ok=True)
if x > 2.8:
    sys.exit(4)
metrics = {"eval/targeted": -((x - 1) ** 2), "eval/all": 0.5, "eval/A/verdict/ok": 1.0}
(folder / "result.json").write_text(json.dumps({"metrics": metrics}))
