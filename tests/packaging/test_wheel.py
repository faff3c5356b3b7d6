"""The command works from a wheel, outside the repository, and editable from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def python(*arguments: str, cwd: Path, path: Path | None = None) -> str:
    """Run this interpreter; PYTHONPATH comes before an editable install's finder."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, check=False,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves its build folder in the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    sources.mkdir()
    for name in ("cropi", "baselines", "conf", "sweeps", "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            subprocess.run(["cp", "-r", str(ROOT / name), str(sources)], check=True)
    python("-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet",
           "--wheel-dir", str(folder), str(sources), cwd=folder)  # fmt: skip
    (built,) = folder.glob("cropi-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """A folder with the wheel's contents, as pip lays them out."""
    target = wheel.parent / "target"
    python("-m", "pip", "install", "--no-deps", "--quiet", "--target", str(target), str(wheel),
           cwd=wheel.parent)  # fmt: skip
    return target


@pytest.mark.slow
def test_wheel_holds_every_module_and_option(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    moved = {"conf": "cropi/conf", "sweeps": "cropi/sweeps"}
    for folder in ("cropi", "baselines", "conf", "sweeps"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".yaml") or path.name == "py.typed":
                inside = path.relative_to(ROOT / folder).as_posix()
                assert f"{moved.get(folder, folder)}/{inside}" in held, path
    assert not [name for name in held if name.startswith(("tests/", "docs/", "conf/"))]


@pytest.mark.slow
def test_installed_wheel_from_a_foreign_folder(installed: Path, tmp_path: Path) -> None:
    where = python("-c", "import cropi, baselines; print(cropi.__file__, baselines.__file__)",
                   cwd=tmp_path, path=installed)  # fmt: skip
    assert all(file.startswith(str(installed)) for file in where.split())
    shown = python("-m", "cropi", "--cfg", "job", "selector=full", cwd=tmp_path, path=installed)
    assert "_target_: baselines.full.Full" in shown
    assert "wandb" in python("-m", "cropi", "list", "tracker", cwd=tmp_path, path=installed)
    code = (
        "from cropi.composition import compose; from cropi.configuration import assemble; "
        "print(type(assemble(compose(['selector=full']))[1].selector))"
    )
    built = python("-c", code, cwd=tmp_path, path=installed)
    assert "baselines.full.Full" in built
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_installed_wheel_takes_a_users_group(installed: Path, tmp_path: Path) -> None:
    option = tmp_path / "myconf" / "selector" / "mine.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("# Mine.\n_target_: my_module.Mine\n\n# Share.\nalpha: 0.5\n")
    shown = python("-m", "cropi", "--config-dir", "myconf", "selector=mine", "--cfg", "job",
                   cwd=tmp_path, path=installed)  # fmt: skip
    assert "_target_: my_module.Mine" in shown


def test_the_environment_s_cropi_works_from_any_folder(tmp_path: Path) -> None:
    assert "_target_: baselines.full.Full" in python(
        "-m", "cropi", "--cfg", "job", "selector=full", cwd=tmp_path
    )
