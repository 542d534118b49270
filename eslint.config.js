// The scripts of pictures: no way from text to markup or code, and the usual care.

const MARKUP = ["innerHTML", "outerHTML", "srcdoc", "insertAdjacentHTML", "setHTMLUnsafe", "createContextualFragment", "parseFromString"];
const BROWSER = [
  "AbortController", "addEventListener", "atob", "Blob", "btoa", "cancelAnimationFrame", "clearTimeout", "customElements", "DecompressionStream", "document", "Event", "fetch",
  "getComputedStyle", "Image", "location", "matchMedia", "navigator", "Node", "parent", "history", "performance", "queueMicrotask",
  "requestAnimationFrame", "ResizeObserver", "Response", "setTimeout", "TextDecoder", "URL", "URLSearchParams", "window", "XMLSerializer",
];

export default [
  {
    files: ["graftwork/*/assets/*.js"],
    linterOptions: { reportUnusedDisableDirectives: "error" },
    languageOptions: {
      ecmaVersion: 2023,
      sourceType: "module",
      globals: Object.fromEntries(BROWSER.map((name) => [name, "readonly"])),
    },
    rules: {
      "array-callback-return": "error",
      "eqeqeq": "error",
      "no-const-assign": "error",
      "no-constant-condition": "error",
      "no-dupe-keys": "error",
      "no-eval": "error",
      "no-fallthrough": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-redeclare": "error",
      "no-restricted-properties": ["error",
        ...MARKUP.map((property) => ({ property, message: "Text is never markup: make elements with dom.js." })),
        { object: "document", property: "write", message: "Text is never markup: make elements with dom.js." },
      ],
      "no-script-url": "error",
      "no-self-assign": "error",
      "no-shadow-restricted-names": "error",
      "no-undef": "error",
      "no-unreachable": "error",
      "no-unused-expressions": "error",
      "no-unused-vars": "error",
      "no-use-before-define": ["error", { functions: false, variables: false }],
      "no-useless-return": "error",
      "no-var": "error",
      "prefer-const": "error",
      "use-isnan": "error",
      "valid-typeof": "error",
    },
  },
];
