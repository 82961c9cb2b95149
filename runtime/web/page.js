// The page: tabs, the models that are loaded, what is told at the bottom. To add a tab: a button and a panel in
// index.html, a class in a file of its own, a line in `start`.
import { Cut } from "./cut.js";
import { Digit } from "./digit.js";
import { Sentence } from "./sentence.js";
import { Thinker } from "./thinker.js";

const $ = (id) => document.getElementById(id);
const DIGITS = ["mnist-qama", "mnist-softmax"];
const SENTENCES = ["sst2-qama", "sst2-softmax"];

function report(error) {
  $("problem").hidden = false;
  $("problem").textContent = error.message;
}

// What was wrong is told until the reader does something else.
for (const type of ["pointerdown", "keydown", "drop", "change", "input"]) {
  document.addEventListener(type, () => ($("problem").hidden = true), { capture: true });
}

// A file beside its place would take the place of the page.
for (const type of ["dragover", "drop"]) {
  document.addEventListener(type, (event) => {
    if (event.defaultPrevented || !event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    if (type === "drop") report(new Error("drop an image on the tab of a digit, a graph on that of a max-cut"));
  });
}

/** Arrow keys go from tab to tab, the address remembers which one is open. */
function tabs(left) {
  const all = [...document.querySelectorAll("[role=tab]")];
  const panel = (tab) => $(tab.getAttribute("aria-controls"));
  const select = (tab) => {
    for (const each of all) {
      each.ariaSelected = String(each === tab);
      each.tabIndex = each === tab ? 0 : -1;
      panel(each).hidden = each !== tab;
    }
    history.replaceState(null, "", `#${panel(tab).id}`);
    left(panel(tab).id);
  };
  all.forEach((tab, k) => {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", ({ key }) => {
      const to = { ArrowLeft: k - 1, ArrowRight: k + 1, Home: 0, End: -1 }[key];
      if (to === undefined) return;
      const next = all.at(to % all.length);
      next.focus();
      select(next);
    });
  });
  const wanted = all.find((tab) => `#${panel(tab).id}` === location.hash);
  if (wanted) select(wanted);
}

const kilobytes = (bytes) => (bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e3).toFixed(0)} kB`);

async function start() {
  const thinker = new Thinker();
  let cut = null;
  tabs((id) => id !== "cut" && cut?.stop());
  const opened = {};
  const openAll = (names) => Promise.all(names.map(async (name) => {
    opened[name] = await thinker.open(name, `models/${name}.safetensors`);
  }));
  const infos = (names) => Object.fromEntries(names.map((name) => [name, opened[name].info]));
  await openAll(DIGITS);
  const first = performance.now();
  new Digit(thinker, infos(DIGITS), report).start();
  cut = new Cut(thinker, report);
  document.body.dataset.state = "digits";
  $("status").textContent = `Ready after ${first.toFixed(0)} ms. Loading the models of sentences…`;
  await openAll(SENTENCES);
  new Sentence(thinker, infos(SENTENCES), report);
  const page = performance.getEntriesByType("resource").reduce((sum, one) => sum + one.decodedBodySize, 0);
  const bytes = page + Math.max(...Object.values(opened).map(({ loaded }) => loaded));
  $("status").textContent = `qama ${opened[DIGITS[0]].version}, WebAssembly, one thread. Ready after ${first.toFixed(0)} ms. `
    + `${kilobytes(bytes)} loaded, nothing more is: this page works without a network now.`;
  document.body.dataset.state = "ready";
}

start().catch((error) => {
  report(error);
  $("status").textContent = "This page could not start.";
  document.body.dataset.state = "failed";
});
