"""The pictures of the documentation are those of a real search, and can be taken at any time."""

from pathlib import Path

import pytest
from PIL import Image
from tests import browser, processes

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("dashboard", "notebook", "report")


@pytest.mark.slow
def test_the_pictures_are_taken(tmp_path):
    if browser.program() is None:
        browser.absent("there is no browser to take pictures with")
    script = ROOT / "docs" / "screenshots.py"
    result = processes.run(script, tmp_path / "pictures", "3", cwd=tmp_path, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert sorted(path.stem for path in (tmp_path / "pictures").iterdir()) == sorted(NAMES)
    for name in NAMES:
        taken, held = (Image.open(folder / f"{name}.png") for folder in (tmp_path / "pictures", ROOT / "docs"))
        assert taken.width == held.width  # those of the documentation come from this script
        assert len(taken.convert("RGB").getcolors(1 << 24)) > 100
