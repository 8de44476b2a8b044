import { expect, test } from "vitest";
import { find, open } from "./fixture";

test.each([
  ["123 456", "123456"],
  [" 123-456\n", "123456"],
  ["123\u2013456", "123456"],
  ["12345x", "12345x"],
])("%j is read as %j", async (pasted, value) => {
  await open(`<input data-su-digits="6">`);
  const field = find<HTMLInputElement>("input");
  field.value = pasted;
  field.dispatchEvent(new Event("input"));
  expect(field.value).toBe(value);
});
