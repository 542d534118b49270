// Colours: one for each axis, the same in every place; light and dark.

const AXIS_LIGHT = [
  "#2563c9", "#0b7f6b", "#a84300", "#7b3fc4", "#b01e68", "#4d6b00",
  "#00728f", "#8a5a00", "#5b5bd6", "#9c2f2f", "#2f7d32", "#6b4a8f",
];
const AXIS_DARK = [
  "#7fb0ff", "#4fd0b5", "#ff9e5e", "#c49bff", "#ff86bd", "#b4d455",
  "#5cc9e8", "#e8b84a", "#a3a5ff", "#ff9a94", "#7fd483", "#cfa9f0",
];

const LIGHT = {
  ground: "#fafaf8", box: "#ffffff", line: "#d3d6dd", text: "#1b1f27",
  soft: "#666d7c", faint: "#98a0ae", group: ["#f4f4f0", "#eeeee9"],
  wire: "#b1b7c3", accent: "#2f5fe0", accentSoft: "rgba(47,95,224,.13)", chip: "#fafaf8",
  shadow: "rgba(25,30,45,.07)", added: "#137a45", removed: "#bf2a3c", changed: "#9a5700",
  addedSoft: "#e7f6ed", removedSoft: "#fdebed", changedSoft: "#fdf3e1", hit: "#ffd54a",
  axes: AXIS_LIGHT,
  kinds: {
    contraction: "#2f5fe0", composite: "#7b3fc4", elementwise: "#d08a1d", view: "#a9afbb",
    creation: "#7d8798", random: "#7d8798", control: "#b01e68", other: "#0b8f7b", input: "#1b1f27",
  },
};

const DARK = {
  ground: "#0f1115", box: "#1a1d24", line: "#353b47", text: "#e9ebf1",
  soft: "#9aa2b2", faint: "#6c7484", group: ["#14171c", "#181b22"],
  wire: "#566072", accent: "#7ea6ff", accentSoft: "rgba(126,166,255,.18)", chip: "#0f1115",
  shadow: "rgba(0,0,0,.35)", added: "#48c887", removed: "#f57987", changed: "#e9a94b",
  addedSoft: "#12291d", removedSoft: "#321a1f", changedSoft: "#2f2414", hit: "#ffd54a",
  axes: AXIS_DARK,
  kinds: {
    contraction: "#7ea6ff", composite: "#b48cff", elementwise: "#e2a43f", view: "#5b6475",
    creation: "#8b94a5", random: "#8b94a5", control: "#ff86bd", other: "#4fd0b5", input: "#e9ebf1",
  },
};

export function paletteOf(dark) {
  return dark ? DARK : LIGHT;
}

export function axisColour(palette, axis) {
  return axis < 0 ? palette.soft : palette.axes[axis % palette.axes.length];
}

// An element in the colour of an axis, light or dark as the page is.
export function inAxisColour(made, axis) {
  made.style.color = `var(--a${axis % AXIS_LIGHT.length})`;
  return made;
}

export function changeColour(palette, change) {
  return [palette.line, palette.added, palette.removed, palette.changed][change];
}
