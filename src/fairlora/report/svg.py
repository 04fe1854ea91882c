"""A drawing as a short SVG for a page or a file, from matplotlib's own.

matplotlib's SVG names every artist, repeats every font and style, and gives points six decimals.
Here styles become attributes, which a page's style sheet may replace (dark mode) and its security
policy allows; texts stay texts; and what a mark says is shown where a pointer rests on it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element, fromstring
from xml.sax.saxutils import escape, quoteattr

from fairlora.report.sheet import Drawing, save
from fairlora.report.style import INK, SIZE

_NUMBER = re.compile(r"-?\d*\.\d+")
_COMMAND = re.compile(r"([A-Za-z])([^A-Za-z]*)")
_NO_TURN = re.compile(r"rotate\(-?0 [^)]*\) ?")
_UNUSED = {"metadata", "style", "title"}
_OWN = ("href", "x", "y")
# What the root says for all, and what is so anyway.
_USUAL = {
    ("font-size", f"{SIZE:g}px"),
    ("fill", INK),
    ("stroke-linejoin", "round"),
    ("stroke-linecap", "butt"),
    ("text-anchor", "start"),
    ("stroke-width", "1"),
    ("opacity", "1"),
    ("transform", ""),
    ("fill-rule", "nonzero"),
    ("font-weight", "400"),
    ("stroke-miterlimit", "100000"),
    ("stroke-dashoffset", "0"),
}


def svg_file(drawing: Drawing, title: str) -> str:
    """Return `drawing` as an SVG file: letters in the reader's own fonts, values on hover."""
    shared: dict[str, str] = {}
    font = 'font-family="DejaVu Sans, sans-serif"'
    svg = _svg(drawing, shared, f"{font} aria-label={quoteattr(title)}", _tips(drawing))
    start, _, rest = svg.partition(">")
    told = f"<desc>{escape(description(drawing))}</desc>"
    defined = f"<defs>{''.join(shared.values())}</defs>" if shared else ""
    return f'<?xml version="1.0" encoding="utf-8"?>\n{start}>{told}{defined}{rest}'


def page_svg(
    drawing: Drawing, shared: dict[str, str], attributes: str, pointed: bool = True
) -> str:
    """Return `drawing` for a page, which has its description and its style sheet.

    Parameters
    ----------
    drawing : what to draw.
    shared : id -> marker or hatching, of all drawings of a page; those of this one are added.
    attributes : of the SVG, as it has them: classes, and what names it to who cannot see it.
    pointed : whether it answers a pointer, which a phone has not.
    """
    drawing.figure.patch.set_visible(False)
    return _svg(drawing, shared, attributes, _tips(drawing) if pointed else "")


def sprite(shared: Mapping[str, str]) -> str:
    """Return the hidden SVG that holds the markers and hatchings of all drawings of a page."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" class="drawn sprite" width="0" height="0" '
        f'aria-hidden="true" focusable="false"><defs>{"".join(shared.values())}</defs></svg>'
    )


def description(drawing: Drawing) -> str:
    """Return the drawing in words, for those who cannot see it."""
    return " ".join(f"{tip.text}." for tip in drawing.tips) or "Nothing is drawn."


def _svg(drawing: Drawing, shared: dict[str, str], attributes: str, tips: str) -> str:
    buffer = io.StringIO()
    save(drawing.figure, buffer, "svg")
    root = fromstring(buffer.getvalue())
    _, _, width, height = root.attrib["viewBox"].split()
    body = "".join(part for child in root for part in _written(child, shared))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_rounded(width, 1)} '
        f'{_rounded(height, 1)}" width="{float(width) * 4 / 3:.0f}" '
        f'height="{float(height) * 4 / 3:.0f}" role="img" font-size="{SIZE:g}" fill="{INK}" '
        f'stroke-linejoin="round" {attributes}>{body}{tips}</svg>'
    )


def _tips(drawing: Drawing) -> str:
    areas = []
    for tip in drawing.tips:
        if tip.box is not None:
            x, y, width, height = (_rounded(f"{length:.2f}", 1) for length in tip.box)
            areas.append(
                f'<rect x="{x}" y="{y}" width="{width}" height="{height}">'
                f"<title>{escape(tip.text)}</title></rect>"
            )
    moved = f' transform="translate({drawing.margin:g} 0)"' if drawing.margin else ""
    start = f'<g class="tips" fill="none" pointer-events="all"{moved}>'
    return f"{start}{''.join(areas)}</g>" if areas else ""


def _written(element: Element, shared: dict[str, str]) -> Iterator[str]:
    """Yield an element and what is in it; what others refer to goes into `shared` instead."""
    tag = element.tag.rpartition("}")[2]
    if tag in _UNUSED:
        return
    if tag == "defs":
        for child in element:
            if "id" in child.attrib:
                # matplotlib's ids are hashes of what they stand for, and the same in any drawing.
                attributes = {"id": child.attrib["id"], **_attributes(child, 2)}
                inner = "".join(part for part_of in child for part in _written(part_of, shared))
                shared[child.attrib["id"]] = _tagged(child, attributes, inner)
        return
    attributes = _attributes(element)
    if tag in ("path", "use") and "fill" not in attributes:
        # matplotlib leaves out what is black.
        attributes["fill"] = "#000000"
    markers = [child for child in element if child.tag.endswith("}use")]
    if markers and tag == "g":
        # What all markers of a series share is said once.
        attributes |= {"fill": "#000000", **_attributes(markers[0])}
        attributes = {n: value for n, value in attributes.items() if n not in _OWN}
    elif tag == "use":
        attributes = {name: attributes[name] for name in _OWN}
    inner = "".join(part for child in element for part in _written(child, shared))
    if tag == "g" and (not attributes or not inner):
        yield inner
    else:
        yield _tagged(element, attributes, inner)


def _tagged(element: Element, attributes: Mapping[str, str], inner: str) -> str:
    tag = element.tag.rpartition("}")[2]
    words = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    inside = escape(element.text or "") if tag == "text" else inner
    return f"<{tag}{words}>{inside}</{tag}>" if inside else f"<{tag}{words}/>"


def _attributes(element: Element, decimals: int = 1) -> dict[str, str]:
    """Return what an element says of itself, but for its id, its font and what is so anyway."""
    said: dict[str, str] = {}
    for name, value in element.attrib.items():
        if name == "style":
            for part in value.split(";"):
                key, _, setting = part.partition(":")
                said[key.strip()] = _rounded(setting.strip(), 2)
        elif name == "d":
            said["d"] = _short_path(_rounded(value, decimals))
        else:
            said[name.rpartition("}")[2]] = _NO_TURN.sub("", _rounded(value, 1))
    for name in ("id", "font-family", ""):
        said.pop(name, None)
    return {name: value for name, value in said.items() if (name, value) not in _USUAL}


def _rounded(value: str, decimals: int) -> str:
    return _NUMBER.sub(lambda n: f"{float(n[0]):.{decimals}f}".rstrip("0").rstrip("."), value)


def _short_path(path: str) -> str:
    """Return the text of a path with H and V for level and upright lines, and without spaces.

    >>> _short_path("M 1 2 \\nL 3 2 \\nL 3 4 \\nL 5 6 \\nz \\n")
    'M1 2H3V4L5 6z'
    """
    parts, last = [], ["", ""]
    for command, numbers in _COMMAND.findall(path):
        ends = numbers.split()
        if command == "L" and ends[1] == last[1]:
            parts.append(f"H{ends[0]}")
        elif command == "L" and ends[0] == last[0]:
            parts.append(f"V{ends[1]}")
        else:
            parts.append(command + " ".join(ends))
        last = ends[-2:] or last
    return "".join(parts)
