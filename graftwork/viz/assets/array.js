// The picture of arrays by two of their axes: sliders or small grids for the others, and a card with
// the number that is picked, the code that gives it, and what the array is like as a whole.

import { keepAddress, recalled } from "./address.js";
import { contourKey, contourLine, contourOf, curvesOf } from "./contours.js";
import { paintDigits, paintTruth, digitScale, truthScale } from "./digits.js";
import { button, copyText, element, fill } from "./dom.js";
import { makeMatrix, markCell, markHovered, paintWhole, refreshMatrix, zoomMatrix } from "./matrix.js";
import { isDark, makeBar, onKeys, onSave, onSelection, onTheme, say, show, tellSelection, views } from "./page.js";
import { makeColourBar, makeScale, written } from "./scales.js";
import { drawSheet } from "./sheet.js";
import { codeOf, indexOf, makeArray, numbersOf, placeOf, placeOfWhole } from "./stored.js";
import { makeSummary } from "./summary.js";
import { tableOf } from "./table.js";

const MOST_FACETS = 12, MOST_WRITTEN = 400, ARRAYS = "·arrays", NOTHING = "·nothing";

// facts: title, arrays, scale, pool, alarm, spelled: id -> token; of a sweep also plain: the metric
// without any edit, and edits, sites, strings: the code and the site of each edit; of a heat map
// contours: [number, words], contoured: whether they are shown at first, and, if its cells are means,
// averaged: { axes, of, low, high }: over what, of how many, and how many they are of.
views.set("array", (root, facts, columns, page) => {
  const arrays = facts.arrays.map((array, i) => makeArray(array, numbersOf(columns, i, facts.scale)));
  const view = { root, page, facts, arrays, current: 0, scale: makeScale(facts.scale), at: {}, rows: null, columns: null, facet: null, picked: null, contoured: facts.contoured, counts: columns.counts };
  view.facet = firstFacet(view);
  const picked = recall(view);
  view.controls = element("div", { class: "controls" });
  view.body = element("div", { class: "content" });
  view.card = element("aside", { class: "card", "aria-label": "Numbers", tabindex: "0" });
  view.tableButton = button("Table", "Show the numbers as a table", () => showTable(view), { "aria-pressed": "false" });
  view.contourButton = facts.contours?.length ? button("Contours", "Lines of equal numbers (c)", () => showContours(view), { "aria-pressed": String(view.contoured) }) : null;
  const zoom = (factor) => () => { for (const matrix of view.matrices) zoomMatrix(matrix, factor); };
  const tools = element("div", { class: "tools" }, ...[view.contourButton, view.tableButton].filter(Boolean),
    button("−", "Smaller cells (−)", zoom(1 / 1.5), { class: "icon" }), button("+", "Larger cells (+)", zoom(1.5), { class: "icon" }),
    button("Fit", "All cells (0)", zoom(0)));
  const colours = arrays.every((array) => array.digits) ? null : makeColourBar(page, view.scale, facts.alarm);
  show(root, makeBar(page, facts.title, ...(colours ? [colours] : []), tools), view.controls, view.body);
  rebuild(view);
  if (picked) {
    showPlace(view, view.arrays[view.current], picked);
    pick(view, view.arrays[view.current], indexOf(view.arrays[view.current], picked));
  }
  if (recalled(root).word("table") === "true") showTable(view);
  keepAddress(root, () => told(view));
  onTheme(page, () => refreshCard(view));
  onSelection(page, root, (selection) => hearSelection(view, selection));
  onSave(page, root, () => drawn(view));
  onKeys(root, (event) => (event.key === "c" && view.contourButton ? () => showContours(view) : null));
});

// --- in the address

function told(view) {
  const { arrays, current, rows, columns, facet, at, picked, contoured, tableButton } = view, array = picked?.array ?? arrays[current];
  return {
    array: arrays.indexOf(array), rows, columns, facet, at: array.axes.map(({ name }) => at[name] ?? 0).join("."),
    picked: picked?.place.join("."), contours: String(contoured), table: tableButton.getAttribute("aria-pressed") === "true",
  };
}

// Takes up what an address says, as far as these arrays have it; gives the place to pick, or null.
function recall(view) {
  const { word, number, numbers } = recalled(view.root), facet = word("facet");
  view.current = Math.max(0, number("array", view.arrays.length));
  const { axes } = view.arrays[view.current], named = (name) => axes.find((axis) => axis.name === name)?.name ?? null;
  Object.assign(view, { rows: named(word("rows")), columns: named(word("columns")) });
  if (facet === NOTHING || (facet === ARRAYS && view.arrays.length > 1) || axes.some((axis) => axis.name === facet && axis.extent <= MOST_FACETS)) view.facet = facet;
  numbers("at", Infinity).slice(0, axes.length).forEach((at, i) => { if (at >= 0 && at < axes[i].whole) view.at[axes[i].name] = at; });
  if (word("contours")) view.contoured = Boolean(view.facts.contours?.length) && word("contours") === "true";
  const place = numbers("picked", Infinity);
  return place.length === axes.length && place.every((at, i) => at >= 0 && at < axes[i].extent) ? place : null;
}

// --- which axis is what

// Axes are chosen by name; an array that lacks one is shown by its first axes.
function rolesOf({ rows, columns, facet }, array) {
  const find = (name, otherwise) => (name === null ? otherwise : array.axes.findIndex((axis) => axis.name === name));
  let row = find(rows, array.rows), column = find(columns, array.columns);
  if (row < 0 || row === column || (column < 0 && array.axes.length > 1)) [row, column] = [array.rows, array.columns];
  const side = array.axes.findIndex((axis, i) => axis.name === facet && i !== row && i !== column);
  return { row, column, facet: side };
}

function firstFacet(view) {
  const array = view.arrays[0], names = (other) => other.axes.map((axis) => axis.name).join("\n");
  if (view.arrays.length > 1) return view.arrays.length <= 4 && view.arrays.every((other) => names(other) === names(array)) ? ARRAYS : NOTHING;
  const { row, column } = rolesOf(view, array);
  return array.axes.find((axis, i) => i !== row && i !== column && axis.extent > 1 && axis.extent <= MOST_FACETS)?.name ?? NOTHING;
}

// The grids that stand side by side: an array, and a position on the axis that is spread out.
function gridsOf(view) {
  if (view.facet === ARRAYS) return view.arrays.map((array) => ({ array, side: 0, title: array.name }));
  const array = view.arrays[view.current], axis = array.axes[rolesOf(view, array).facet];
  if (!axis) return [{ array, side: 0, title: "" }];
  return axis.labels.map((label, side) => ({ array, side, title: `${axis.name} = ${label}` }));
}

// Where a grid begins: every axis but rows and columns at one position.
function startOf(view, array, roles, side) {
  return array.axes.map((axis, i) => {
    if (i === roles.row || i === roles.column) return 0;
    return i === roles.facet ? side : Math.min(Math.floor((view.at[axis.name] ?? 0) / axis.block), axis.extent - 1);
  });
}

// --- parts

function rebuild(view) {
  const grids = gridsOf(view);
  view.matrices = grids.map((grid) => makeMatrix(view.page, gridOf(view, grid)));
  const facets = () => element("div", { class: "grids" }, view.matrices.map((matrix, i) =>
    element("div", { class: "facet" }, element("h3", {}, grids[i].title), matrix.root)));
  fillControls(view);
  fill(view.body, grids.length > 1 ? facets() : view.matrices[0].root, view.card);
  view.tableButton.setAttribute("aria-pressed", "false");
  refreshCard(view);
}

function gridOf(view, { array, side, title }) {
  const { facts } = view, roles = rolesOf(view, array), { numbers } = array;
  const row = array.axes[roles.row], column = array.axes[roles.column] ?? { name: "", labels: [""], stride: 0, extent: 1 };
  const base = () => indexOf(array, startOf(view, array, roles, side));
  const index = (i, j) => grid.base + i * row.stride + j * column.stride;
  const few = row.extent * column.extent <= MOST_WRITTEN;
  const grid = {
    array, label: [facts.title, title].filter(Boolean).join(", "), rows: row, columns: column, base: base(), rebase: base,
    fits: true, alarm: facts.alarm, pool: facts.pool, ...looksOf(view, array, few, (i, j) => numbers[index(i, j)]),
    value: (i, j) => numbers[index(i, j)],
    count: facts.averaged && !array.pooled ? (i, j) => `n=${view.counts[index(i, j)]}:` : undefined,
    curves: () => curvesOf(view, grid),
    describe: (i, j) => describe(view, array, index(i, j)),
    pick: (i, j) => pick(view, array, index(i, j)),
    hover: (i, j) => { for (const other of view.matrices) if (other.grid !== grid) markHovered(other, i, j); },
  };
  return grid;
}

// How cells look: colours of a scale, digits, tokens, or truth values.
function looksOf({ scale, facts }, { digits, dtype }, few, value) {
  if (digits && dtype === "bool") return { scale: truthScale(scale), inside: paintTruth };
  if (digits && Object.keys(facts.spelled).length) {
    return { scale: digitScale(scale), most: 84, text: (i, j) => facts.spelled[value(i, j)] ?? String(value(i, j)) };
  }
  if (digits) return { scale: digitScale(scale), inside: paintDigits, gap: 2 };
  return { scale, most: few ? 54 : 46, text: few ? (i, j) => shortly(value(i, j)) : undefined };
}

// A number in the few digits that fit a cell.
function shortly(number) {
  return Number.isFinite(number) ? written(Number(number.toPrecision(2))) : written(number);
}

// --- contours

function showContours(view) {
  view.contoured = !view.contoured;
  view.contourButton.setAttribute("aria-pressed", String(view.contoured));
  fillControls(view);
  for (const matrix of view.matrices) refreshMatrix(matrix);
  say(view.page, view.contoured ? contourLine(view) : "No contours");
}

// --- controls

function fillControls(view) {
  fill(view.controls, controlsOf(view), view.contoured ? contourKey(view) : null);
  view.controls.hidden = !view.controls.childElementCount;
}

function controlsOf(view) {
  const { arrays } = view, array = arrays[view.current], { axes } = array, roles = rolesOf(view, array), controls = [];
  if (arrays.length > 1 && view.facet !== ARRAYS) {
    controls.push(chooser("Array", arrays.map((other, i) => [i, other.name]), view.current, (value) => turnTo(view, Number(value))));
  }
  const names = axes.map(({ name }) => [name, name]);
  if (axes.length > 2) {
    controls.push(chooser("Rows", names, axes[roles.row].name, (name) => choose(view, "rows", name)),
      chooser("Columns", names, axes[roles.column].name, (name) => choose(view, "columns", name)));
  } else if (axes.length === 2) {
    controls.push(button("Swap rows and columns", "Swap rows and columns", () => choose(view, "rows", axes[roles.column].name)));
  }
  const sides = [[NOTHING, "nothing"], ...(arrays.length > 1 ? [[ARRAYS, "the arrays"]] : []),
    ...axes.filter((axis, i) => i !== roles.row && i !== roles.column && axis.extent <= MOST_FACETS).map(({ name }) => [name, name])];
  if (sides.length > 1) controls.push(chooser("Side by side", sides, view.facet, (name) => { view.facet = name; rebuild(view); }));
  axes.forEach((axis, i) => {
    if (axis.extent > 1 && ![roles.row, roles.column, roles.facet].includes(i)) controls.push(slider(view, axis));
  });
  return controls;
}

function chooser(label, options, chosen, hear) {
  const choice = element("select", { onchange: () => hear(choice.value) },
    options.map(([value, name]) => element("option", { value, selected: value === chosen }, name)));
  choice.setAttribute("aria-label", label);
  return element("label", {}, label, choice);
}

// An axis has one role: the other role gets what this one had.
function choose(view, role, name) {
  const array = view.arrays[view.current], roles = rolesOf(view, array);
  const now = { rows: array.axes[roles.row].name, columns: array.axes[roles.column].name };
  const other = role === "rows" ? "columns" : "rows";
  Object.assign(view, now, { [role]: name }, now[other] === name ? { [other]: now[role] } : {});
  if (view.facet === name) view.facet = NOTHING;
  rebuild(view);
}

// Shows another array, at the place that is picked if it has it.
function turnTo(view, current) {
  const array = view.arrays[current], place = view.picked && placeIn(array, view.picked);
  view.current = current;
  if (!place) view.picked = null;
  else view.picked = { array, place };
  rebuild(view);
  if (place) markSame(view, view.matrices[0]);
}

function slider(view, axis) {
  const at = () => Math.floor((view.at[axis.name] ?? 0) / axis.block);
  const output = element("output", {}, axis.labels[at()]);
  const range = element("input", {
    type: "range", min: 0, max: axis.extent - 1, value: at(), "aria-label": axis.name,
    oninput: () => {
      view.at[axis.name] = Number(range.value) * axis.block;
      output.textContent = axis.labels[at()];
      range.setAttribute("aria-valuetext", axis.labels[at()]);
      for (const matrix of view.matrices) refreshMatrix(matrix, { base: matrix.grid.rebase() });
    },
  });
  return element("label", {}, axis.name, range, output);
}

function showTable(view) {
  if (view.tableButton.getAttribute("aria-pressed") === "true") return rebuild(view);
  view.tableButton.setAttribute("aria-pressed", "true");
  fill(view.body, element("div", { class: "numbers-frame", tabindex: "0", role: "region", "aria-label": "Table of the numbers" },
    view.matrices.map(({ grid }) => tableOf({ ...grid, text: grid.count }))), view.card);
}

// --- cells

function describe(view, array, index) {
  const words = placeOf(array, index).map((at, i) => `${array.axes[i].name} ${array.axes[i].range(at)}`);
  return `${words.join(", ")}: ${valueOf(view, array, index)}${countOf(view, array, index)}${contourOf(view, array.numbers[index])}`;
}

// How many numbers a cell is the mean of.
function countOf({ facts, counts }, array, index) {
  return facts.averaged && !array.pooled ? `, mean of ${counts[index]} of ${facts.averaged.of}` : "";
}

// A number with the token that it stands for, or how exact it is.
function valueOf(view, array, index) {
  const number = array.numbers[index], token = view.facts.spelled[number];
  if (array.dtype === "bool") return number ? "true" : "false";
  if (token !== undefined) return `${number} “${token}”`;
  const inside = number >= view.scale.low && number <= view.scale.high;
  return array.error && inside ? `${written(number)} ± ${written(Number(array.error.toPrecision(1)))}` : written(number);
}

function pick(view, array, index) {
  view.picked = { array, place: placeOf(array, index) };
  refreshCard(view);
  for (const matrix of view.matrices) if (matrix.grid.array !== array) markSame(view, matrix);
  const selection = {};
  view.picked.place.forEach((at, i) => { selection[array.axes[i].name] = at * array.axes[i].block; });
  const { sites, strings } = view.facts, site = sites?.length ? strings[sites[editOf(view, index)]] : array.name;
  tellSelection(view.page, view.root, site ? { ...selection, site } : selection);
}

// Marks the place that is picked where another array has it too.
function markSame(view, matrix) {
  const { array } = matrix.grid, place = placeIn(array, view.picked);
  if (!place) return;
  const { row, column } = rolesOf(view, array);
  markCell(matrix, place[row], column < 0 ? 0 : place[column]);
}

// The same place in another array: the same positions on axes of the same names.
function placeIn(array, picked) {
  if (array === picked.array) return picked.place;
  const place = array.axes.map((axis) => {
    const i = picked.array.axes.findIndex((other) => other.name === axis.name);
    return i < 0 ? -1 : Math.floor((picked.place[i] * picked.array.axes[i].block) / axis.block);
  });
  return place.every((at, i) => at >= 0 && at < array.axes[i].extent) ? place : null;
}

// Which edit made a number: what is swept comes first, so the rest of the axes do not count.
function editOf({ facts, arrays }, index) {
  return Math.floor(index / (arrays[0].numbers.length / facts.edits.length));
}

// Shows the element at a flat position of the whole array.
function goTo(view, array, flat) {
  view.current = view.arrays.indexOf(array);
  const place = placeOfWhole(array, flat);
  showPlace(view, array, place);
  pick(view, array, indexOf(array, place));
}

function showPlace(view, array, place) {
  array.axes.forEach((axis, i) => { view.at[axis.name] = place[i] * axis.block; });
  rebuild(view);
  const { row, column, facet } = rolesOf(view, array);
  const matrix = view.facet === ARRAYS ? view.matrices[view.arrays.indexOf(array)] : view.matrices[facet < 0 ? 0 : place[facet]];
  markCell(matrix, place[row], column < 0 ? 0 : place[column]);
}

// --- the card

function refreshCard(view) {
  const { card, picked, facts } = view, array = picked?.array ?? view.arrays[view.current];
  const plain = (facts.plain ?? null) === null ? null : element("p", { class: "soft" }, `Without any edit: ${written(facts.plain)}`);
  fill(card,
    ...(picked ? pickedCard(view) : [element("h3", {}, "No cell is picked"), element("p", { class: "soft" }, "Click a cell, or move with the arrow keys and press Enter."), plain]),
    element("hr", {}), element("h3", {}, array.name || "All of it"),
    element("p", { class: "soft" }, `${array.dtype}, ${array.axes.map((axis) => `${axis.name}=${axis.whole}`).join(", ")}`),
    ...notesOn(view, array).map((note) => element("p", { class: "note" }, note)),
    ...makeSummary(array, view.scale, isDark(view.page), (flat) => goTo(view, array, flat)));
}

// What was left out for the sake of a small file.
function notesOn(view, array) {
  const notes = [], blocks = array.axes.filter((axis) => axis.block > 1).map((axis) => `${axis.block} of ${axis.name}`);
  if (blocks.length) notes.push(`Pooled by ${view.facts.pool}: ${blocks.join(", ")} to one. A larger max_mb= shows more.`);
  const { averaged } = view.facts;
  if (averaged) notes.push(`Means over ${averaged.axes}: each of ${averaged.low === averaged.high ? averaged.low : `${averaged.low} to ${averaged.high}`} of ${averaged.of} numbers.`);
  if (array.error) notes.push(`Kept to within ± ${written(Number(array.error.toPrecision(2)))}.`);
  return notes;
}

function pickedCard(view) {
  const { facts, picked: { array, place } } = view, index = indexOf(array, place), number = array.numbers[index];
  const rows = place.map((at, i) => [array.axes[i].name, array.axes[i].range(at)]);
  rows.push(["value", valueOf(view, array, index)]);
  if (countOf(view, array, index)) rows.push(["mean of", `${view.counts[index]} of ${facts.averaged.of}`]);
  if ((facts.plain ?? null) !== null) rows.push(["without edit", written(facts.plain)], ["change", written(number - facts.plain)]);
  for (const other of view.arrays) {
    const same = other !== array && view.facet === ARRAYS && placeIn(other, view.picked);
    if (same) rows.push([other.name, valueOf(view, other, indexOf(other, same))]);
  }
  const code = facts.edits?.length ? facts.strings[facts.edits[editOf(view, index)]] : facts.averaged ? `np.nanmean(${codeOf(array, place)})` : codeOf(array, place);
  return [
    element("h3", {}, valueOf(view, array, index)),
    element("dl", {}, rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])),
    element("div", { class: "finder" }, element("code", { class: "expression" }, code),
      button("Copy", "Copy the code", async () => say(view.page, (await copyText(code)) ? "Copied" : "The browser refused to copy"), { class: "copy" })),
  ];
}

// What another picture selected, as far as these arrays go.
function hearSelection(view, selection) {
  const named = view.arrays.find((array) => array.name && array.name === selection.site);
  const array = named ?? view.arrays[view.current], roles = rolesOf(view, array);
  const found = (i) => i >= 0 && selection[array.axes[i].name] < array.axes[i].whole;
  if (named) view.current = view.arrays.indexOf(named);
  if (!found(roles.row) && !found(roles.column)) return named ? rebuild(view) : undefined;
  const place = array.axes.map((axis) => Math.floor((selection[axis.name] ?? view.at[axis.name] ?? 0) / axis.block));
  showPlace(view, array, place.map((at, i) => Math.min(at, array.axes[i].extent - 1)));
}

// --- the picture as it looks, for saving

function drawn(view) {
  const grids = gridsOf(view), scale = grids.every(({ array }) => array.digits) ? null : view.scale;
  const title = [view.facts.title, ...(view.contoured ? [contourLine(view, true)] : [])].join(": ");
  return drawSheet(view, title, scale, grids.map(({ title }, i) => ({
    title, draw: (context, ...room) => paintWhole(context, view.matrices[i], ...room).height,
  })));
}
