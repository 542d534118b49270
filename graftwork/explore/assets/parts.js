// The parts of the page by their ids.

/** The element of an id that the page has. @type {(id: string) => any} */
export const byId = (id) => document.getElementById(id);
