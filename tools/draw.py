"""The drawings of docs/pictures, as SVG: `make pictures`."""

from __future__ import annotations

from pathlib import Path

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
STYLE = (Path(__file__).parent / "draw.css").read_text(encoding="utf-8")
TIP = (
    '<marker id="{id}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" style="fill:{color};stroke:none"/>'
    "</marker>"
)
TIPS = {"tip": "#77776f", "bluetip": "#4a86cc", "redtip": "#cc6236"}


def svg(width: int, height: int, title: str, *shapes: str) -> str:
    tips = "".join(TIP.format(id=name, color=color) for name, color in TIPS.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'role="img" aria-label="{title}"><title>{title}</title><style>{STYLE}</style>'
        f"<defs>{tips}</defs>\n" + "\n".join(shapes) + "\n</svg>\n"
    )


def box(x: float, y: float, words: str, kind: str = "", width: int = 84, height: int = 38) -> str:
    """A box around this middle."""
    return (
        f'<rect class="{kind}" x="{x - width / 2}" y="{y - height / 2}" width="{width}" '
        f'height="{height}" rx="7"/>{text(x, y + 5, words)}'
    )


def dot(x: float, y: float, sign: str) -> str:
    return f'<circle cx="{x}" cy="{y}" r="13"/>{text(x, y + 5, sign)}'


def text(x: float, y: float, words: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{words}</text>'


def arrow(*points: tuple[float, float], kind: str = "") -> str:
    path = "L".join(f"{x} {y}" for x, y in points)
    return f'<path class="{kind}" d="M{path}"/>'


def unrolled(backward: bool = False) -> str:
    """`[rnn]` at three time steps; backward: with the way of the deltas."""
    shapes = []
    for step, letter in enumerate("the"):
        x = 166 + 220 * step
        name = f"t={step + 1}"
        shapes += [
            text(x, 350, f"input “{letter}”"),
            box(x, 290, "input layer", width=96),
            dot(x, 215, "+"),
            box(x, 150, f"s{'₁₂₃'[step]}", "state", 60),
            box(x, 80, "output layer", width=104),
            text(x, 22, f"y{'₁₂₃'[step]}: odds of “{'he '[step] if step < 2 else '␣'}”"),
            text(x + 52, 336, name, "small left"),
            arrow((x, 334), (x, 311)),
            arrow((x, 271), (x, 230)),
            arrow((x, 202), (x, 171)),
            arrow((x, 131), (x, 101)),
            arrow((x, 61), (x, 30)),
        ]
        left = x - 110
        shapes += [
            box(left, 215, "self layer", "gate"),
            arrow((left + 42, 215), (x - 15, 215), kind="time"),
        ]
        before = (x - 190, 150) if step else (10, 150)
        shapes.append(arrow(before, (left, 150), (left, 195), kind="time"))
        if step == 0:
            shapes.append(text(14, 140, "s₀ = 0", "small left"))
        if backward:
            shapes += [
                arrow((x + 16, 30), (x + 16, 60), kind="back"),
                arrow((x + 16, 101), (x + 16, 130), kind="back"),
                arrow((x + 16, 171), (x + 9, 203), kind="back"),
                arrow((x + 9, 228), (x + 16, 270), kind="back"),
                arrow((x - 14, 224), (left + 43, 224), kind="back"),
            ]
            if step:
                shapes.append(
                    arrow((left - 12, 195), (left - 12, 160), (x - 188, 160), kind="back")
                )
    title = (
        "The deltas of [rnn], backward through time" if backward else "[rnn] at three time steps"
    )
    return svg(736, 366, title, *shapes)


def gru() -> str:
    return svg(
        720,
        312,
        "The gates of [gru]",
        text(60, 40, "sₜ₋₁"),
        text(60, 300, "xₜ"),
        text(680, 40, "sₜ"),
        box(210, 200, "r: reset", "gate"),
        box(350, 200, "z: update", "gate", 92),
        dot(210, 110, "×"),
        box(490, 200, "h: candidate", "state", 110),
        dot(350, 36, "×"),
        dot(490, 110, "×"),
        dot(610, 36, "+"),
        arrow((82, 36), (335, 36), kind="time"),
        arrow((364, 36), (595, 36), kind="time"),
        arrow((624, 36), (664, 36), kind="time"),
        arrow((210, 36), (210, 95), kind="time"),
        arrow((225, 110), (430, 110), (470, 180)),
        arrow((210, 181), (210, 125)),
        arrow((350, 181), (350, 51)),
        arrow((490, 181), (490, 125)),
        arrow((503, 106), (603, 50)),
        arrow((364, 180), (476, 116)),
        arrow((82, 296), (490, 296), (490, 220)),
        arrow((210, 296), (210, 220)),
        arrow((350, 296), (350, 220)),
        text(360, 120, "z", "small left"),
        text(442, 100, "1 − z", "small left"),
        text(290, 102, "r · sₜ₋₁", "small"),
        text(520, 262, "r and z see sₜ₋₁ too", "small left"),
    )


def lstm() -> str:
    return svg(
        720,
        312,
        "The gates of [lstm]",
        text(60, 40, "cₜ₋₁"),
        text(60, 300, "xₜ, hₜ₋₁"),
        text(680, 40, "cₜ"),
        text(680, 125, "hₜ"),
        box(180, 200, "f: forget", "gate"),
        box(290, 200, "i: input", "gate"),
        box(400, 200, "g: candidate", "state", 106),
        box(530, 200, "o: output", "gate"),
        dot(180, 36, "×"),
        dot(345, 110, "×"),
        dot(345, 36, "+"),
        box(590, 80, "tanh", width=58, height=30),
        dot(590, 121, "×"),
        arrow((84, 36), (165, 36), kind="time"),
        arrow((195, 36), (330, 36), kind="time"),
        arrow((360, 36), (664, 36), kind="time"),
        arrow((590, 36), (590, 64)),
        arrow((590, 96), (590, 106)),
        arrow((605, 121), (662, 121)),
        arrow((180, 181), (180, 51)),
        arrow((290, 181), (334, 122)),
        arrow((400, 181), (356, 122)),
        arrow((345, 95), (345, 51)),
        arrow((530, 181), (577, 128)),
        arrow((110, 290), (180, 290), (180, 220)),
        arrow((180, 290), (290, 290), (290, 220)),
        arrow((290, 290), (400, 290), (400, 220)),
        arrow((400, 290), (530, 290), (530, 220)),
    )


DRAWINGS = {
    "unrolled.svg": unrolled(),
    "backward.svg": unrolled(backward=True),
    "gru.svg": gru(),
    "lstm.svg": lstm(),
}


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    for name, drawing in DRAWINGS.items():
        (PICTURES / name).write_text(drawing, encoding="utf-8")
