// Keeps a page of the service fresh: parts are fetched again, and put in place where they changed.

const openTrial = (trial) => {
  const trials = $("body")?.dataset.trials;
  if (trials) location.assign(trials + trial);
};

const specs = new Map(); // chart's element -> the text it was drawn from

/** What a chart is drawn from, its data by their names, which tell one content from another. */
const textOf = (key) => JSON.stringify(DATA.specs[key] ?? null);

/** The plotting library, fetched when the first chart is there to be drawn. */
const plotting = (() => {
  let loaded;
  return () =>
    (loaded ??= new Promise((done, failed_) => {
      document.head.append(h("script", { src: "/static/vega.js", onload: done, onerror: failed_ }));
    }));
})();

/**
 * Charts that have not changed keep their drawing; others are drawn when they come into view.
 * `before` are those that the part had, null if it is the same part still.
 */
async function drawParts(part, before) {
  const response = await fetch(part.dataset.charts);
  if (!response.ok) return;
  const tag = response.headers.get("ETag");
  if (!before && tag === part.dataset.chartsTag) return;
  part.dataset.chartsTag = tag;
  Object.assign(DATA, await response.json());
  if (Object.keys(DATA.specs).length) await plotting();
  for (const element of part.querySelectorAll("[data-chart]")) {
    const key = element.dataset.chart;
    const text = textOf(key);
    const old = before?.get(key);
    const place = element.closest("figure, .card");
    if (place) place.hidden = text === "null";
    if (text === "null" || (!before && specs.get(element) === text)) continue;
    if (old && specs.get(old) === text) {
      element.replaceWith(old);
      continue;
    }
    specs.set(element, text);
    if (old) {
      // What was seen stays until the new one is there.
      element.style.minHeight = `${old.clientHeight}px`;
      specs.delete(old);
      forget(old);
    } else element.classList.add("waiting");
    inView.observe(element);
    resized.observe(element);
  }
  for (const old of before?.values() ?? []) {
    if (old.isConnected || specs.get(old) === undefined) continue;
    specs.delete(old);
    forget(old);
  }
  for (const figure of part.querySelectorAll("figure.plot")) if (!figure.querySelector(".save")) saving(figure);
}

function forget(element) {
  inView.unobserve(element);
  resized.unobserve(element);
  drawn.get(element)?.view?.finalize();
  drawn.delete(element);
}

/** Puts new text in the place of a part; what was opened, scrolled or focused stays so. */
function put(part, text) {
  const fresh = new DOMParser().parseFromString(text, "text/html").body;
  const opened = [...part.querySelectorAll("details[open][id]")].map((e) => e.id);
  const scrolled = [...part.querySelectorAll(".scroll[id]")].map((e) => [e.id, e.scrollLeft]);
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const again = focused?.id ? `#${CSS.escape(focused.id)}` : focused?.getAttribute("href") ? `a[href="${CSS.escape(focused.getAttribute("href"))}"]` : null;
  const charts = new Map([...part.querySelectorAll("[data-chart]")].map((e) => [e.dataset.chart, e]));
  const images = new Map([...part.querySelectorAll("img[src]")].map((e) => [e.getAttribute("src"), e]));
  for (const image of fresh.querySelectorAll("img[src]")) {
    const old = images.get(image.getAttribute("src"));
    if (old && old.id === image.id) image.replaceWith(old); // no flicker
  }
  part.replaceChildren(...fresh.childNodes);
  for (const id of opened) $(id)?.setAttribute("open", "");
  for (const [id, left] of scrolled) if ($(id)) $(id).scrollLeft = left;
  if (again) part.querySelector(again)?.focus({ preventScroll: true });
  return charts;
}

let failures = 0;

function trouble(text) {
  $("trouble").hidden = !text;
  if ($("trouble").textContent !== text) $("trouble").textContent = text;
}

async function refresh(part) {
  const response = await fetch(part.dataset.part);
  if (response.status === 401) return trouble("This link is not good any more: open the one that gansweep serve printed.");
  if (response.status === 404) return trouble("It is not there, or not there any more.");
  if (!response.ok) return trouble((await response.json().catch(() => ({}))).error ?? "The service cannot answer just now.");
  failures = 0;
  trouble("");
  const tag = response.headers.get("ETag");
  let before = null;
  if (!tag || tag !== part.dataset.tag) {
    before = put(part, await response.text());
    part.dataset.tag = tag;
  }
  if (part.dataset.charts) await drawParts(part, before);
}

async function keep(part) {
  const every = 1000 * Number(part.dataset.every);
  if (!document.hidden && !document.querySelector("dialog[open]")) {
    try {
      await refresh(part);
    } catch {
      failures += 1;
      if (failures > 1) trouble("The service does not answer; trying again.");
    }
  }
  setTimeout(() => keep(part), Math.min(30_000, every * 2 ** Math.min(failures, 4)));
}

for (const part of document.querySelectorAll("[data-part]")) keep(part);

document.addEventListener("click", (event) => {
  const row = event.target.closest?.("tr[data-trial]");
  if (row && !event.target.closest("a")) row.querySelector("a[href]")?.click();
});

document.addEventListener("input", ({ target }) => {
  if (!target.dataset?.grid) return;
  const step = target.dataset.steps.split(" ")[target.value];
  const image = $(target.dataset.grid);
  image.src = image.dataset.base + step;
  target.parentElement.querySelector("output").textContent = Number(step).toLocaleString("en");
});
