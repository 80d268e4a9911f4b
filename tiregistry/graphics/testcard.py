"""A picture that shows at a glance whether a terminal draws colours, gradients, fine lines and proportions right."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_BARS = ("#bfbfbf", "#bfbf00", "#00bfbf", "#00bf00", "#bf00bf", "#bf0000", "#0000bf")


def make_testcard(width: int, height: int) -> Image:
    """Colour bars, a grey ramp, a colour gradient, fine lines, and a circle that is round when the cells are right."""
    from PIL import Image as Pillow
    from PIL import ImageDraw

    card = Pillow.new("RGB", (width, height), "#1c1c1c")
    draw = ImageDraw.Draw(card)
    third, margin = height // 3, max(1, height // 20)
    for number, color in enumerate(_BARS):
        left, right = number * width // len(_BARS), (number + 1) * width // len(_BARS)
        draw.rectangle((left, 0, right - 1, third - 1), fill=color)
    ramp = Pillow.linear_gradient("L").rotate(90)
    card.paste(Pillow.merge("RGB", (ramp, ramp, ramp)).resize((width, third // 2)), (0, third))
    hue = ramp.resize((width, third // 2))
    full = Pillow.new("L", hue.size, 255)
    card.paste(Pillow.merge("HSV", (hue, full, full)).convert("RGB"), (0, third + third // 2))
    for x in range(8, width // 3, 2):
        draw.line((x, 2 * third + margin, x, height - margin), fill="white")
    radius = (height - 2 * third - 2 * margin) // 2
    middle = (width // 2, 2 * third + margin + radius)
    draw.ellipse((middle[0] - radius, middle[1] - radius, middle[0] + radius, middle[1] + radius), outline="white")
    for number in range(16):
        left = 2 * width // 3 + number * (width // 3 - 8) // 16
        draw.rectangle((left, 2 * third + margin, left + width // 48, height - margin), fill=(255 * number // 15,) * 3)
    return card
