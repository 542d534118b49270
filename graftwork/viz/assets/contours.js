// Lines of equal numbers over a grid of cells, by marching squares. See contours.py.

import { element } from "./dom.js";
import { written } from "./scales.js";

// How lines of successive levels are told apart, on a canvas and in words.
const DASHES = [[], [7, 3], [3, 3], [1, 3]], STROKES = ["———", "– – –", "- - - -", "· · · ·"];

// Lines of points [x, y], in cells, between what is below a level and what is not.
function contoursOf(rows, columns, value, level) {
  const links = linksOf(rows, columns, value, level), entered = new Set(links.values()), lines = [];
  for (const start of [...[...links.keys()].filter((edge) => !entered.has(edge)), ...links.keys()]) {
    const edges = [start];
    for (let edge = start; links.has(edge);) {
      const next = links.get(edge);
      links.delete(edge);
      edges.push((edge = next));
    }
    if (edges.length > 1) lines.push(edges.map((edge) => pointOn(columns, value, level, edge)));
  }
  return lines;
}

// Within each square, from the edge where a line enters to that where it leaves.
function linksOf(rows, columns, value, level) {
  const links = new Map();
  for (let row = 0; row < rows - 1; row++) {
    for (let column = 0; column < columns - 1; column++) {
      const square = [value(row, column), value(row, column + 1), value(row + 1, column + 1), value(row + 1, column)];
      if (!square.every(Number.isFinite)) continue;
      const first = 2 * (row * columns + column), edges = [first, first + 3, first + 2 * columns, first + 1];
      const high = square.map((number) => number >= level), enter = [], leave = [];
      edges.forEach((edge, i) => {
        if (high[i] !== high[(i + 1) % 4]) (high[i] ? leave : enter).push(edge);
      });
      const mean = (square[0] + square[1] + square[3] + square[2]) / 4;
      if (enter.length > 1 && high[0] !== mean >= level) enter.reverse();
      enter.forEach((edge, i) => links.set(edge, leave[i]));
    }
  }
  return links;
}

function pointOn(columns, value, level, edge) {
  const cell = edge >> 1, row = Math.floor(cell / columns), column = cell % columns, down = edge & 1;
  const here = value(row, column), along = (level - here) / (value(row + down, column + 1 - down) - here);
  return [column + 0.5 + (down ? 0 : along), row + 0.5 + (down ? along : 0)];
}

// --- in a picture: facts.contours are [number, words], contoured says whether they are shown

export function curvesOf({ facts, contoured }, { rows, columns, value }) {
  return (contoured ? facts.contours : []).map(([level], i) => ({
    dash: DASHES[i % DASHES.length], lines: contoursOf(rows.extent, columns.extent, value, level),
  }));
}

function contourWords({ facts }) {
  return facts.contours.map(([level, words]) => [written(level), words].filter(Boolean).join(", "));
}

// The same in one line; with the strokes of the lines, where they are seen.
export function contourLine(view, drawn = false) {
  const words = contourWords(view).map((words, i) => (drawn ? `${STROKES[i % STROKES.length]} ${words}` : words));
  return `contours at ${words.join("; ")}`;
}

// Which line is which.
export function contourKey(view) {
  return element("ul", { class: "contours", "aria-label": "Contours" }, contourWords(view).map((words, i) =>
    element("li", {}, element("span", { "aria-hidden": "true" }, `${STROKES[i % STROKES.length]} `), words)));
}

// Between which contours a number lies.
export function contourOf({ facts, contoured }, number) {
  if (!contoured || !Number.isFinite(number)) return "";
  const levels = facts.contours.map(([level]) => level), below = levels.filter((level) => level <= number), above = levels.filter((level) => level > number);
  if (!below.length) return ", below all contours";
  return above.length ? `, between contours ${written(Math.max(...below))} and ${written(Math.min(...above))}` : ", above all contours";
}
