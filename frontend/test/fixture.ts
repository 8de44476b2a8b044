// Pieces of pages as the server renders them, and a passkey API that does what a test says.

import { vi } from "vitest";

export const PASSKEY_PAGE = `
  <div data-su-answer>
    <form data-su-passkey="get" data-su-once method="post">
      <input type="hidden" name="credential" value="">
      <div data-su-waiting hidden><button type="button" data-su-abort>Stop waiting</button></div>
      <div data-su-failure="cancelled" tabindex="-1" hidden></div>
      <div data-su-failure="unsupported" tabindex="-1" hidden></div>
      <p data-su-confirmed hidden></p>
      <button data-su-start>Continue with passkey</button>
    </form>
    <a data-su-another class="su-button-quiet" href="/methods">Try another way</a>
  </div>
  <script type="application/json" data-su-options>{"challenge": "AQID", "rpId": "localhost"}</script>`;

// A module script runs once for a page, so each test loads it anew.
export async function open(html: string): Promise<void> {
  document.body.innerHTML = html;
  vi.resetModules();
  await import("../src/stepup");
}

export function find<T extends Element = HTMLElement>(selector: string): T {
  const found = document.querySelector<T>(selector);
  if (!found) throw new Error(`${selector} is not there`);
  return found;
}

let counting = new AbortController();

// Counts the forms that the browser would send, and sends none.
export function countSent(): () => number {
  let sent = 0;
  counting.abort();
  counting = new AbortController();
  const count = (event: Event): void => {
    if (!event.defaultPrevented) sent += 1;
    event.preventDefault();
  };
  document.addEventListener("submit", count, { signal: counting.signal });
  return () => sent;
}

export function named(name: string): Error {
  return Object.assign(new Error("browsers say little"), { name });
}
