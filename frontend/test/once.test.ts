import { beforeEach, expect, test, vi } from "vitest";
import { countSent, find, open, PASSKEY_PAGE } from "./fixture";

const CODE_PAGE = `<form data-su-once><button>Confirm</button></form>`;

let sent: () => number;

beforeEach(() => {
  sent = countSent();
});

test("a second press on the way sends nothing", async () => {
  await open(CODE_PAGE);
  const form = find<HTMLFormElement>("form");
  form.requestSubmit();
  form.requestSubmit();
  expect(sent()).toBe(1);
  expect(find("button").getAttribute("aria-busy")).toBe("true");
});

test("a page that comes back out of the browser's cache can be sent again", async () => {
  await open(CODE_PAGE);
  const form = find<HTMLFormElement>("form");
  form.requestSubmit();
  window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
  expect(find("button").hasAttribute("aria-busy")).toBe(false);
  form.requestSubmit();
  expect(sent()).toBe(2);
});

test("a page that was loaded anew changes nothing", async () => {
  await open(CODE_PAGE);
  const form = find<HTMLFormElement>("form");
  form.requestSubmit();
  window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: false }));
  form.requestSubmit();
  expect(sent()).toBe(1);
});

test("a form that is held back for its ceremony is not counted as sent", async () => {
  vi.doMock("@simplewebauthn/browser", () => ({
    browserSupportsWebAuthn: () => true,
    startAuthentication: () => Promise.resolve({ id: "key" }),
    WebAuthnAbortService: { cancelCeremony: () => undefined },
  }));
  await open(PASSKEY_PAGE);
  find<HTMLFormElement>("form").requestSubmit();
  expect(sent()).toBe(0);
  await vi.waitFor(() => expect(sent()).toBe(1));
  expect(find<HTMLInputElement>("[name=credential]").value).toBe('{"id":"key"}');
});
