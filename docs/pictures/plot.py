#!/usr/bin/env python3
"""Draws the pictures that are made from data: docs/pictures/{cost,pace,changes,bootstrap,architecture}.svg.

The data of the plots are the tables of docs/performance.md, which `just bench` and `just bootstrap` print; that of the architecture is the
drawing at the top of src/lib.rs. Nothing else is put in. `plot.py --check` says whether the pictures are those of the data."""
import html, math, pathlib, re, sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FONT = "system-ui, sans-serif"
# The reader's colours: a picture in a page follows its scheme.
STYLE = """
text { font: 14px FONT; fill: #1b1f24 } .soft { fill: #565d66 } .title { font-weight: 600; font-size: 16px }
.ours { fill: #1a569c } .other { fill: #a3abb6 } .mono { font: 13px ui-monospace, Menlo, Consolas, monospace; white-space: pre }
.page { fill: #ffffff } .axis { stroke: #d5d9df }
@media (prefers-color-scheme: dark) {
text { fill: #e6e9ee } .soft { fill: #a3abb6 } .ours { fill: #8bbcf5 } .other { fill: #6b7480 } .page { fill: #14171b } .axis { stroke: #363c45 }
}
""".replace("FONT", FONT)
LABEL, BAR, ROW = 290, 420, 30


def tables(text):
    """The tables of a document, by the heading above each: (heads, rows)."""
    found, heading, lines = {}, "", []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            lines.append([cell.strip() for cell in line.strip("|").split("|")])
        elif lines:
            found[heading] = (lines[0], lines[2:])
            lines = []
        if line.startswith("## "):
            heading = line[3:]
    return found


def svg(width, height, title, body):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">\n'
            f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n"
            f'<rect class="page" width="100%" height="100%" rx="6"/>\n' + "\n".join(body) + "\n</svg>\n")


def bars(title, unit, rows, logarithmic=False):
    """Bars from the left, one a row: (label, [(value, words)]); on a scale of powers of ten where values lie far apart."""
    most = max(value for _, values in rows for value, _ in values)
    least = min(value for _, values in rows for value, _ in values)
    floor = 10 ** math.floor(math.log10(least)) / 2 if logarithmic else 0

    def length(value):
        if logarithmic:
            return BAR * math.log(value / floor) / math.log(most / floor)
        return BAR * value / most

    said = f"{unit}; the scale is logarithmic" if logarithmic else unit
    body = [f'<text class="title" x="16" y="28">{html.escape(title)}</text>', f'<text class="soft" x="16" y="48">{html.escape(said)}</text>']
    y = 64
    for label, values in rows:
        body.append(f'<text x="16" y="{y + 19}">{html.escape(label)}</text>')
        kind = "ours" if label.startswith("headless-dns") else "other"
        for value, words in values:
            body.append(f'<rect class="{kind}" x="{LABEL}" y="{y + 4}" width="{max(1, length(value)):.1f}" height="{ROW - 10}" rx="2"/>')
            body.append(f'<text x="{LABEL + length(value) + 8:.1f}" y="{y + 19}">{html.escape(words)}</text>')
            y += ROW
        y += 6 if len(values) > 1 else 0
    return svg(LABEL + BAR + 130, y + 12, title, body)


def plain(text):
    return text.replace("`", "")


def cost(found):
    _, rows = found["Asked as fast as it answers"]
    values = [(plain(row[0]), [(float(row[1]), row[1])]) for row in rows]
    return bars("CPU of one answer over UDP", "µs of CPU for each question, as fast as it answers; less is better", values)


def pace(found):
    _, rows = found["Asked at a pace"]
    pairs = [(plain(row[0]), row[1].split(", ")) for row in rows]
    values = [(name, [(float(p50), f"{p50} µs, p50"), (float(p99), f"{p99} µs, p99")]) for name, (p50, p99) in pairs]
    return bars("Time to an answer at 20,000 questions a second", "median over the rounds of p50 and p99; less is better", values, logarithmic=True)


def changes(found):
    _, rows = found["Changes"]
    values = [(f"headless-dns, {row[0]} endpoints", [(float(row[1]), f"{row[1]} µs, p50"), (float(row[2]), f"{row[2]} µs, p99")]) for row in rows]
    return bars("From a watch's frame to the answer on the wire", "by how many endpoints the Service has; less is better", values)


def bootstrap(found):
    """A line of dots for each row, from left to right as time goes on; the last one has the time beside it."""
    _, rows = found["A set comes up"]
    moments = [[float(at) for at in row[4].split(", ")] for row in rows]
    most = max(max(all_of_it) for all_of_it in moments)
    label = LABEL + 60
    body = ['<text class="title" x="16" y="28">When each Pod of a set of three sees each of the others</text>',
            '<text class="soft" x="16" y="48">seconds from the creation of the set; a dot for each two; farther left is better</text>']
    y = 64
    for row, seen in zip(rows, moments):
        name, kind = plain(row[0]), "ours" if row[0].startswith("headless-dns") else "other"
        body.append(f'<text x="16" y="{y + 19}">{html.escape(name)}, {html.escape(row[1])}</text>')
        body.append(f'<line class="axis" x1="{label}" x2="{label + BAR}" y1="{y + 14}" y2="{y + 14}"/>')
        body += [f'<circle class="{kind}" cx="{label + BAR * at / most:.1f}" cy="{y + 14}" r="5" fill-opacity="0.6"/>' for at in seen]
        body.append(f'<text x="{label + BAR * seen[-1] / most + 10:.1f}" y="{y + 19}">{seen[-1]:.1f} s</text>')
        y += ROW
    return svg(label + BAR + 80, y + 12, "When each Pod of a set of three sees each of the others", body)


def architecture():
    """The first drawing of src/lib.rs, and the layers below it."""
    source = (ROOT / "src/lib.rs").read_text()
    drawings = re.findall(r"//! ```text\n(.*?)//! ```", source, re.S)[:2]
    lines = [line[4:] for line in "//! \n".join(drawings).splitlines()]
    width = max(map(len, lines)) * 7.83 + 32
    body = [f'<text class="mono" x="16" y="{30 + at * 18}">{html.escape(line)}</text>' for at, line in enumerate(lines)]
    return svg(round(width), 30 + len(lines) * 18, "How headless-dns is built", body)


def main():
    found = tables((ROOT / "docs/performance.md").read_text())
    pictures = {"cost": cost(found), "pace": pace(found), "changes": changes(found),
                "bootstrap": bootstrap(found), "architecture": architecture()}
    differ = []
    for name, picture in pictures.items():
        path = HERE / f"{name}.svg"
        if sys.argv[1:] == ["--check"]:
            differ += [str(path)] if not path.exists() or path.read_text() != picture else []
        else:
            path.write_text(picture)
            print(path)
    return f"not of the data, make them with `just plots`: {', '.join(differ)}" if differ else 0


if __name__ == "__main__":
    sys.exit(main() if sys.argv[1:] in ([], ["--check"]) else __doc__)
