"""Draws a small shop beside this file: pairs.csv, and a picture of each product, whose colour no title names."""

import csv
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = {
    "red": "#c8281e", "orange": "#e8841a", "yellow": "#e6c81e", "green": "#2e8b3c",
    "blue": "#2350b4", "purple": "#783c96", "brown": "#78502d", "black": "#1e1e1e",
}  # fmt: skip
TITLES = {
    "mug": "stoneware mug, 0.3 l", "bowl": "cereal bowl, 14 cm", "plate": "dinner plate, 26 cm",
    "vase": "flower vase, hand made", "cushion": "linen cushion, 50 cm", "lamp": "table lamp with shade",
}  # fmt: skip
SIDE = 96  # pixels
UNSEEN = ("black", "vase")  # a product that nobody has photographed


def main() -> None:
    folder = Path(__file__).parent
    (folder / "pictures").mkdir(exist_ok=True)
    rows = []
    for i, (thing, title) in enumerate(TITLES.items()):
        for j, (colour, shade) in enumerate(COLOURS.items()):
            name = "" if (colour, thing) == UNSEEN else f"{colour}-{thing}.png"
            if name:
                draw(thing, shade).save(folder / "pictures" / name)
            # Each colour and each thing is learnt, and a fifth of what goes together is only asked in the end.
            part = {0: "test", 1: "valid"}.get((i + 2 * j) % 5, "train")
            queries = (f"{colour} {thing}", f"{thing} in {colour}", f"a {thing} that is {colour}")
            rows += [(query, f"{colour}-{thing}", title, name, part) for query in queries]
    with (folder / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("query", "sku", "title", "picture", "part"))
        writer.writerows(rows)
    print(f"{len(rows)} pairs of {len(TITLES) * len(COLOURS)} products")


def draw(thing: str, shade: str) -> Image.Image:
    """Draw a thing on white, simply."""
    image = Image.new("RGB", (SIDE, SIDE), "white")
    pen = ImageDraw.Draw(image)
    match thing:
        case "mug":
            pen.rectangle((24, 26, 64, 76), fill=shade)
            pen.arc((54, 36, 84, 66), -100, 100, fill=shade, width=7)
        case "bowl":
            pen.pieslice((14, 4, 82, 78), 0, 180, fill=shade)
        case "plate":
            pen.ellipse((10, 10, 86, 86), fill=shade)
            pen.ellipse((26, 26, 70, 70), outline="white", width=3)
        case "vase":
            pen.ellipse((26, 36, 70, 88), fill=shade)
            pen.rectangle((40, 10, 56, 44), fill=shade)
        case "cushion":
            pen.rounded_rectangle((14, 20, 82, 78), 16, fill=shade)
        case _:
            pen.polygon(((34, 12), (62, 12), (80, 50), (16, 50)), fill=shade)
            pen.rectangle((44, 50, 52, 86), fill="#505050")
    return image


if __name__ == "__main__":
    main()
