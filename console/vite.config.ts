import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

/** Where the api of a running `hookline up` is, for `npm run dev`. */
const api = process.env.HOOKLINE_API_URL ?? "http://127.0.0.1:8081";

/** Writes a `.br` beside every file: the api sends it to browsers that take it. */
const brotli = {
  name: "brotli",
  apply: "build" as const,
  closeBundle() {
    for (const entry of readdirSync("dist", { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || entry.name.endsWith(".br")) continue;
      const path = join(entry.parentPath, entry.name);
      writeFileSync(`${path}.br`, brotliCompressSync(readFileSync(path)));
    }
  },
};

export default defineConfig({
  plugins: [svelte(), brotli],
  // Nothing is inlined: the policy of the page allows no `data:` script, and hashed names are kept for ever.
  build: { target: "es2023", assetsInlineLimit: 0, modulePreload: { polyfill: false }, reportCompressedSize: false, rolldownOptions: { checks: { pluginTimings: false } } },
  server: {
    port: 5173,
    host: "127.0.0.1",
    proxy: Object.fromEntries(["/v1", "/session", "/connect", "/docs", "/openapi.json"].map((path) => [path, { target: api }])),
  },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
