"""Takes docs/screenshot.png of a workspace's page: one person's shelf with a reason opened.

python benchmarks/screenshot.py [--workspace demo] [--user ID] [--out docs/screenshot.png]
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from segue.serve.opening import open_service
from segue.store.workspace import Workspace
from serving import running

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
LIMIT_BYTES = 500_000


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, default=Path("demo"))
    parser.add_argument("--user", default="", help="default: the third person of the list")
    parser.add_argument("--out", type=Path, default=Path("docs/screenshot.png"))
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=1190)
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--item", default="", help="open the dialog of this item")
    parser.add_argument("--search", default="", help="search for these words")
    parser.add_argument("--like", action="store_true", help="press like on the second card")
    return parser.parse_args()


def arrange(page: Page, asked: argparse.Namespace) -> None:
    """Bring the page to what the picture shows."""
    first = page.locator("[data-rail=for-you] .card")
    if asked.like:
        first.nth(1).locator("[data-act=like]").click()
        page.locator("#toast.toast--on").wait_for()
        page.wait_for_timeout(700)
    if asked.search:
        page.locator("#search").fill(asked.search)
        page.locator("#results .card").first.wait_for()
    elif asked.item:
        page.evaluate("id => openItem(id)", asked.item)
        page.locator("#item h2").wait_for()
    elif asked.width > 600:
        first.first.locator("summary").click()
    page.evaluate(
        "Promise.all([...document.images].map(image => "
        "{ image.loading = 'eager'; return image.decode().catch(() => null); }))"
    )
    page.mouse.move(2, 2)
    page.wait_for_timeout(300)


def reduced(picture: Image.Image, colours: int) -> Image.Image:
    """A palette fitted by k-means, dithered: small bright parts keep their colour."""
    palette = picture.quantize(colours, method=Image.Quantize.MAXCOVERAGE, kmeans=12)
    return picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


def shrink(png: bytes, out: Path) -> None:
    """Write the picture, with fewer colours only when it is over the limit."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (None, 256, 64):
        small = io.BytesIO()
        kept = picture if colours is None else reduced(picture, colours)
        kept.save(small, "png", optimize=True)
        if small.tell() <= LIMIT_BYTES:
            break
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(small.getvalue())
    print(f"{out}: {picture.width} x {picture.height}, {small.tell() / 1000:.0f} kB")


def main() -> None:
    asked = arguments()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("no chromium on PATH; apt-get install chromium")
    service = open_service(Workspace.open(asked.workspace))
    if not asked.user:
        from segue.serve.people import people  # noqa: PLC0415 - only for the default

        asked.user = people(service.engine, limit=3)[-1].user_id
    with running(service) as address, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        context = browser.new_context(
            viewport={"width": asked.width, "height": asked.height},
            color_scheme="light" if asked.light else "dark",
        )
        page = context.new_page()
        page.goto(f"{address}/?user={asked.user}")
        arrange(page, asked)
        png = page.screenshot()
        context.close()
        browser.close()
    shrink(png, asked.out)


if __name__ == "__main__":
    main()
