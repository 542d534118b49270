// A grid as a table, for reading by rows and columns: in each cell what is said of it, or its number.

import { element } from "./dom.js";
import { written } from "./scales.js";

const MOST_CELLS = 4000;

// A grid as matrix.js has it; or, for value, `said(row, column)`: the words of a cell.
export function tableOf(grid) {
  const { rows, columns, value, text, said, label, blank } = grid;
  if (rows.labels.length * columns.labels.length > MOST_CELLS) return element("p", {}, `${label}: there are too many numbers for a table.`);
  const number = (found) => (blank && Number.isNaN(found) ? "" : written(found));
  const cell = said ?? ((row, column) => `${text ? `${text(row, column)} ` : ""}${number(value(row, column))}`);
  return element("table", { class: "numbers" }, element("caption", {}, label),
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, `${rows.name} \\ ${columns.name}`),
      columns.labels.map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, rows.labels.map((name, row) => element("tr", {}, element("th", { scope: "row" }, name),
      columns.labels.map((_, column) => element("td", {}, cell(row, column)))))));
}
