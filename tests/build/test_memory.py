"""Memory does not grow with the number of clips: of a clip that is done, nothing but its line stays.

The shipped build with its nets over 200 and 2,000 clips is measured by benchmarks/build.py.
"""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
write_clip = runpy.run_path(str(FOLDER / "conftest.py"))["write_clip"]
FEW, MANY = 20, 100

MEASURED = """
import gc, re, runpy, sys
from pathlib import Path
from emotion_llama.build.run import Workers, build
from emotion_llama.clip import Clip

light, path, out = runpy.run_path(sys.argv[1])["light"], Path(sys.argv[2]), Path(sys.argv[3])
few, many = map(int, sys.argv[4:])

def peak_kb(first, count):
    clips = [
        Clip(clip=f"{n}", path=path, start_s=float(n), end_s=n + 1.0, emotion="sad", transcript=f"Sentence {n}.")
        for n in range(first, first + count)
    ]
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    assert build(light(), clips, out / str(count), Workers()).entries == count
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

peak_kb(0, few)  # everything is loaded, and the allocator has what one clip takes
print(peak_kb(0, few + 1), peak_kb(few, many))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads its peak from Linux's /proc")
def test_memory_does_not_grow_with_the_number_of_clips(tmp_path: Path) -> None:
    """One process does all; a clip's sound alone is 64 kB, its pictures 370 kB: below 60 kB a clip, neither stays."""
    path = write_clip(tmp_path / "long.mp4", seconds=FEW + MANY + 1, size=(128, 96), noise=3)
    words = [str(FOLDER / "conftest.py"), str(path), str(tmp_path), str(FEW), str(MANY)]
    done = subprocess.run([sys.executable, "-c", MEASURED, *words], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    few_kb, many_kb = map(int, done.stdout.split())
    assert many_kb - few_kb < 60 * (MANY - FEW)
