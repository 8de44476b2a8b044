import { expect, test } from "vitest";
import { minutesText } from "../src/countdown";

test.each([
  [600, "en", "Open for another 10 minutes"],
  [61, "en", "Open for another 2 minutes"],
  [60, "en", "Open for another 1 minute"],
  [0, "en", "Open for another 1 minute"],
])("%d seconds in %s", (seconds, language, text) => {
  expect(minutesText("Open for another {}", seconds, language)).toBe(text);
});

test("the unit is the reader's", () => {
  expect(minutesText("Noch {} offen", 300, "de")).toBe("Noch 5 Minuten offen");
});
