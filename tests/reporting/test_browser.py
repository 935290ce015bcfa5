"""The page in a real browser: no console output, no requests, not blank, as wide as a phone."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from asr_unlearn.reporting import write_report
from tests.support.made_up_runs import attacked, recorded

SIX = ("original", "retrained", "gradient_ascent", "neggrad_plus", "orthograd", "orthograd_tau")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next((found for name in NAMES if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason=f"no browser on this machine (looked for {', '.join(NAMES)})"
)


class Visit(NamedTuple):
    console: list[str]
    requests: list[str]
    picture: Image.Image


def browse(page: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    return subprocess.run(
        [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND",
         f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr",
         *options, page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip


def visit(page: Path, folder: Path, *options: str) -> Visit:
    """Open a page: its console lines, its requests, and a screenshot."""
    log, picture = folder / "net.json", folder / "page.png"
    run = browse(page, folder, f"--log-net-log={log}", f"--screenshot={picture}", *options)
    console = [line for line in run.stderr.splitlines() if ":CONSOLE" in line]
    net = json.loads(log.read_text())
    started = net["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    begun = [event["params"] for event in net["events"] if event["type"] == started]
    # The browser's own requests (updates, dictionaries) have no page as their origin.
    requests = [
        params["url"]
        for params in begun
        if params.get("url", "").startswith("http") and params["initiator"] != "not an origin"
    ]
    return Visit(console, requests, Image.open(picture).convert("RGB"))


def _colours(picture: Image.Image) -> int:
    return len(picture.getcolors(picture.width * picture.height) or [])


def test_the_check_itself_sees_errors_requests_and_blankness(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        '<!doctype html><img src="http://asr-unlearn.invalid/x.png" hidden>'
        "<script>missing()</script>"
    )
    seen = visit(page, tmp_path, "--window-size=600,400")
    assert any("missing is not defined" in line for line in seen.console)
    assert seen.requests == ["http://asr-unlearn.invalid/x.png"]
    assert _colours(seen.picture) == 1


@pytest.mark.parametrize(
    ("options", "dark"),
    [
        (("--window-size=1200,3000", "--blink-settings=preferredColorScheme=1"), False),
        (("--window-size=500,3000", "--blink-settings=preferredColorScheme=0"), True),
    ],
)
def test_the_report_opens_without_errors_and_requests(
    make_run: Callable[..., Path], tmp_path: Path, options: tuple[str, ...], dark: bool
) -> None:
    hostile = ["<script>missing()</script>", "<img src=http://asr-unlearn.invalid/y.png>"]
    run = make_run(texts=hostile * 30)
    recorded(run)
    _, page = write_report(run)
    seen = visit(page, tmp_path, *options)
    assert seen.console == []
    assert seen.requests == []
    assert _colours(seen.picture) > 50
    corner = seen.picture.getpixel((2, 2))
    assert isinstance(corner, tuple)
    assert (sum(corner) < 150) == dark


# A page of its own, because the report's forbids scripts: frames of a phone's width and of a
# desktop's, with everything unfolded.
MEASURE = """<!doctype html>
<iframe src="report.html" width="360" height="700"></iframe>
<iframe src="report.html" width="1250" height="700"></iframe>
<script>
for (const frame of document.querySelectorAll("iframe")) frame.onload = () => {
  const page = frame.contentDocument, root = page.documentElement;
  page.querySelectorAll("details").forEach(part => part.open = true);
  const scrolls = [...page.querySelectorAll(".scroll")].filter(t => t.scrollWidth > t.clientWidth);
  const output = document.body.appendChild(document.createElement("output"));
  output.textContent = `${frame.width} ${root.scrollWidth} ${scrolls.length}`;
};
</script>"""


def test_only_tables_scroll_sideways(make_run: Callable[..., Path], tmp_path: Path) -> None:
    run = make_run(models=SIX, seeds=(0, 1), texts=["x" * 400])
    attacked(run)
    recorded(run)
    write_report(run)
    frames = tmp_path / "frames.html"
    frames.write_text(MEASURE)
    shown = browse(frames, tmp_path, "--allow-file-access-from-files", "--dump-dom").stdout
    found = re.findall(r"<output>(\d+) (\d+) (\d+)</output>", shown)
    measured = {int(frame): (int(width), int(scrolls)) for frame, width, scrolls in found}
    assert set(measured) == {360, 1250}
    for frame, (width, _) in measured.items():
        assert width <= frame
    assert measured[360][1] > 5  # so it is the tables that scroll
    assert measured[1250][1] < measured[360][1]


def test_the_report_prints(make_run: Callable[..., Path], tmp_path: Path) -> None:
    run = make_run(models=SIX)
    recorded(run)
    _, page = write_report(run)
    paper = tmp_path / "page.pdf"
    printed = browse(page, tmp_path, f"--print-to-pdf={paper}", "--no-pdf-header-footer")
    assert ":CONSOLE" not in printed.stderr
    pages = re.findall(rb"/Type /Page\b", paper.read_bytes())
    assert 3 <= len(pages) <= 15
