// The package as users get it: packed, installed in an empty folder without a network, imported by
// its name; and that index.d.ts names what index.mjs has.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { folder, model_bytes, modules, qama, source } from "./support.mjs";

test("npm pack, npm install, import", { skip: !process.env.QAMA_NPM && "no npm" }, () => {
  const place = mkdtempSync(join(tmpdir(), "qama-package-"));
  try {
    const options = { cwd: place, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] };
    const npm = (...words) => execFileSync(process.env.QAMA_NPM, words, options);
    const [{ filename, files }] = JSON.parse(npm("pack", "--json", folder));
    const names = files.map(({ path }) => path);
    for (const name of ["index.mjs", "index.d.ts", "package.json", "README.md", "LICENSE", ...modules])
      assert.ok(names.includes(name), name);
    writeFileSync(join(place, "package.json"), '{"name": "empty", "version": "1.0.0"}');
    npm("install", "--offline", "--no-audit", "--no-fund", join(place, filename));
    assert.ok(existsSync(join(place, "node_modules/qama/index.d.ts")));
    writeFileSync(join(place, "use.mjs"), `
      import { readFileSync } from "node:fs";
      import { load, Model, Session, solve } from "qama";
      await load({ simd: ${modules.includes("qama.wasm")} });
      const model = await Model.from(readFileSync(process.argv[2]));
      const session = await Session.create(model);
      const { label } = session.classify(new Uint8Array(784));
      console.log(Number.isInteger(label), solve({ vertices: 3, edges: [[0, 1], [1, 2], [0, 2]] }).value);`);
    const model = join(source, "weights/models/mnist-qama.safetensors");
    assert.equal(execFileSync(process.execPath, ["use.mjs", model], options).trim(), "true 2");
  } finally {
    rmSync(place, { recursive: true });
  }
});

test("every declared name is there, and every name is declared", () => {
  const declared = readFileSync(join(folder, "index.d.ts"), "utf8");
  const values = [...declared.matchAll(/^export (?:function|const|class) (\w+)/gm)].map((match) => match[1]);
  assert.deepEqual(Object.keys(qama).sort(), values.sort());
  for (const [name, type] of [["Model", qama.Model], ["Session", qama.Session]]) {
    const body = declared.match(new RegExp(`^export class ${name} \\{(.*?)^\\}`, "ms"))[1];
    const methods = [...body.matchAll(/^  (?:static )?(\w+)\(/gm)].map((match) => match[1]);
    for (const method of methods)
      assert.equal(typeof (type[method] ?? type.prototype[method]), "function", `${name}.${method}`);
  }
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  assert.equal(qama.version, version);
});

test("sizes", () => {
  for (const name of modules) {
    const bytes = readFileSync(join(folder, name));
    const packed = gzipSync(bytes, { level: 9 }).length;
    const most = name === "qama.wasm" ? 300000 : 340000;
    console.log(`${name} gzip_bytes ${packed}, at most ${most}, brotli ${brotliCompressSync(bytes).length}`);
    assert.ok(packed <= most, `${name}: ${packed} bytes packed, at most ${most}`);
  }
});

// The lines that toolchains/matrix reads.
test("memory", async () => {
  const name = modules.at(-1);
  const bytes = readFileSync(join(folder, name));
  let memory;
  const { instantiate } = WebAssembly;
  WebAssembly.instantiate = async (...given) => {
    const made = await instantiate(...given);
    memory = made.exports.memory;
    return made;
  };
  // Another copy of the package, with a module of its own. Its memory grows and never shrinks.
  const { load, Model, Session } = await import(`${pathToFileURL(join(folder, "index.mjs"))}?memory`);
  await load({ module: bytes });
  WebAssembly.instantiate = instantiate;
  const session = await Session.create(await Model.from(model_bytes("mnist-qama")));
  session.classify(new Uint8Array(784));
  const peak = memory.buffer.byteLength;
  console.log(`${name} stripped_bytes ${bytes.length}, at most 1000000`);
  console.log(`${name} peak_rss_bytes ${peak}, at most 8000000`);
  assert.ok(bytes.length <= 1000000);
  assert.ok(peak <= 8000000, `${peak} bytes of memory`);
});
