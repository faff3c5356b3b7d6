"""Stands in for ``cropi.job``: does what the job's name says, in no time."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

job = json.loads(Path(sys.argv[1]).read_text())
folder = Path(job["folder"])
folder.mkdir(parents=True, exist_ok=True)
cause = job["config"]["name"]
with (folder / "started").open("a") as starts:
    starts.write(f"{os.environ.get('CROPI_SWEEP')} {os.environ.get('CUDA_VISIBLE_DEVICES')}\n")
times = (folder / "started").read_text().count("\n")
if cause == "sleep":
    time.sleep(60)
if cause == "busy" and times < 3:
    sys.exit(75)
if cause == "raise" or (cause == "once" and times == 1):
    Path(sys.argv[2]).write_text(json.dumps({"error": "ValueError: broken"}))
    sys.exit(1)
if cause == "exit":
    sys.exit(3)
if cause == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(0.3)
(folder / "result.json").write_text("{}")
