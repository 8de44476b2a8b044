// The demo wears the same style, and imports nothing of ours: it gets a copy of the built file.

import { copyFileSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const built = join(root, "stepup/pages/static");
const manifest = JSON.parse(readFileSync(join(built, "manifest.json"), "utf8"));
copyFileSync(
  join(built, manifest["src/stepup.css"].file),
  join(root, "stepup/demo/static/stepup.css"),
);
