// One trial: its settings, samples, curves and modes, made when it is opened.

let history_;
/** The history of all members, parsed when first needed. */
function histories() {
  if (history_) return history_;
  history_ = JSON.parse($("history").textContent);
  history_.of = new Map();
  for (const [trial, seed, start, size] of history_.members) {
    if (!history_.of.has(trial)) history_.of.set(trial, []);
    history_.of.get(trial).push({ seed, start, size });
  }
  return history_;
}

function samplesOf(trial) {
  const found = $(`samples-${trial}`);
  return found ? JSON.parse(found.textContent) : {};
}

const trialRow = (trial) => trialRows.find((row) => row.trial === trial);
const isKnown = (trial) => Boolean(trialRow(trial)) || histories().of.has(trial);

/** Round numbers between low and high, for a logarithmic axis. */
function ticks(low, high) {
  for (const steps of DATA.ticks) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      for (const step of steps) found.push(Number(`${step}e${power}`));
    }
    const inside = found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
    if (inside.length <= 6) return inside;
  }
  return undefined;
}

function curveChart(trial, column) {
  const store = histories();
  const verdicts = new Map((membersOf.get(trial) ?? []).map((m) => [m.seed, m]));
  const rows = [];
  const ends = new Map();
  for (const { seed, start, size } of store.of.get(trial) ?? []) {
    for (let i = start; i < start + size; i++) {
      const value = store.columns[column][i];
      const step = store.columns.step[i];
      ends.set(seed, step);
      rows.push({ seed, step, value, verdict: verdictName(verdicts.get(seed)?.verdict ?? "undetermined") });
    }
  }
  const values = rows.map((row) => row.value).filter((value) => value !== null);
  if (!values.length) return null;
  return () => {
    const spec = shaded(DATA.curves[column]);
    const onsets = {
      values: [...verdicts.values()]
        .filter((m) => m.onset_step !== null && ends.has(m.seed))
        .map((m) => ({ verdict: verdictName(m.verdict), onset_step: m.onset_step, end: ends.get(m.seed) })),
    };
    spec.layer[0].data = onsets;
    spec.layer[1].data = { values: rows };
    const low = values.reduce((a, b) => Math.min(a, b));
    const high = values.reduce((a, b) => Math.max(a, b));
    const y = spec.layer[1].encoding.y;
    if (low === high) {
      const half = (Math.abs(low) || 1) / 2;
      y.scale = { domain: [low - half, high + half] };
    } else if (spec.usermeta?.log && low > 0) {
      y.scale = { type: "log", nice: false };
      y.title += " (log)";
      y.axis = { values: high / low > 1.5 ? ticks(low, high) : undefined, format: "~g", tickCount: 4 };
    }
    if (!onsets.values.length) spec.layer.shift();
    return spec;
  };
}

function modesChart({ start, size }) {
  const store = histories();
  const modes = store.modes;
  const rows = [];
  const steps = [];
  for (let i = start; i < start + size; i++) {
    const shares = store.histogram[i];
    if (!shares) continue;
    const step = store.columns.step[i];
    steps.push(step);
    shares.forEach((share, mode) =>
      rows.push({
        step,
        mode: modes[mode],
        share: share / 1000,
        of_real: store.real?.[mode] ? share / 1000 / store.real[mode] : null,
      }),
    );
  }
  if (!rows.length) return null;
  return () => {
    const spec = shaded(DATA.classes);
    spec.data = { values: rows };
    spec.height = Math.min(360, Math.max(90, 15 * modes.length));
    spec.encoding.y.sort = modes;
    spec.encoding.y.axis = { labels: modes.length <= 30 };
    spec.encoding.x.axis.values = steps.filter((_, i) => i % Math.ceil(steps.length / 5) === 0);
    if (!store.real) {
      spec.encoding.color.field = "share";
      spec.encoding.color.title = "Share of samples";
    }
    return spec;
  };
}

const pair = (name, value, kind) => h("div", { class: kind }, h("dt", {}, name), h("dd", {}, value));

function settingsOf(row) {
  if (!row) return [];
  const of = (names, kind) =>
    names.filter((name) => row[name] !== null).map((name) => pair(name, short(row[name]), kind));
  const range = interval(row);
  return [
    h(
      "dl",
      { class: "pairs" },
      pair("Rank", row.rank === null ? "not ranked" : `${row.rank} of ${trialRows.length}`),
      pair(DATA.objective, short(row.objective)),
      range ? pair("95% interval", range) : null,
      pair("Ended", row.status),
      of(TRIALS.varied, "varied"),
      of(TRIALS.fixed, "fixed"),
    ),
  ];
}

/** What a member came to in the end, beside what real data score. */
function finalsOf(member) {
  const rows = TRIALS.finals.filter(({ key }) => member[key] !== null);
  return h(
    "dl",
    { class: "finals" },
    rows.map(({ key, name, real }) =>
      h("div", {}, h("dt", {}, name), h("dd", {}, short(member[key]), real ? h("small", {}, ` real ${real}`) : null)),
    ),
  );
}

function memberCard(member, seed, uri) {
  const verdict = member?.verdict ?? "undetermined";
  return h(
    "article",
    { class: "member" },
    h("h4", {}, `Seed ${seed}`),
    h("p", { class: "verdict" }, dot(verdict), member ? verdictName(verdict) : "in training"),
    member ? h("p", {}, member.reason) : null,
    uri ? h("img", { src: uri, alt: `Grid of samples of seed ${seed}`, decoding: "async" }) : h("p", {}, "No samples are in this file."),
    member ? finalsOf(member) : null,
  );
}

function fillTrial(trial) {
  const store = histories();
  const row = trialRow(trial);
  const uris = samplesOf(trial);
  const members = new Map((membersOf.get(trial) ?? []).map((m) => [m.seed, m]));
  const places = store.of.get(trial) ?? [];
  const seeds = [...new Set([...members.keys(), ...places.map((p) => p.seed)])];
  const charts = [];
  const slot = (make, label) => {
    const element = h("div", { class: "chart", role: "img", "aria-label": label });
    charts.push([element, make]);
    return h("div", { class: "card" }, element);
  };
  const curves = store.curves
    .map((column) => [column, curveChart(trial, column)])
    .filter(([, make]) => make)
    .map(([column, make]) => slot(make, `${column} of trial ${trial} over the steps`));
  const modes = places
    .map((place) => [place, store.histogram.length ? modesChart(place) : null])
    .filter(([, make]) => make)
    .map(([place, make]) =>
      h("div", {}, h("h4", {}, `Seed ${place.seed}`), slot(make, `Modes of seed ${place.seed} over the steps`)),
    );
  const thinned = store.stride > 1 ? h("p", { class: "lede" }, `Every ${store.stride}th rung is shown.`) : null;
  $("trial-title").textContent = `Trial ${trial}`;
  $("trial-body").replaceChildren(
    ...settingsOf(row),
    ...(row?.error ? [h("h3", {}, "Error"), h("p", { class: "error" }, row.error)] : []),
    h("h3", {}, seeds.length === 1 ? "Its member" : `Its ${seeds.length} members`),
    h("div", { class: "members" }, seeds.map((seed) => memberCard(members.get(seed), seed, uris[seed]))),
    ...(curves.length ? [h("h3", {}, "Curves"), ...(thinned ? [thinned] : []), h("p", { class: "lede" }, "A line for each seed in the colour of its verdict; tinted from where a fault began."), h("div", { class: "curves" }, curves)] : []),
    ...(modes.length ? [h("h3", {}, "Modes"), h("div", { class: "curves" }, modes)] : []),
  );
  for (const [element, make] of charts) draw(element, make).catch(failed(element));
}

/** Opens a trial at a place; its data come last in the file, so it may have to wait for them. */
function openTrial(trial, y = 0) {
  if (document.readyState === "loading") {
    addEventListener("DOMContentLoaded", () => openTrial(trial, y), { once: true });
    return;
  }
  if (!isKnown(trial)) return;
  const dialog = $("trial");
  if (!dialog.open) {
    dialog.showModal();
    dialog.append($("vg-tooltip-element"));
  }
  dialog.dataset.trial = trial;
  if (location.hash !== `#trial-${trial}`) history.replaceState(null, "", `#trial-${trial}`);
  fillTrial(trial);
  dialog.scrollTop = y;
  const order = orderedTrials().map((row) => row.trial);
  const place = order.indexOf(trial);
  const go = (button, to) => {
    button.disabled = place < 0 || to === undefined;
    button.onclick = () => openTrial(to);
  };
  go($("previous"), order[place - 1]);
  go($("next"), order[place + 1]);
  $("trial-title").focus({ preventScroll: true });
}

function startTrial(byAddress) {
  const dialog = $("trial");
  dialog.addEventListener("close", () => {
    document.body.append($("vg-tooltip-element"));
    $("trial-body").querySelectorAll(".chart").forEach((element) => {
      drawn.get(element)?.view?.finalize();
      drawn.delete(element);
    });
    $("trial-body").replaceChildren();
    history.replaceState(null, "", location.href.split("#")[0]);
  });
  $("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft" && !$("previous").disabled) $("previous").click();
    if (event.key === "ArrowRight" && !$("next").disabled) $("next").click();
  });
  const fromHash = () => {
    const found = /^#trial-(\d+)$/.exec(location.hash);
    if (found) openTrial(Number(found[1]));
  };
  addEventListener("hashchange", fromHash);
  const jump = $("jump");
  jump.form.addEventListener("submit", (event) => {
    event.preventDefault();
    const trial = Number(jump.value.trim() || NaN);
    jump.setCustomValidity(isKnown(trial) ? "" : `There is no trial ${jump.value}.`);
    if (jump.reportValidity()) openTrial(trial);
  });
  jump.addEventListener("input", () => jump.setCustomValidity(""));
  if (byAddress) fromHash();
}
