// The colours of a reader who has chosen their own: no more than the system's.

const asked = matchMedia("(forced-colors: active)");

const FORCED = {
  ground: "Canvas", box: "Canvas", line: "CanvasText", text: "CanvasText",
  soft: "CanvasText", faint: "GrayText", group: ["Canvas", "Canvas"],
  wire: "CanvasText", accent: "Highlight", accentSoft: "Canvas", chip: "Canvas", shadow: "Canvas",
  added: "CanvasText", removed: "CanvasText", changed: "CanvasText", addedSoft: "Canvas",
  removedSoft: "Canvas", changedSoft: "Canvas", hit: "Highlight", axes: ["CanvasText"], plain: true,
  kinds: {
    contraction: "CanvasText", composite: "CanvasText", elementwise: "CanvasText", view: "CanvasText",
    creation: "CanvasText", random: "CanvasText", control: "CanvasText", other: "CanvasText", input: "CanvasText",
  },
};

export function forcedPalette() {
  return asked.matches ? FORCED : null;
}

export function onForced(repaint) {
  asked.addEventListener("change", repaint);
}
