// The page of runtime/web in a browser, as people use it: mouse, touch, keyboard, files, both schemes, two widths.
//   page_test.mjs MODULE [--shots FOLDER]      MODULE: the folder of the npm package
// Exits with 77 where the module, Chromium or playwright-core is missing.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";
import { launch, Missing, serve } from "./browser.mjs";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const SEVEN = [[0.3, 0.24], [0.5, 0.23], [0.7, 0.22], [0.62, 0.42], [0.53, 0.62], [0.45, 0.82]];

/** A page that is loaded and then has no network; `problems` is what its console said. */
async function opened(browser, site, { width = 1200, scheme = "light", touch = false } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, hasTouch: touch });
  const page = await context.newPage();
  page.problems = [];
  page.late = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) page.problems.push(message.text());
  });
  page.on("pageerror", (error) => page.problems.push(error.message));
  await page.goto(site.url);
  await page.waitForFunction(() => ["ready", "failed"].includes(document.body.dataset.state), null, { timeout: 60000 });
  assert.equal(await page.evaluate(() => document.body.dataset.state), "ready", page.problems.join("; "));
  page.before = site.asked.length;
  context.on("request", (request) => /^https?:/.test(request.url()) && page.late.push(request.url()));
  await context.setOffline(true);
  return page;
}

async function closed(page, site) {
  assert.deepEqual(page.late, [], "requests after loading");
  assert.equal(site.asked.length, page.before, "requests after loading, as the server saw them");
  assert.deepEqual(page.problems, [], "the console");
  await page.context().close();
}

const says = (page, panel, answers) => page.waitForSelector(`#${panel}[data-answers="${answers}"]`, { timeout: 10000 });
const rested = (page) => page.waitForTimeout(700);

/** The example is drawn and read, so that what comes next is not disturbed. */
async function begun(page) {
  await says(page, "digit", "7 7");
  await page.waitForTimeout(1200);
}

async function points(page) {
  const box = await (await page.$("#pad")).boundingBox();
  return SEVEN.map(([x, y]) => ({ x: box.x + x * box.width, y: box.y + y * box.height }));
}

const checks = {
  async "a 7 by mouse"(browser, site) {
    const page = await opened(browser, site);
    await begun(page);
    await page.click("#clear");
    await says(page, "digit", "none");
    const [first, ...rest] = await points(page);
    await page.mouse.move(first.x, first.y);
    await page.mouse.down();
    for (const { x, y } of rest) await page.mouse.move(x, y, { steps: 6 });
    await page.mouse.up();
    await says(page, "digit", "7 7");
    await rested(page);
    for (const model of ["qama", "softmax"]) {
      const us = await page.$eval(`#digit-verdicts [data-model=${model}] [data-us]`, (one) => Number(one.dataset.us));
      assert.ok(us > 0 && us < 100000, `${model}: ${us} us`);
    }
    assert.equal(await page.$$eval("#masks .cell", (cells) => cells.length), 8 * 49);
    const bright = await page.$$eval("#masks .cell", (cells) => cells.filter((c) => c.getAttribute("fill") === "#ff951e").length);
    assert.ok(bright > 8 && bright < 8 * 49 - 8, `${bright} tokens are selected`);
    await page.click("#undo");
    await says(page, "digit", "none");
    await closed(page, site);
  },

  async "a 7 by touch"(browser, site) {
    const page = await opened(browser, site, { width: 400, touch: true });
    await begun(page);
    await page.tap("#clear");
    await says(page, "digit", "none");
    await page.locator("#pad").scrollIntoViewIfNeeded();
    const cdp = await page.context().newCDPSession(page);
    const all = await points(page);
    const touch = (type, touchPoints) => cdp.send("Input.dispatchTouchEvent", { type, touchPoints });
    await touch("touchStart", [all[0]]);
    for (let k = 1; k < all.length; ++k) {
      for (let part = 0.25; part <= 1; part += 0.25) {
        const mix = (axis) => all[k - 1][axis] + (all[k][axis] - all[k - 1][axis]) * part;
        await touch("touchMove", [{ x: mix("x"), y: mix("y") }]);
      }
    }
    await touch("touchEnd", []);
    await says(page, "digit", "7 7");
    assert.equal(await page.evaluate(() => scrollX), 0, "drawing does not scroll");
    await closed(page, site);
  },

  async "a 7 by keyboard"(browser, site) {
    const page = await opened(browser, site);
    await begun(page);
    for (let k = 0; k < 12 && (await page.evaluate(() => document.activeElement.id)) !== "pad"; ++k) {
      await page.keyboard.press("Tab");
    }
    assert.equal(await page.evaluate(() => document.activeElement.id), "pad", "Tab goes to the pad");
    const press = async (keys) => {
      for (const key of keys) await page.keyboard.press(key);
    };
    await press(["Delete", "ArrowUp", "ArrowUp", "ArrowUp", "ArrowUp", "ArrowLeft", "ArrowLeft", "ArrowLeft"]);
    await says(page, "digit", "none");
    await press(["Space", ...Array(6).fill("ArrowRight")]);
    await press(["End", "ArrowDown", "End", "ArrowDown", "End", "ArrowDown", "End", "ArrowDown", "Space"]);
    await says(page, "digit", "7 7");
    await closed(page, site);
  },

  async "maps by keyboard and pointer"(browser, site) {
    const page = await opened(browser, site);
    await begun(page);
    await page.focus("#masks .map");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowRight");
    assert.match(await page.textContent("#masks-line"), /^head 0, token 8 \(row 1, column 1\): (not )?selected, energy .*, a flip costs /);
    for (let k = 0; k < 6; ++k) await page.keyboard.press("ArrowRight");
    assert.match(await page.textContent("#masks-line"), /^head 1, token 7 /, "the arrows go to the next head");
    await page.hover("#flips figure:nth-child(3) .cell >> nth=20");
    assert.match(await page.textContent("#flips-line"), /^head 2, token \d+ /);
    assert.equal(await page.$$eval(".now", (cells) => cells.length), 3, "the token is marked in each kind of map");
    const before = await page.textContent("#masks");
    await page.click("#digit-layers label:nth-of-type(2)");
    assert.notEqual(await page.textContent("#masks"), before, "the other layer has other masks");
    await closed(page, site);
  },

  async "a PNG is dropped"(browser, site) {
    const page = await opened(browser, site);
    await begun(page);
    await page.click("#clear");
    const drop = (bytes, name, type) => page.evaluate(([data, file, kind]) => {
      const files = new DataTransfer();
      files.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], file, { type: kind }));
      document.querySelector("#pad").dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
    }, [bytes.toString("base64"), name, type]);
    await drop(pictureOfSeven(260, 340), "seven.png", "image/png");
    await says(page, "digit", "7 7");
    await drop(Buffer.from("no image"), "broken.png", "image/png");
    await page.waitForSelector("#problem:not([hidden])");
    assert.match(await page.textContent("#problem"), /broken\.png/);
    await closed(page, site);
  },

  async "a sentence"(browser, site) {
    const page = await opened(browser, site);
    await begun(page);
    await page.focus("[role=tab][aria-selected=true]");
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.isVisible("#sentence"), true);
    assert.equal(await page.isVisible("#digit"), false);
    await says(page, "sentence", "positive positive");
    await page.fill("#text", "A dull, lifeless and boring film.");
    await says(page, "sentence", "negative negative");
    assert.equal(await page.$$eval("#words span", (words) => words.length), 8, "words and signs");
    const on = await page.$$eval("#words .on", (words) => words.length);
    assert.ok(on > 0 && on <= 8, `${on} words are selected`);
    await page.fill("#text", "");
    await says(page, "sentence", "none");
    await rested(page);
    assert.match(await page.textContent("#sentence-verdicts"), /reads nothing–.*reads nothing–/, "no answer for no words");
    await page.fill("#text", "good");
    await says(page, "sentence", "positive positive");
    await page.fill("#text", "zqxv");
    await says(page, "sentence", "none");
    assert.match(await page.textContent("#sentence-verdicts"), /knows none of these words–/);
    await page.fill("#text", "good");
    await says(page, "sentence", "positive positive");
    // A file that is dropped where nothing takes it leaves the page alone.
    for (const place of ["#text", "header"]) {
      assert.equal(await page.evaluate((at) => {
        const files = new DataTransfer();
        files.items.add(new File(["a text"], "a.txt"));
        return document.querySelector(at).dispatchEvent(
          new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
      }, place), false, place);
      await page.waitForSelector("#problem:not([hidden])");
    }
    await closed(page, site);
  },

  async "a max-cut"(browser, site) {
    const page = await opened(browser, site);
    await begun(page);
    await page.click("#tab-cut");
    const solved = async (best) => {
      await page.click("#solve");
      await page.waitForSelector("#cut[data-state=done]", { timeout: 30000 });
      assert.equal(Number(await page.getAttribute("#cut", "data-best")), best);
    };
    await page.selectOption("#graph", "petersen");
    await solved(12);
    await page.setInputFiles("#graph-file", path.join(ROOT, "runtime/examples/problems/petersen.mc"));
    await solved(12);
    await page.selectOption("#graph", "cubic");
    await solved(164);
    assert.ok((await page.$$("#cut-chart circle")).length > 0, "the value over time is drawn");
    await page.selectOption("#graph", "torus");
    await solved(402);
    // A graph with no known cut: the search goes on until it is stopped.
    const wheel = Array.from({ length: 801 }, (_, k) => `${k + 1} ${((k + 1) % 801) + 1}\n${k + 1} ${((k + 7) % 801) + 1}\n`);
    await page.setInputFiles("#graph-file", { name: "wheel.mc", mimeType: "text/plain", buffer: Buffer.from(`801 1602\n${wheel.join("")}`) });
    await page.fill("#seconds", "20");
    await page.click("#solve");
    await page.waitForTimeout(600);
    const begin = Date.now();
    await page.click("#stop");
    await page.waitForSelector("#cut[data-state=done]", { timeout: 5000 });
    assert.ok(Date.now() - begin < 3000, "Stop stops");
    assert.ok(Number(await page.getAttribute("#cut", "data-best")) > 1200);
    // Another graph while one is searched: what the search says is not of it.
    await page.click("#solve");
    await page.waitForTimeout(300);
    await page.selectOption("#graph", "petersen");
    await rested(page);
    assert.equal(await page.getAttribute("#cut", "data-best"), null);
    assert.equal(await page.textContent("#cut-verdict"), "");
    assert.match(await page.textContent("#graph-caption"), /not cut yet/);
    await solved(12);
    for (const text of ["3\n", "3 1 2\n1 2\n", "3 1\n1 2 3 4\n", "3 1\n1\n"]) {
      await page.setInputFiles("#graph-file", { name: "odd.mc", mimeType: "text/plain", buffer: Buffer.from(text) });
      await page.waitForFunction(() => document.querySelector("#problem").textContent === "odd.mc: expected a line VERTICES EDGES, then lines A B WEIGHT");
      await page.evaluate(() => (document.querySelector("#problem").textContent = ""));
    }
    await page.setInputFiles("#graph-file", { name: "bad.mc", mimeType: "text/plain", buffer: Buffer.from("3 1\n1 9 1\n") });
    await page.waitForSelector("#problem:not([hidden])");
    assert.match(await page.textContent("#problem"), /bad\.mc: edge 1: 1 9/);
    await closed(page, site);
  },

  async "two widths, two schemes"(browser, site, shots) {
    const papers = new Set();
    for (const width of [1200, 400]) {
      for (const scheme of ["light", "dark"]) {
        const page = await opened(browser, site, { width, scheme, touch: width === 400 });
        await begun(page);
        for (const tab of ["digit", "sentence", "cut"]) {
          await page.click(`#tab-${tab}`);
          if (tab === "cut") {
            await page.click("#solve");
            await page.waitForSelector("#cut[data-state=done]", { timeout: 30000 });
          }
          await rested(page);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(wide <= 0, `${tab} at ${width}: ${wide} pixels too wide`);
          const nameless = await page.$$eval("button, input:not([hidden]), select, textarea, canvas:not([aria-hidden]), [tabindex]",
            (all) => all.filter((one) => !(one.ariaLabel || one.textContent.trim() || one.labels?.length)).map((one) => one.outerHTML));
          assert.deepEqual(nameless, [], "without a name for those who do not see it");
          if (shots) await page.screenshot({ path: path.join(shots, `${tab}-${width}-${scheme}.png`), fullPage: true });
        }
        papers.add(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
        await closed(page, site);
      }
    }
    assert.equal(papers.size, 2, "dark is not light");
  },
};

/** A PNG of a dark 7 on light paper. */
function pictureOfSeven(width, height) {
  const rows = [];
  for (let y = 0; y < height; ++y) {
    const row = Buffer.alloc(1 + width, 235);
    row[0] = 0;
    for (let x = 0; x < width; ++x) {
      for (let k = 1; k < SEVEN.length; ++k) {
        const [[ax, ay], [bx, by]] = [SEVEN[k - 1], SEVEN[k]].map(([u, v]) => [u * width, v * height]);
        const length = (bx - ax) ** 2 + (by - ay) ** 2;
        const at = Math.min(Math.max(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0), 1);
        if (Math.hypot(x - ax - at * (bx - ax), y - ay - at * (by - ay)) < width / 24) row[1 + x] = 30;
      }
    }
    rows.push(row);
  }
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const ends = Buffer.alloc(8);
    ends.writeUInt32BE(data.length, 0);
    ends.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", header),
    chunk("IDAT", zlib.deflateSync(Buffer.concat(rows))), chunk("IEND", Buffer.alloc(0))]);
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; ++k) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

async function main() {
  const [module, option, shots] = process.argv.slice(2);
  if (!module || !fs.existsSync(path.join(module, "index.mjs"))) throw new Missing(`no module in ${module}`);
  if (option === "--shots") fs.mkdirSync(shots, { recursive: true });
  const browser = await launch();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "qama-page-"));
  let failed = 0;
  try {
    execFileSync(path.join(ROOT, "runtime/web/make"), [folder, module]);
    const site = await serve({ "/": folder });
    for (const [name, check] of Object.entries(checks)) {
      try {
        await check(browser, site, shots);
        console.log(`ok: ${name}`);
      } catch (error) {
        ++failed;
        console.log(`FAILED: ${name}: ${error.stack}`);
      }
    }
    site.close();
  } finally {
    await browser.close();
    fs.rmSync(folder, { recursive: true, force: true });
  }
  return failed === 0 ? 0 : 1;
}

main().then((status) => process.exit(status), (error) => {
  console.log(error instanceof Missing ? `SKIPPED: ${error.message}` : error.stack);
  process.exit(error instanceof Missing ? 77 : 1);
});
