import { afterEach, expect, test, vi } from "vitest";
import { open } from "./fixture";

const UNKNOWN = `<script type="application/json" data-su-unknown>{"rpId": "x", "credentialId": "AQ"}</script>`;
const ACCEPTED = `<script type="application/json" data-su-accepted>{"rpId": "x", "userId": "AQ"}</script>`;

afterEach(() => {
  vi.unstubAllGlobals();
});

test("a passkey that is not known here is told to be forgotten", async () => {
  const api = { signalUnknownCredential: vi.fn(), signalAllAcceptedCredentials: vi.fn() };
  vi.stubGlobal("PublicKeyCredential", api);
  await open(UNKNOWN);
  expect(api.signalUnknownCredential).toHaveBeenCalledWith({ rpId: "x", credentialId: "AQ" });
  expect(api.signalAllAcceptedCredentials).not.toHaveBeenCalled();
});

test("the passkeys that are left are told", async () => {
  const api = { signalAllAcceptedCredentials: vi.fn() };
  vi.stubGlobal("PublicKeyCredential", api);
  await open(ACCEPTED);
  expect(api.signalAllAcceptedCredentials).toHaveBeenCalledWith({ rpId: "x", userId: "AQ" });
});

test("a page that has nothing to tell tells nothing", async () => {
  const api = { signalUnknownCredential: vi.fn(), signalAllAcceptedCredentials: vi.fn() };
  vi.stubGlobal("PublicKeyCredential", api);
  await open("");
  expect(api.signalUnknownCredential).not.toHaveBeenCalled();
  expect(api.signalAllAcceptedCredentials).not.toHaveBeenCalled();
});

test("a browser without the API, or one that refuses, disturbs nobody", async () => {
  vi.stubGlobal("PublicKeyCredential", undefined);
  await open(UNKNOWN);
  const api = { signalUnknownCredential: vi.fn().mockRejectedValue(new Error("no")) };
  vi.stubGlobal("PublicKeyCredential", api);
  await open(UNKNOWN);
  expect(api.signalUnknownCredential).toHaveBeenCalledOnce();
});
