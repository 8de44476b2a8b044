import { beforeEach, expect, test, vi } from "vitest";
import { failureOf } from "../src/passkey";
import { countSent, find, named, open, PASSKEY_PAGE } from "./fixture";

const browser = {
  browserSupportsWebAuthn: vi.fn(),
  startAuthentication: vi.fn(),
  startRegistration: vi.fn(),
  WebAuthnAbortService: { cancelCeremony: vi.fn() },
};

let sent: () => number;

beforeEach(() => {
  vi.resetAllMocks();
  browser.browserSupportsWebAuthn.mockReturnValue(true);
  vi.doMock("@simplewebauthn/browser", () => browser);
  sent = countSent();
});

function press(): void {
  find<HTMLFormElement>("form").requestSubmit();
}

async function pressAndFail(name: string): Promise<void> {
  browser.startAuthentication.mockRejectedValueOnce(named(name));
  press();
  await vi.waitFor(() => expect(find("[data-su-waiting]").hidden).toBe(true));
}

test.each([
  ["NotAllowedError", "cancelled"],
  ["AbortError", "cancelled"],
  ["InvalidStateError", "exists"],
  ["SecurityError", "misconfigured"],
  ["NotSupportedError", "unsupported"],
  ["SomethingNewError", "cancelled"],
])("%s is told as %s", (name, failure) => {
  expect(failureOf(named(name))).toBe(failure);
});

test("what is no error is told as cancelled", () => {
  expect(failureOf("text")).toBe("cancelled");
});

test("nothing is asked before the button is pressed", async () => {
  await open(PASSKEY_PAGE);
  expect(browser.startAuthentication).not.toHaveBeenCalled();
  expect(find("[data-su-start]").hidden).toBe(false);
});

test("the device is asked with the server's options while the page waits", async () => {
  browser.startAuthentication.mockReturnValue(new Promise(() => undefined));
  await open(PASSKEY_PAGE);
  press();
  expect(browser.startAuthentication).toHaveBeenCalledWith({
    optionsJSON: { challenge: "AQID", rpId: "localhost" },
  });
  expect(find("[data-su-waiting]").hidden).toBe(false);
  expect(find("[data-su-start]").hidden).toBe(true);
  expect(document.activeElement).toBe(find("[data-su-abort]"));
});

test("the answer goes into the form, which is sent", async () => {
  browser.startAuthentication.mockResolvedValue({ id: "key" });
  await open(PASSKEY_PAGE);
  press();
  await vi.waitFor(() => expect(sent()).toBe(1));
  expect(find("[data-su-confirmed]").hidden).toBe(false);
});

test("a new passkey is made, not asked for", async () => {
  browser.startRegistration.mockResolvedValue({ id: "new" });
  await open(PASSKEY_PAGE.replace('data-su-passkey="get"', 'data-su-passkey="create"'));
  press();
  await vi.waitFor(() => expect(sent()).toBe(1));
  expect(browser.startAuthentication).not.toHaveBeenCalled();
});

test("waiting can be stopped", async () => {
  browser.startAuthentication.mockReturnValue(new Promise(() => undefined));
  await open(PASSKEY_PAGE);
  press();
  find("[data-su-abort]").click();
  expect(browser.WebAuthnAbortService.cancelCeremony).toHaveBeenCalledOnce();
});

test("a failure is told, takes the focus, and lets somebody try again", async () => {
  await open(PASSKEY_PAGE);
  await pressAndFail("NotAllowedError");
  expect(find('[data-su-failure="cancelled"]').hidden).toBe(false);
  expect(document.activeElement).toBe(find('[data-su-failure="cancelled"]'));
  expect(find("[data-su-start]").hidden).toBe(false);
  expect(sent()).toBe(0);

  browser.startAuthentication.mockResolvedValue({ id: "key" });
  press();
  expect(find('[data-su-failure="cancelled"]').hidden).toBe(true);
  await vi.waitFor(() => expect(sent()).toBe(1));
});

test("a failure without a text of its own is told as cancelled", async () => {
  await open(PASSKEY_PAGE);
  await pressAndFail("InvalidStateError");
  expect(find('[data-su-failure="cancelled"]').hidden).toBe(false);
});

test("after two failures another way leads", async () => {
  await open(PASSKEY_PAGE);
  await pressAndFail("NotAllowedError");
  expect(find("[data-su-answer]").classList).not.toContain("su-answer-failing");
  await pressAndFail("NotAllowedError");
  expect(find("[data-su-answer]").classList).toContain("su-answer-failing");
});

test("where there is no other way the button stays the first", async () => {
  await open(PASSKEY_PAGE);
  find("[data-su-another]").remove();
  await pressAndFail("NotAllowedError");
  await pressAndFail("NotAllowedError");
  expect(find("[data-su-answer]").classList).not.toContain("su-answer-failing");
});

test("a browser without passkeys says so at once", async () => {
  browser.browserSupportsWebAuthn.mockReturnValue(false);
  await open(PASSKEY_PAGE);
  expect(find('[data-su-failure="unsupported"]').hidden).toBe(false);
  expect(find<HTMLButtonElement>("[data-su-start]").disabled).toBe(true);
});
