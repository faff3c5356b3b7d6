"""Every finding of ``cropi doctor`` on machines that are not well."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from cropi import doctor
from cropi.cli import main


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend other versions; None is not installed."""
    real = metadata.version

    def pretend(**versions: str | None) -> None:
        def version(name: str) -> str:
            found = versions.get(name.replace("-", "_"), real)
            if found is None:
                raise metadata.PackageNotFoundError(name)
            return real(name) if callable(found) else found

        monkeypatch.setattr(metadata, "version", version)

    return pretend


def bad() -> list[doctor.Finding]:
    return [finding for finding in doctor.findings() if finding.state == "bad"]


def test_this_machine_is_ready(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("\nready\n")
    for name in ("Python 3.", "hydra-core", "omegaconf", "antlr4", "torch", "device cpu", "W&B"):
        assert f"ok    {name}" in out or f"note  {name}" in out
    assert str(tmp_path / "runs") in out
    assert not list(tmp_path.iterdir())


def test_wrong_antlr_names_who_pulled_it_in(
    installed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # hydra_ux.md, failure 2
    installed(antlr4_python3_runtime="4.11.0")

    class LmEval:
        requires = ("antlr4-python3-runtime==4.11; extra == 'math'", "not a requirement (")
        metadata = {"Name": "lm_eval"}  # noqa: RUF012

    monkeypatch.setattr(metadata, "distributions", lambda: [LmEval()])
    finding = doctor._antlr()
    assert finding.state == "bad"
    assert finding.what == (
        "antlr4-python3-runtime 4.11.0, but hydra-core 1.3 needs 4.9 (pulled in by lm_eval)"
    )
    assert finding.remedy.startswith("pip install 'antlr4-python3-runtime==4.9.3'")


def test_broken_requirements_are_bad_and_give_the_pip_line(
    installed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    installed(omegaconf="2.4.0", datasets=None)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "BAD   omegaconf 2.4.0, but <2.4,>=2.3 is needed\n" in out
    assert "-> pip install 'omegaconf<2.4,>=2.3'\n" in out
    assert "BAD   datasets is not installed\n" in out
    assert out.endswith("\nsomething needed is broken\n")


def test_missing_extra_is_only_a_note(installed: Callable[..., None]) -> None:
    installed(peft=None)
    (finding,) = [f for f in doctor.findings() if f.what.startswith("extra lora")]
    assert finding.state == "note"
    assert finding.remedy == "if you want it: pip install 'cropi[lora]'"


def test_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").write_text("a file")
    monkeypatch.chdir(tmp_path)
    (finding,) = bad()
    assert finding.what == f"runs: cannot write to {tmp_path / 'runs'}"
    assert finding.remedy == "set runs=FOLDER"


def test_nearly_full_disk_is_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2**30}))
    finding = doctor._folder("runs", tmp_path, "runs=FOLDER")
    assert (finding.state, finding.what) == ("note", f"runs: {tmp_path} has 1.0 GiB left")


@pytest.mark.parametrize("python", [(3, 10, 1), (3, 14, 0)])
def test_unsupported_python(python: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.version_info", python)
    assert doctor._python().state == "bad"


def test_wandb_key_is_known_but_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert doctor._wandb().what == "W&B: no API key is set, runs are offline"
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    finding = doctor._wandb()
    assert finding.what == "W&B: an API key is set, runs are online"
    assert "0123456789abcdef" not in repr(finding)


def test_another_package_named_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "packages_distributions", lambda: {"baselines": ["other"]})
    assert doctor._baselines().state == "bad"


def test_doctor_works_where_hydra_is_broken(tmp_path: Path) -> None:
    (tmp_path / "hydra.py").write_text("raise Exception('Could not deserialize ATN')")
    code = "import sys; from cropi.cli import main; sys.exit(main(sys.argv[1:]))"
    doctor_run, list_run = (
        subprocess.run([sys.executable, "-c", code, command], cwd=tmp_path, check=False,
                       capture_output=True, text=True)
        for command in ("doctor", "list")
    )  # fmt: skip
    assert (doctor_run.returncode, list_run.returncode) == (0, 0)


def test_a_broken_installation_points_to_the_doctor(tmp_path: Path) -> None:
    (tmp_path / "hydra.py").write_text("raise Exception('Could not deserialize ATN')")
    code = "import sys; from cropi.cli import main; sys.exit(main([]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: hydra cannot be imported (Could not deserialize ATN); "
        "`cropi doctor` says what to install"
    )
