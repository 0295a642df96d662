// What changes something: asked twice, sent with the header that no other site can send.

async function send(method, url, body, type = "application/json") {
  const headers = { "X-Gansweep": "1", ...(body === undefined ? {} : { "Content-Type": type }) };
  const response = await fetch(url, { method, headers, body });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `The service answered ${response.status}.`);
  return answer;
}

/** Asks whether to do what a button says, and does it. */
function confirmAct(button) {
  const dialog = $("confirm");
  const { act, title, text, yes, number } = button.dataset;
  const form = dialog.querySelector("form");
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-error").textContent = "";
  $("confirm-number").hidden = !number;
  form.elements.trials.disabled = !number;
  const go = form.querySelector("[value=yes]");
  go.textContent = yes;
  go.disabled = false;
  form.querySelector("[value=no]").onclick = () => dialog.close();
  form.onsubmit = async (event) => {
    event.preventDefault();
    go.disabled = true;
    try {
      await send("POST", act, number ? JSON.stringify({ [number]: Number(form.elements.trials.value) }) : undefined);
      dialog.close();
      document.querySelectorAll("[data-part]").forEach((part) => refresh(part).catch(() => {}));
    } catch (error) {
      $("confirm-error").textContent = error.message;
      go.disabled = false;
    }
  };
  dialog.showModal();
}

async function copy(button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    // Without a secure context there is no clipboard: what is to be copied is selected instead.
    getSelection().selectAllChildren(button.previousElementSibling);
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = before), 1500);
}

document.addEventListener("click", (event) => {
  const act = event.target.closest?.("button[data-act]");
  if (act) confirmAct(act);
  const copied = event.target.closest?.("button[data-copy]");
  if (copied) copy(copied);
});

/** The line of a key in the config, wherever its table is; a name may not be there yet. */
const lineOf = (key) => new RegExp(`^(# )?${key} = [^#\\n]*`, "m");

function startForm(form) {
  const config = form.elements.config;
  for (const input of form.querySelectorAll("[data-key]")) {
    const { key, quoted } = input.dataset;
    const found = lineOf(key).exec(config.value);
    if (found && !found[1]) input.value = found[0].split(" = ")[1].trim().replaceAll('"', "");
    input.addEventListener("input", () => {
      const value = input.value.trim();
      const line = !value ? `# ${key} = ""` : `${key} = ${quoted === undefined ? value : JSON.stringify(value)}`;
      if (!value && quoted === undefined) return;
      const text = config.value;
      config.value = lineOf(key).test(text) ? text.replace(lineOf(key), `${line.padEnd(4)}  `) : `${line}\n${text}`;
    });
  }
  const ask = async (url) => {
    $("wrong").textContent = "";
    $("plan").textContent = "";
    try {
      return await send("POST", url, config.value, "application/toml");
    } catch (error) {
      $("wrong").textContent = error.message;
      return null;
    }
  };
  $("check").addEventListener("click", async () => {
    const plan = await ask("/api/check");
    if (plan) $("plan").textContent = `Right: ${plan.name} trains ${plan.trials} trials of ${plan.seeds} seeds for ${plan.steps} steps each.`;
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    $("start").disabled = true;
    const sweep = await ask("/api/sweeps");
    if (sweep) location.assign(`/sweeps/${sweep.name}`);
    else $("start").disabled = false;
  });
}

if ($("new")) startForm($("new"));
