import { defineConfig } from "vitest/config";

// Hashed names, because they are served as immutable; the manifest is read by
// stepup/pages/assets.py.
export default defineConfig({
  base: "/assets/",
  publicDir: false,
  build: {
    outDir: process.env.STEPUP_PAGES_OUT ?? "../stepup/pages/static",
    emptyOutDir: true,
    assetsDir: "",
    manifest: "manifest.json",
    modulePreload: false,
    target: "es2022",
    rollupOptions: {
      input: ["src/stepup.ts", "src/stepup.css"],
    },
  },
  test: { environment: "happy-dom" },
});
