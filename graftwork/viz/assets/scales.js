// Colours for numbers, from the table in scales.py, and how numbers are written.

import { element, pixelOf, putPixels } from "./dom.js";
import { isDark, onTheme } from "./page.js";

const STEPS = 256;

// `facts` are the ends and the colours of a scale.
export function makeScale(facts) {
  const tables = [facts.light, facts.dark].map(colourTable);
  const span = facts.high - facts.low || 1;
  const at = (number) => Math.round(Math.max(0, Math.min(1, (number - facts.low) / span)) * (STEPS - 1)) * 3;
  const rgb = (number, dark) => tables[+dark].subarray(at(number), at(number) + 3);
  return { ...facts, rgb, css: (number, dark) => `rgb(${rgb(number, dark).join(",")})` };
}

const known = new WeakMap();

// A table of the colours between some, made once.
function colourTable(colours) {
  if (!known.has(colours)) known.set(colours, makeTable(colours));
  return known.get(colours);
}

function makeTable(colours) {
  const table = new Uint8Array(STEPS * 3), stops = colours.map(channelsOf);
  for (let i = 0; i < STEPS; i++) {
    const place = (i / (STEPS - 1)) * (stops.length - 1), left = Math.min(Math.floor(place), stops.length - 2);
    for (let k = 0; k < 3; k++) table[3 * i + k] = Math.round(stops[left][k] + (stops[left + 1][k] - stops[left][k]) * (place - left));
  }
  return table;
}

function channelsOf(colour) {
  return [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
}

// Black or white: what can be read on a colour, at a contrast of at least 4.5.
/** @param {Iterable<number>} rgb */
export function inkOn(rgb) {
  const [red, green, blue] = Array.from(rgb, (channel) => (channel / 255) ** 2.2);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
}

// A number in as many digits as tell it apart.
export function written(number) {
  if (Number.isNaN(number)) return "NaN";
  if (!Number.isFinite(number)) return number > 0 ? "∞" : "−∞";
  const size = Math.abs(number);
  const text = size && (size >= 1e5 || size < 1e-3) ? number.toExponential(2) : String(Number(number.toPrecision(4)));
  return text.replace("-", "−");
}

// A bar of the colours between the numbers at its ends; `open`, numbers may lie beyond them.
export function makeColourBar(page, scale, open = false) {
  const canvas = element("canvas", { width: STEPS, height: 1, "aria-hidden": "true" });
  const paintBar = () => {
    const colourAt = (i) => scale.rgb(scale.low + ((scale.high - scale.low) * i) / (STEPS - 1), isDark(page));
    putPixels(canvas, (pixels) => pixels.forEach((_, i) => { pixels[i] = pixelOf(colourAt(i)); }));
  };
  paintBar();
  onTheme(page, paintBar);
  const low = `${open ? "≤ " : ""}${written(scale.low)}`, high = `${open ? "≥ " : ""}${written(scale.high)}`;
  return element("div", { class: "colour-bar", role: "img", "aria-label": `Colours from ${low} to ${high}` },
    element("span", {}, low), canvas, element("span", {}, high));
}
