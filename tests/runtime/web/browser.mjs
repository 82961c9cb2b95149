// What tests and benchmarks of web pages need: Chromium, playwright-core, a server of files that counts.
// playwright-core is looked for where QAMA_NODE_MODULES says, then in the user's cache, then among npm's global ones:
//   npm install --prefix ~/.cache/qama/web playwright-core
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";

export const CACHE = path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache"), "qama", "web");
const CHROMIUM = process.env.QAMA_CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export class Missing extends Error {}

/** The folder of an npm package. */
export function packageFolder(name) {
  const folders = [process.env.QAMA_NODE_MODULES, path.join(CACHE, "node_modules")].filter(Boolean);
  try {
    folders.push(execFileSync("npm", ["root", "-g"], { encoding: "utf8" }).trim());
  } catch {
    // npm is not here.
  }
  const found = folders.map((folder) => path.join(folder, name)).find((folder) => fs.existsSync(folder));
  if (!found) throw new Missing(`${name} is not here: npm install --prefix ${CACHE} ${name}`);
  return found;
}

/** Starts Chromium. Missing: it or playwright-core is not here. */
export async function launch() {
  if (!fs.existsSync(CHROMIUM)) throw new Missing(`${CHROMIUM} is not here; QAMA_CHROMIUM names another one`);
  const { chromium } = createRequire(import.meta.url)(packageFolder("playwright-core"));
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
}

const TYPES = { ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".mjs": "text/javascript",
  ".wasm": "application/wasm", ".svg": "image/svg+xml" };

/** Serves folders on loopback: {"/": FOLDER, "/name/": FOLDER}, with more headers. `asked`: paths that were asked for. */
export async function serve(folders, headers = {}) {
  const asked = [];
  const server = http.createServer((request, reply) => {
    const name = decodeURIComponent(new URL(request.url, "http://localhost").pathname).replace(/\/$/, "/index.html");
    asked.push(name);
    const at = Object.keys(folders).filter((begin) => name.startsWith(begin)).sort((a, b) => b.length - a.length)[0];
    const file = at && path.join(folders[at], path.normalize(`/${name.slice(at.length)}`));
    if (!file || !fs.existsSync(file) || !fs.statSync(file).isFile()) {
      reply.writeHead(404).end();
      return;
    }
    reply.writeHead(200, { ...headers, "content-type": TYPES[path.extname(file)] ?? "application/octet-stream",
      "content-length": fs.statSync(file).size });
    fs.createReadStream(file).pipe(reply);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { asked, url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
