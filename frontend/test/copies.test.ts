import { beforeEach, expect, test, vi } from "vitest";
import { find, open } from "./fixture";

const CODES = `
  <ol data-su-codes><li><code>AAAA-1111</code></li><li><code>BBBB-2222</code></li></ol>
  <button data-su-copy>Copy</button>
  <button data-su-download="codes.txt">Download</button>
  <button data-su-print>Print</button>
  <span data-su-copied hidden>Copied</span>`;
const KEY = `
  <p data-su-copy-source="JBSWY3DP"><span>JBSW</span> <span>Y3DP</span></p>
  <button data-su-copy>Copy key</button><p data-su-copied hidden>Copied</p>`;

const writeText = vi.fn();

beforeEach(() => {
  vi.restoreAllMocks();
  writeText.mockReset().mockResolvedValue(undefined);
  Object.defineProperty(navigator, "clipboard", { value: { writeText }, configurable: true });
});

test("codes are copied one in a line", async () => {
  await open(CODES);
  find("[data-su-copy]").click();
  await vi.waitFor(() => expect(find("[data-su-copied]").hidden).toBe(false));
  expect(writeText).toHaveBeenCalledWith("AAAA-1111\nBBBB-2222");
});

test("a key is copied without the gaps between its groups", async () => {
  await open(KEY);
  find("[data-su-copy]").click();
  await vi.waitFor(() => expect(writeText).toHaveBeenCalledWith("JBSWY3DP"));
});

test("what was not copied is not called copied", async () => {
  writeText.mockRejectedValue(new Error("no permission"));
  await open(CODES);
  find("[data-su-copy]").click();
  await vi.waitFor(() => expect(writeText).toHaveBeenCalled());
  expect(find("[data-su-copied]").hidden).toBe(true);
});

test("codes are saved as a file under the name that the page gives", async () => {
  const saved: Blob[] = [];
  vi.spyOn(URL, "createObjectURL").mockImplementation((blob) => {
    saved.push(blob as Blob);
    return "blob:codes";
  });
  const revoked = vi.spyOn(URL, "revokeObjectURL").mockReturnValue();
  const names: string[] = [];
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (
    this: HTMLAnchorElement,
  ) {
    names.push(this.download);
  });
  await open(CODES);
  find("[data-su-download]").click();
  expect(names).toEqual(["codes.txt"]);
  expect(await saved[0]?.text()).toBe("AAAA-1111\nBBBB-2222\n");
  expect(revoked).toHaveBeenCalledWith("blob:codes");
});

test("codes are printed", async () => {
  const print = vi.fn();
  Object.defineProperty(window, "print", { value: print, configurable: true });
  await open(CODES);
  find("[data-su-print]").click();
  expect(print).toHaveBeenCalledOnce();
});
