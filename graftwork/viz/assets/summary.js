// What an array is like as a whole, from summary.py: numbers, a histogram, and what stands out.

import { button, element } from "./dom.js";
import { written } from "./scales.js";

// go(flat): shows the element at a flat position of the whole array.
export function makeSummary(array, scale, dark, go) {
  const { summary } = array;
  return [
    element("dl", {}, summaryRows(summary).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])),
    summary.counts.length > 1 ? histogram(summary, scale, dark) : null,
    ...outliersOf(array, go),
  ];
}

function summaryRows({ count, mean, std, low, high, zeros, nans, rising, falling }) {
  const share = (part) => `${part.toLocaleString("en")} (${written((100 * part) / count)} %)`;
  const rows = [["elements", count.toLocaleString("en")]];
  if (mean !== null) {
    rows.push(["mean ± std", `${written(mean)} ± ${written(std)}`], ["range", `${written(low)} … ${written(high)}`]);
    if (zeros) rows.push(["zero", share(zeros)]);
  }
  if (nans) rows.push(["NaN", share(nans)]);
  if (rising) rows.push(["∞", share(rising)]);
  if (falling) rows.push(["−∞", share(falling)]);
  return rows;
}

// How many numbers are in each of equal steps, in heights that grow with the logarithm.
function histogram({ counts, low, high }, scale, dark) {
  const most = Math.log1p(Math.max(...counts));
  const bars = counts.map((count, i) => {
    const from = low + ((high - low) * i) / counts.length, to = low + ((high - low) * (i + 1)) / counts.length;
    const bar = element("i", {}), slot = element("span", { title: `${written(from)} … ${written(to)}: ${count.toLocaleString("en")}` }, bar);
    bar.style.height = `${(100 * Math.log1p(count)) / most}%`;
    slot.style.borderBottomColor = scale.css((from + to) / 2, dark);
    return slot;
  });
  const peak = counts.indexOf(Math.max(...counts));
  const label = `Histogram from ${written(low)} to ${written(high)}, most numbers near ${written(low + ((high - low) * (peak + 0.5)) / counts.length)}`;
  return element("figure", { class: "histogram" }, element("div", { class: "bars", role: "img", "aria-label": label }, bars),
    element("figcaption", {}, element("span", {}, written(low)), element("span", {}, "log count"), element("span", {}, written(high))));
}

function outliersOf({ summary, axes }, go) {
  if (!summary.far) return [];
  const where = (flat) => {
    const words = [];
    for (const axis of [...axes].reverse()) {
      words.unshift(flat % axis.whole);
      flat = Math.floor(flat / axis.whole);
    }
    return words.join(", ");
  };
  return [
    element("h4", {}, `${summary.far.toLocaleString("en")} beyond 6 standard deviations`),
    element("ul", { class: "outliers", "aria-label": "Outliers" }, summary.outliers.map(([flat, number]) => element("li", {},
      button(`${written(number)}`, `Show the outlier ${written(number)} at ${where(flat)}`, () => go(flat)),
      element("span", { class: "soft" }, `at ${where(flat)}`)))),
  ];
}
