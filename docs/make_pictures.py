"""Draws the pictures of docs/pictures.md: python docs/make_pictures.py"""

from pathlib import Path

import energylang as el

HERE = Path(__file__).parent
RINGS = """
energy rings(z: real[2]) {
  let r = sqrt(sum(z^2))
  += 8 * (r - 3)^2
}
"""
DPI = 80


def main() -> None:
    (HERE / "pictures").mkdir(exist_ok=True)
    examples = HERE.parent / "examples"
    schools = el.load(examples / "eight_schools_centred.energy").sample(method="nuts(target_acceptance = 0.9)")
    potts = el.load(examples / "potts.energy").sample(draws=200)
    drawn = {
        "schools.pair": schools.plot("pair", "tau", "mu", "theta[0]"),
        "rings.energy": el.compile(RINGS).sample(draws=500, warmup=500).plot("energy"),
        "potts.states.s": potts.plot("states"),
    }
    for name, picture in drawn.items():
        (HERE / "pictures" / f"{name}.png").write_bytes(picture.png(DPI))


if __name__ == "__main__":
    main()
