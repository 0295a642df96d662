// The leaderboard, and sorting of every table.

const TRIALS = DATA.trials;
const trialRows = byRow(TRIALS.columns);
const membersOf = Map.groupBy
  ? Map.groupBy(byRow(TRIALS.members), (member) => member.trial)
  : byRow(TRIALS.members).reduce(
      (map, member) => map.set(member.trial, [...(map.get(member.trial) ?? []), member]),
      new Map(),
    );
const board = { sort: "rank", descending: false, filter: "", shown: 15 };

const verdictName = (verdict) => DATA.verdicts[verdict] ?? verdict;
const dot = (verdict) =>
  h("i", { class: "dot", style: `background:var(--v-${verdict})`, "aria-hidden": "true" });

/** Verdicts of a trial's seeds: "2 healthy, 1 diverged", each with its colour. */
function verdictsCell(trial) {
  const counts = new Map();
  for (const { verdict } of membersOf.get(trial) ?? []) {
    counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  }
  const order = Object.keys(DATA.verdicts);
  return [...counts]
    .sort(([a], [b]) => order.indexOf(a) - order.indexOf(b))
    .flatMap(([verdict, n]) => [dot(verdict), `${n} ${verdictName(verdict)}`]);
}

const interval = (row) =>
  row.iqm_low === null || row.iqm_low === undefined
    ? ""
    : `${short(row.iqm_low)} to ${short(row.iqm_high)}`;

const boardColumns = () => [
  { key: "rank", title: "Rank", number: true, cell: (row) => short(row.rank) },
  {
    key: "trial",
    title: "Trial",
    cell: (row) => h("a", { href: `#trial-${row.trial}` }, String(row.trial)),
  },
  { key: "objective", title: DATA.objective, number: true, cell: (row) => short(row.objective) },
  { key: "iqm_low", title: "95% interval", number: true, cell: interval },
  {
    key: "failure_rate",
    title: "Verdicts of its seeds",
    cell: (row) => verdictsCell(row.trial),
  },
  ...TRIALS.varied.map((name) => ({
    key: name,
    title: name,
    number: typeof TRIALS.columns[name].find((value) => value !== null) === "number",
    cell: (row) => short(row[name]),
  })),
  { key: "status", title: "Ended", cell: (row) => row.status },
];

/** Least first, what is not known last whichever way. */
function compare(a, b, descending) {
  if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1;
  if (b === null || b === undefined) return -1;
  const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  return descending ? -order : order;
}

const textOf = new Map();
function matches(row, words) {
  if (!words.length) return true;
  if (!textOf.has(row)) {
    const verdicts = (membersOf.get(row.trial) ?? []).map((m) => verdictName(m.verdict));
    const settings = [...TRIALS.varied, ...TRIALS.fixed].map((name) => `${name}=${row[name]} ${row[name]}`);
    textOf.set(row, ["trial", row.trial, row.status, ...verdicts, ...settings].join(" ").toLowerCase());
  }
  return words.every((word) => textOf.get(row).includes(word));
}

/** The trials in the order in which the table shows them. */
function orderedTrials() {
  const words = board.filter.toLowerCase().split(/\s+/).filter(Boolean);
  return trialRows
    .filter((row) => matches(row, words))
    .sort((a, b) => compare(a[board.sort], b[board.sort], board.descending) || a.trial - b.trial);
}

function heading({ key, title, number }, onclick) {
  const sorted = board.sort === key;
  return h(
    "th",
    {
      scope: "col",
      class: number ? "number" : null,
      "aria-sort": sorted ? (board.descending ? "descending" : "ascending") : null,
    },
    h("button", { type: "button", onclick }, title),
  );
}

function showBoard() {
  const columns = boardColumns();
  const rows = orderedTrials();
  const sortBy = (key) => () => {
    board.descending = board.sort === key ? !board.descending : false;
    board.sort = key;
    showBoard();
    $("board").querySelector("th[aria-sort] button")?.focus();
  };
  const body = rows.slice(0, board.shown).map((row) =>
    h(
      "tr",
      { "data-trial": row.trial, class: row.rank === 1 ? "first" : null },
      columns.map(({ cell, number }) => h("td", { class: number ? "number" : null }, cell(row))),
    ),
  );
  const table = h(
    "table",
    {},
    h("caption", { class: "hidden" }, "Trials"),
    h("thead", {}, h("tr", {}, columns.map((column) => heading(column, sortBy(column.key))))),
    h("tbody", { onclick: pickRow }, body),
  );
  const rest = rows.length - body.length;
  const region = { class: "scroll", tabindex: "0", role: "region", "aria-label": "Leaderboard" };
  const before = $("board").querySelector(".scroll")?.scrollLeft ?? 0;
  $("board-table").replaceChildren(
    ...(rows.length ? [h("div", region, table)] : [h("p", { class: "nothing" }, trialRows.length ? "No trial matches." : "No trial has ended yet.")]),
    ...(rest > 0 ? [h("button", { type: "button", class: "more", onclick: () => ((board.shown = Infinity), showBoard()) }, `Show all ${rows.length.toLocaleString("en")} trials`)] : []),
  );
  const scroll = $("board").querySelector(".scroll");
  if (scroll) scroll.scrollLeft = before;
}

function pickRow(event) {
  if (event.target.closest("a")) return;
  const row = event.target.closest("tr[data-trial]");
  if (row) openTrial(Number(row.dataset.trial));
}

function startBoard() {
  const input = h("input", {
    id: "filter",
    type: "search",
    value: board.filter,
    placeholder: "such as wgan healthy",
    oninput: (event) => {
      board.filter = event.target.value;
      showBoard();
    },
  });
  const filter = h("div", { class: "filter" }, h("label", { for: "filter" }, "Keep trials with"), input);
  $("board").replaceChildren(...(trialRows.length > 8 ? [filter] : []), h("div", { id: "board-table" }));
  showBoard();
}

/** Headings of a table that stands in the page become buttons that sort it. */
function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, i) => {
    const { dataset, textContent } = row.cells[i];
    if (dataset.value === undefined) return textContent;
    return dataset.value === "" ? null : Number(dataset.value);
  };
  heads.forEach((head, i) => {
    const sort = () => {
      const descending = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows];
      table.tBodies[0].append(...rows.sort((a, b) => compare(value(a, i), value(b, i), descending)));
    };
    head.replaceChildren(h("button", { type: "button", onclick: sort }, head.textContent));
  });
}
