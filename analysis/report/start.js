// Starts the page, and keeps its place when it loads itself anew.

const PLACE = `gansweep-place ${location.pathname}`;

function savePlace() {
  const dialog = $("trial");
  const trial = dialog.open ? Number(dialog.dataset.trial) : null;
  const place = { at: Date.now(), y: scrollY, trial, trialY: dialog.scrollTop, board };
  try {
    sessionStorage.setItem(PLACE, JSON.stringify(place));
  } catch {}
}

function savedPlace() {
  try {
    const place = JSON.parse(sessionStorage.getItem(PLACE));
    sessionStorage.removeItem(PLACE);
    return place && Date.now() - place.at < 60_000 ? place : null;
  } catch {
    return null;
  }
}

function keepFresh() {
  const every = Number(document.body.dataset.refreshS);
  if (!every) return;
  const reload = () => {
    // Someone who types or looks elsewhere is not disturbed; the next time will do.
    const typing = document.activeElement?.matches("input");
    if (document.hidden || typing) return setTimeout(reload, 1000);
    savePlace();
    location.reload();
  };
  setTimeout(reload, every * 1000);
}

function markSections() {
  const links = new Map([...document.querySelectorAll(".bar nav a")].map((a) => [a.hash.slice(1), a]));
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (isIntersecting) {
          links.forEach((link) => link.removeAttribute("aria-current"));
          links.get(target.id)?.setAttribute("aria-current", "true");
        }
      }
    },
    { rootMargin: "-20% 0px -75% 0px" },
  );
  links.forEach((_, id) => $(id) && seen.observe($(id)));
}

const place = savedPlace();
if (place) Object.assign(board, place.board, { shown: place.board.shown ?? Infinity });
startBoard();
document.querySelectorAll("table.sortable").forEach(makeSortable);
startChips();
startCharts();
if (place) scrollTo({ top: place.y, behavior: "instant" });
if (place?.trial != null) openTrial(place.trial, place.trialY);
startTrial(place?.trial == null);
markSections();
keepFresh();
performance.mark("gansweep-interactive");
