// The card of a head or neuron: the tokens that it promotes and suppresses, as bars.

import { makeBars } from "./bars.js";
import { element } from "./dom.js";
import { makeBar, show, views } from "./page.js";
import { tokenWords } from "./strip.js";

views.set("card", (root, facts, columns, page) => {
  const known = element("dl", { class: "known" }, facts.facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
  const sections = facts.sections.map(([title, rankings]) => element("section", {},
    title ? element("h3", {}, tokenWords(title)) : null, element("div", { class: "rankings" }, rankings.map((row) => ranking(row, title ? "h4" : "h3")))));
  show(root, makeBar(page, facts.title), element("div", { class: "sheet", tabindex: "0", role: "region", "aria-label": "Card" }, known, sections));
});

function ranking([title, words, numbers], heading) {
  const most = Math.max(...numbers.map(Math.abs));
  const rows = words.map((word, i) => ({ word, share: numbers[i] }));
  return element("div", { class: "ranking" }, element(heading, {}, title), makeBars(title, rows, most));
}
