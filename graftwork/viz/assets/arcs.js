// Arcs from queries to the keys of their largest shares: two columns of tokens, and lines between.
//
// Only what is in sight is drawn. Arrow keys move along a column and to the other one.

import { contextOf, element } from "./dom.js";
import { FONT, GAP, LETTER, MARK, clamp, cut } from "./grid.js";
import { styleOf } from "./matrix.js";
import { isDark } from "./page.js";

const STEP = 18, HEAD = 24, LETTERS = 22, BETWEEN = [60, 420], FAINT = 0.3;

// figure: { label, names, words: of queries and of keys, tops: of each query [key, share] pairs, scale,
//   held() gives { side, at }, point(side, at), pick(side, at) }
export function makeArcs(page, figure) {
  const canvas = element("canvas", { "aria-hidden": "true" }), extent = element("div", { class: "extent" });
  const root = element("div", {
    class: "matrix arcs", tabindex: "0", role: "application", "aria-roledescription": "arcs",
    "aria-label": `${figure.label}. Up and down move along the tokens, left and right to queries and keys, Enter holds.`,
  }, canvas, extent);
  const arcs = { page, figure, root, canvas, extent };
  new ResizeObserver(() => drawArcs(arcs)).observe(root);
  root.addEventListener("scroll", () => drawArcs(arcs));
  const doAt = (act) => (event) => {
    const [side, at] = tokenAt(arcs, event);
    if (at >= 0) act(side, at);
  };
  root.addEventListener("pointermove", doAt(figure.point));
  root.addEventListener("click", doAt(figure.pick));
  root.addEventListener("keydown", (event) => onArcsKey(arcs, event));
  return arcs;
}

// After what is held, scales or colours changed.
export function drawArcs({ page, figure, root, canvas, extent }) {
  const width = root.clientWidth, height = root.clientHeight, ratio = window.devicePixelRatio || 1;
  if (!width || !height) return;
  extent.style.height = `${HEAD + STEP * Math.max(...figure.words.map((words) => words.length)) + GAP}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = contextOf(canvas);
  context.scale(ratio, ratio);
  context.font = FONT;
  paintArcs(context, figure, { width, height, scroll: root.scrollTop, style: styleOf(root), dark: isDark(page) });
  root.dataset.drawn = `${figure.tops.flat().length} arcs`;
}

// Where the columns end and begin.
function columnsOf({ words }, width) {
  const [left, right] = words.map((side) => Math.min(LETTERS, Math.max(...side.map((word) => word.length))) * LETTER + 2 * GAP);
  const between = clamp(width - left - right, BETWEEN[0], BETWEEN[1]);
  return [left, left + between];
}

// Paints all arcs, within so much width, on a canvas of any kind; returns the height that it took.
export function paintAllArcs(context, { page, figure }, width, style) {
  const height = heightOf(Math.max(...figure.words.map((words) => words.length)), 0);
  context.font = FONT;
  paintArcs(context, figure, { width, height, scroll: 0, style, dark: isDark(page) });
  return height;
}

function paintArcs(context, figure, place) {
  const { names, words, held } = figure, { width, height, scroll, style } = place, ends = columnsOf(figure, width), { side, at } = held();
  context.fillStyle = style.ground;
  context.fillRect(0, 0, width, height);
  paintLines(context, figure, place, ends);
  context.textBaseline = "middle";
  words.forEach((column, which) => {
    const towards = which ? 1 : -1, x = ends[which] + towards * GAP;
    context.textAlign = which ? "left" : "right";
    const first = Math.max(0, Math.floor((scroll - HEAD) / STEP)), last = Math.min(column.length, Math.ceil((scroll + height) / STEP));
    for (let i = first; i < last; i++) {
      const y = heightOf(i, scroll), word = cut(column[i], LETTERS);
      context.fillStyle = style.text;
      context.fillText(word, x, y);
      if (which !== side || i !== at) continue;
      context.strokeStyle = MARK;
      context.lineWidth = 1.5;
      const wide = context.measureText(word).width + GAP;
      context.strokeRect(which ? x - GAP / 2 : x + GAP / 2 - wide, y - STEP / 2 + 1, wide, STEP - 2);
    }
    context.fillStyle = style.ground;
    context.fillRect(which ? ends[0] : 0, 0, which ? width : ends[0], HEAD - 4);
    context.fillStyle = style.soft;
    context.fillText(names[which], x, HEAD / 2 - 2);
  });
}

// The lines of the token that is held over those of all others.
function paintLines(context, { tops, scale, held }, { height, scroll, dark }, ends) {
  const { side, at } = held(), [left, right] = ends, middle = (left + right) / 2;
  for (const strong of [false, true]) {
    context.globalAlpha = strong ? 1 : FAINT;
    tops.forEach((pairs, query) => {
      for (const [key, share] of pairs) {
        const y = heightOf(query, scroll), to = heightOf(key, scroll);
        if ((at === [query, key][side]) !== strong || Math.max(y, to) < 0 || Math.min(y, to) > height) continue;
        context.strokeStyle = scale.css(share, dark);
        context.lineWidth = 0.6 + (3.4 * Math.min(1, Math.abs(share) / scale.high));
        context.beginPath();
        context.moveTo(left, y);
        context.bezierCurveTo(middle, y, middle, to, right, to);
        context.stroke();
      }
    });
  }
  context.globalAlpha = 1;
}

function heightOf(at, scroll) {
  return HEAD + (at + 0.5) * STEP - scroll;
}

function tokenAt({ root, figure }, event) {
  const { left, top } = root.getBoundingClientRect(), ends = columnsOf(figure, root.clientWidth);
  const side = event.clientX - left < (ends[0] + ends[1]) / 2 ? 0 : 1, at = Math.floor((event.clientY - top + root.scrollTop - HEAD) / STEP);
  return [side, at < figure.words[side].length ? at : -1];
}

function onArcsKey({ root, figure }, event) {
  const { side, at } = figure.held(), last = (which) => figure.words[which].length - 1;
  const to = {
    ArrowDown: [side, at + 1], ArrowUp: [side, at - 1], ArrowLeft: [0, at], ArrowRight: [1, at], Home: [side, 0], End: [side, last(side)],
  }[event.key];
  if (to) {
    const next = clamp(to[1], 0, last(to[0]));
    root.scrollTop = clamp(root.scrollTop, HEAD + (next + 1) * STEP - root.clientHeight, next * STEP);
    figure.point(to[0], next);
  } else if (event.key === "Enter" || event.key === " ") figure.pick(side, at);
  else return;
  event.preventDefault();
  event.stopPropagation();
}
