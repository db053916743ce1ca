// HTML of unknown origin, made fit for a frame that may do nothing.

const POLICY =
  "default-src 'none'; img-src data:; media-src data:; font-src data:; " +
  "style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'";

// What runs, fetches or leads away as an element; a policy in a document does not stop all of it
// (the browser looks up the name of a host that a link names before anything is asked of it).
const REMOVED = 'script, link, meta, base, iframe, frame, object, embed, portal, template';
const ADDRESSES = [
  'href', 'xlink:href', 'src', 'srcset', 'poster', 'background', 'action', 'formaction', 'data',
  'ping', 'manifest', 'srcdoc'
]; // prettier-ignore

/**
 * The document for the `srcdoc` of a frame with an empty `sandbox`.
 *
 * The sandbox keeps scripts, forms and navigation of other windows away, the policy all requests.
 * Addresses are taken out besides, so that a click leads nowhere; what is in the document itself
 * (`data:`, `#part`) stays.
 */
export function frameDocument(html: string): string {
  const parsed = new DOMParser().parseFromString(html, 'text/html');
  parsed.querySelectorAll(REMOVED).forEach(element => element.remove());
  parsed.querySelectorAll('*').forEach(element => {
    for (const name of ADDRESSES) {
      const value = element.getAttribute(name);
      if (value !== null && !/^(#|data:)/i.test(value.trim())) {
        element.removeAttribute(name);
      }
    }
  });
  const policy = parsed.createElement('meta');
  policy.httpEquiv = 'Content-Security-Policy';
  policy.content = POLICY;
  parsed.head.prepend(policy);
  return `<!doctype html>${parsed.documentElement.outerHTML}`;
}
