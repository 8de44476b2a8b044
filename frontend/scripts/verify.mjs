// The committed build must be what the sources build to: nobody edits what is shipped by hand.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const committed = join(here, "../../stepup/pages/static");
const fresh = mkdtempSync(join(tmpdir(), "stepup-pages-"));
const differences = [];
try {
  execFileSync("npm", ["exec", "--", "vite", "build", "--logLevel", "error"], {
    cwd: join(here, ".."),
    env: { ...process.env, STEPUP_PAGES_OUT: fresh },
    stdio: "inherit",
  });
  const names = new Set([...readdirSync(fresh), ...readdirSync(committed)]);
  for (const name of names) {
    const read = (folder) => {
      try {
        return readFileSync(join(folder, name), "utf8");
      } catch {
        return null;
      }
    };
    if (read(fresh) !== read(committed)) differences.push(name);
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
if (differences.length > 0) {
  console.error(`stepup/pages/static is not what the sources build to: ${differences.join(", ")}`);
  console.error("run `make assets` and commit the result");
  process.exit(1);
}
