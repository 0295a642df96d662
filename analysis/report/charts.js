// Draws the charts of the page when they come into view, in the colours of its theme.
"use strict";

const $ = (id) => document.getElementById(id);
const DATA = JSON.parse($("data").textContent);
const darkWanted = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : darkWanted.matches;
};

/** An element; text never becomes markup. */
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** A number as analysis.plots.scales.short_number writes it. */
function short(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (size && (size < 1e-3 || size >= 1e6)) {
    return value.toExponential(Math.min(digits, 2) - 1).replace(".0e", "e").replace("e+", "e");
  }
  if (Number.isInteger(value) || size >= 10 ** digits) {
    return Math.round(value).toLocaleString("en");
  }
  return String(Number(value.toPrecision(digits)));
}

const rowsOf = (() => {
  const made = new Map();
  return (name) => {
    if (!made.has(name)) made.set(name, byRow(DATA.datasets[name]));
    return made.get(name);
  };
})();

function byRow(columns) {
  const names = Object.keys(columns);
  const length = names.length ? columns[names[0]].length : 0;
  return Array.from({ length }, (_, i) => Object.fromEntries(names.map((n) => [n, columns[n][i]])));
}

/** A copy of a chart in the theme's colours. */
function shaded(spec) {
  const text = JSON.stringify(spec);
  if (!isDark()) return JSON.parse(text);
  return JSON.parse(text.replace(/#[0-9A-Fa-f]{6}/g, (color) => DATA.dark[color] ?? color));
}

/** The section's buttons stand for the legends of its charts. */
function withoutLegend(part) {
  for (const value of Object.values(part)) {
    if (value === null || typeof value !== "object") continue;
    if (value.color?.legend !== undefined) value.color.legend = null;
    if (value.name === "verdict" && value.bind) delete value.bind;
    withoutLegend(value);
  }
}

/** A chart of the page with its data. */
function chartOf(key) {
  const spec = shaded(DATA.specs[key]);
  const names = new Set(JSON.stringify(spec).match(/"data":\{"name":"[^"]+"\}/g) ?? []);
  if (DATA.banded.includes(key)) withoutLegend(spec);
  spec.datasets = {};
  for (const found of names) {
    const name = JSON.parse(`{${found}}`).data.name;
    spec.datasets[name] = rowsOf(name).map((row) => ({ ...row }));
  }
  return spec;
}

/** Panels side by side do not know the width of the page: they are told. */
function fitted(spec, width) {
  if (!spec.facet) return spec;
  const { margin = 0, gutter = 40, least = 190 } = spec.usermeta ?? {};
  const most = spec.facet.row ? 1 : (spec.columns ?? 3);
  const columns = Math.max(1, Math.min(most, Math.floor((width - margin) / (least + gutter))));
  if (!spec.facet.row) spec.columns = columns;
  spec.spec.width = Math.max(120, Math.floor((width - margin) / columns) - gutter);
  return spec;
}

const drawn = new Map(); // element -> { make, width, view }

/** Draws what `make` gives into an element, again if it is there already. */
async function draw(element, make) {
  const width = Math.floor(element.clientWidth);
  if (!width) return;
  const entry = { make, width, view: null };
  drawn.get(element)?.view?.finalize();
  drawn.set(element, entry);
  const config = structuredClone(isDark() ? DATA.config.dark : DATA.config.light);
  config.legend.columns = Math.max(2, Math.floor(width / 125));
  const result = await vegaEmbed(element, fitted(make(), width - 4), {
    mode: "vega-lite",
    renderer: "canvas",
    ast: true, // no eval, which the page's policy forbids
    actions: false,
    defaultStyle: false,
    tooltip: { disableDefaultStyle: true },
    config,
  });
  if (drawn.get(element) !== entry) return result.view.finalize();
  entry.view = result.view;
  if (DATA.banded.includes(element.dataset.chart)) highlight(result.view);
  element.classList.remove("waiting");
  result.view.addEventListener("click", (_, item) => {
    const trial = item?.datum?.trial;
    if (trial !== undefined && trial !== null && !$("trial")?.open) openTrial(Number(trial));
  });
}

let chosen = null;

/** Shows the chosen verdict alone, or all. */
function highlight(view) {
  const fields = [{ field: "verdict", channel: "color", type: "E" }];
  const tuples = chosen ? [{ unit: "", fields, values: [chosen] }] : [];
  view.data("verdict_store", tuples).runAsync();
}

function startChips() {
  const buttons = [...document.querySelectorAll("#chips button")];
  const choose = (event) => {
    const { verdict } = event.currentTarget.dataset;
    chosen = chosen === verdict ? null : verdict;
    for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.verdict === chosen);
    for (const [element, { view }] of drawn) {
      if (view && DATA.banded.includes(element.dataset.chart)) highlight(view);
    }
  };
  for (const button of buttons) button.addEventListener("click", choose);
}

const drawChart = (element) => draw(element, () => chartOf(element.dataset.chart));
const failed = (element) => (error) => {
  console.error(error);
  element.textContent = "This chart could not be drawn.";
};

const inView = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      inView.unobserve(target);
      drawChart(target).catch(failed(target));
    }
  },
  { rootMargin: "300px" },
);

function redraw(elements = [...drawn.keys()]) {
  return Promise.all(
    elements
      .filter((element) => element.isConnected)
      .map((element) => draw(element, drawn.get(element).make).catch(failed(element))),
  );
}

let resizing;
const resized = new ResizeObserver((entries) => {
  clearTimeout(resizing);
  resizing = setTimeout(() => {
    const changed = entries
      .map((entry) => entry.target)
      .filter((e) => drawn.has(e) && Math.abs(drawn.get(e).width - e.clientWidth) > 4);
    redraw(changed);
  }, 120);
});

/** Buttons that save a figure as it is seen, on the page's background. */
function saving(figure) {
  const chart = figure.querySelector(".chart");
  const save = async (kind) => {
    const { view } = drawn.get(chart) ?? {};
    if (!view) return;
    view.background(isDark() ? DATA.surface.dark : DATA.surface.light);
    const url = await view.toImageURL(kind, 2);
    view.background(null);
    const name = `${DATA.name}-${chart.dataset.chart}.${kind}`.replace(/[^\w.-]+/g, "-");
    h("a", { href: url, download: name }).click();
  };
  const button = (kind) =>
    h("button", { type: "button", onclick: () => save(kind), title: `Save as ${kind.toUpperCase()}` }, kind.toUpperCase());
  figure.append(h("div", { class: "save" }, button("svg"), button("png")));
}

function startCharts() {
  for (const element of document.querySelectorAll("main [data-chart]")) {
    element.classList.add("waiting");
    inView.observe(element);
    resized.observe(element);
  }
  for (const figure of document.querySelectorAll("figure.plot")) saving(figure);
}

/** All charts, in the light theme, for paper. */
let themeBefore;
addEventListener("beforeprint", () => {
  themeBefore = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
  const scope = $("trial")?.open ? $("trial") : document.querySelector("main");
  for (const element of scope.querySelectorAll("[data-chart]")) {
    inView.unobserve(element);
    drawChart(element).catch(failed(element));
  }
  redraw([...drawn.keys()].filter((e) => scope.contains(e) && !e.dataset.chart));
});
addEventListener("afterprint", () => {
  if (themeBefore) document.documentElement.dataset.theme = themeBefore;
  else delete document.documentElement.dataset.theme;
  redraw();
});

$("theme").addEventListener("click", () => {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("gansweep-theme", theme);
  } catch {}
  redraw();
});
darkWanted.addEventListener("change", () => redraw());
