// What is live: one event stream, opened again after a growing pause whenever it ends or falls silent.

const LIVE = "/admin/live";
const SILENT_MS = 6_000;
const HIDDEN_MS = 60_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

/** Follows the gateway: `hear(kind, parts)`, `stand(state, text)`, `lost(reason)`. Returns what stops it. */
export function follow({ hear, stand, lost }) {
  let source = null;
  let pause = FIRST_PAUSE_MS;
  let timer = 0;
  let watch = 0;
  let hiding = 0;
  let stopped = false;

  const quiet = () => {
    clearTimeout(watch);
    source?.close();
    source = null;
  };

  const later = (what, ms) => {
    clearTimeout(timer);
    timer = setTimeout(what, ms);
  };

  function open() {
    quiet();
    if (stopped) return;
    source = new EventSource(LIVE);
    watch = setTimeout(broken, SILENT_MS);
    for (const kind of ["whole", "update"]) {
      source.addEventListener(kind, (event) => {
        clearTimeout(watch);
        watch = setTimeout(broken, SILENT_MS);
        pause = FIRST_PAUSE_MS;
        stand("live", "Live");
        hear(kind, JSON.parse(event.data));
      });
    }
    source.addEventListener("end", broken);
    source.addEventListener("error", broken);
  }

  /** The stream has ended: another one, unless nobody is signed in any more. */
  async function broken() {
    quiet();
    if (stopped) return;
    stand("lost", "Disconnected");
    const answer = await fetch(LIVE, { method: "HEAD" }).catch(() => null);
    if (stopped) return;
    if (answer?.status === 401) {
      lost("Your session has ended; sign in again.");
      return;
    }
    const why = answer?.status === 503 ? "Too many viewers" : "Disconnected";
    const wait = pause * (0.5 + Math.random() / 2);
    pause = Math.min(LONGEST_PAUSE_MS, 2 * pause);
    stand("lost", `${why}, trying again in ${Math.max(1, Math.round(wait / 1000))} s`);
    later(open, wait);
  }

  function look() {
    clearTimeout(hiding);
    if (document.hidden) {
      hiding = setTimeout(() => { quiet(); clearTimeout(timer); stand("off", "Paused"); }, HIDDEN_MS);
    } else if (source === null) later(open, 0);
  }

  document.addEventListener("visibilitychange", look);
  stand("off", "Connecting");
  open();
  return () => {
    stopped = true;
    quiet();
    clearTimeout(timer);
    clearTimeout(hiding);
    document.removeEventListener("visibilitychange", look);
  };
}
