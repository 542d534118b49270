// What a page tells whoever looks into it with the tools of the browser.
interface Window {
  graftwork: any;
}
