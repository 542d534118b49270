// What a reader would send to a colleague, as the part of an address behind its `#`. Of several
// pictures on a page, each has its number before its words. A sandboxed page has no address of its own.

const LONGEST = 4000, SOON = 100;

function prefixOf(root) {
  return document.body.classList.contains("alone") ? "" : `${[...document.querySelectorAll(".view")].indexOf(root)}.`;
}

// Words by name, of which those that say nothing are left out.
export function remember(root, words) {
  if (location.protocol === "about:") return;
  const own = prefixOf(root), others = [...new URLSearchParams(location.hash.slice(1))].filter(([name]) => own && !name.startsWith(own));
  const told = Object.entries(words).filter(([, word]) => word || word === 0).map(([name, word]) => [own + name, word]);
  const text = new URLSearchParams([...others, ...told]).toString();
  if (text.length < LONGEST) history.replaceState(null, "", `#${text}`);
}

// Keeps the address at what `tell` gives, whatever the reader does.
export function keepAddress(root, tell) {
  let timer = 0;
  const soon = () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => remember(root, tell()), SOON);
  };
  for (const type of ["click", "keyup", "input"]) document.addEventListener(type, soon, true);
}

// What the address says: words by name, whole numbers below a limit (else -1), and lists of them.
export function recalled(root) {
  const own = prefixOf(root), words = new URLSearchParams(location.hash.slice(1)), word = (name) => words.get(own + name) ?? "";
  const below = (digits, limit) => (/^\d+$/.test(digits) && Number(digits) < limit ? Number(digits) : -1);
  return { word, number: (name, limit) => below(word(name), limit), numbers: (name, limit) => word(name).split(".").map((digits) => below(digits, limit)) };
}
