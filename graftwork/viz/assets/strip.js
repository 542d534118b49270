// A run of tokens, coloured by numbers: each can be pointed at, walked to and picked.

import { element, fill } from "./dom.js";
import { inkOn } from "./scales.js";

// The words of a token; spaces at its ends, and those it is all of, are faint marks.
export function tokenWords(token) {
  if (!token) return [element("span", { class: "mark" }, "∅")];
  const inside = token.trim(), start = token.length - token.trimStart().length;
  const marks = (count) => Array.from({ length: count }, () => element("span", { class: "mark" }, "·"));
  if (!inside) return marks(token.length);
  return [...marks(start), inside, ...marks(token.length - start - inside.length)];
}

// A token within a sentence, in quotes that show where it begins and ends.
export function quoted(token) {
  return `“${token}”`;
}

// hears: { point(at), leave(), pick(at) }
export function makeStrip(label, words, hears) {
  const strip = { cells: [], at: 0, words, hears };
  strip.root = element("div", {
    class: "strip", role: "listbox", "aria-label": label, "aria-orientation": "horizontal",
    onpointerover: (event) => ifCell(strip, event, hears.point), onpointerleave: () => hears.leave(),
    onclick: (event) => ifCell(strip, event, (at) => { moveToToken(strip, at); hears.pick(at); }),
    onkeydown: (event) => onStripKey(strip, event),
  });
  setWords(strip, words);
  return strip;
}

export function setWords(strip, words) {
  strip.words = words;
  strip.at = Math.min(strip.at, words.length - 1);
  strip.cells = words.map((word, at) => element("span", {
    class: "token", role: "option", "aria-selected": "false", "data-at": at, tabindex: at === strip.at ? "0" : "-1",
  }, tokenWords(word)));
  fill(strip.root, strip.cells);
}

// Colours and describes every token: of(at) gives { rgb or null, note, state }.
export function colourStrip(strip, of) {
  strip.cells.forEach((cell, at) => {
    const { rgb, note, state } = of(at);
    cell.style.backgroundColor = rgb ? `rgb(${rgb.join(",")})` : "";
    cell.style.color = rgb ? inkOn(rgb) : "";
    cell.dataset.state = state ?? "";
    cell.setAttribute("aria-selected", String(state === "held" || state === "locked"));
    cell.setAttribute("aria-label", note ? `${at} ${strip.words[at]}, ${note}` : `${at} ${strip.words[at]}`);
  });
}

export function focusToken(strip, at) {
  moveToToken(strip, at);
  strip.cells[at]?.focus();
}

function ifCell(strip, event, act) {
  const cell = event.target.closest?.(".token");
  if (cell) act(Number(cell.dataset.at));
}

function moveToToken(strip, at) {
  strip.cells[strip.at]?.setAttribute("tabindex", "-1");
  strip.at = at;
  strip.cells[at]?.setAttribute("tabindex", "0");
}

function onStripKey(strip, event) {
  const last = strip.words.length - 1;
  const to = { ArrowRight: strip.at + 1, ArrowLeft: strip.at - 1, Home: 0, End: last }[event.key];
  if (to !== undefined) {
    focusToken(strip, Math.max(0, Math.min(last, to)));
    strip.hears.point(strip.at);
  } else if (event.key === "Enter" || event.key === " ") strip.hears.pick(strip.at);
  else return;
  event.preventDefault();
  event.stopPropagation();
}
