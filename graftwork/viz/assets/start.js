// Shows every picture of the page.

import { unpack } from "./unpack.js";
import { makePage, ready, views } from "./page.js";
import { offerSaving } from "./saving.js";

async function start() {
  const page = makePage();
  for (const root of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".view"))) {
    const { textContent } = /** @type {HTMLElement} */ (root.querySelector("script")), [first, ...chunks] = textContent.split("\n");
    const { facts, columns } = await unpack(first);
    const still = /** @type {HTMLImageElement} */ (root.querySelector(".still")).src;
    await views.get(root.dataset.kind)(root, facts, columns, page, chunks);
    offerSaving(page, root, still);
  }
  ready();
}

start();
