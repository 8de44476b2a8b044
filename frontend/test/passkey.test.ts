import { expect, test } from "vitest";
import { failureOf } from "../src/passkey";

function named(name: string): Error {
  return Object.assign(new Error("browsers say little"), { name });
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
