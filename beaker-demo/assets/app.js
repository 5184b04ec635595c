// What the page does beyond plain forms. Without this file the forms still work, with reloads.

import { duration, ranked, samples } from "/assets/plot.js";

const by = (id) => document.getElementById(id);
// Only what changes is written, so that a screen reader does not say it again.
const put = (id, text) => {
  const at = by(id);
  if (at && at.textContent !== String(text)) at.textContent = text;
};

/** Asks the server for JSON; what it refuses is an error with its words. */
async function ask(url, fields) {
  const options = { headers: { accept: "application/json" }, signal: AbortSignal.timeout(30_000) };
  if (fields) Object.assign(options, { method: "POST", body: new URLSearchParams(fields) });
  const response = await fetch(url, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? response.statusText);
  return answer;
}

function trouble(text) {
  const at = by("trouble");
  at.hidden = !text;
  put("trouble", text ?? "");
}

/** Runs `work` with its button shown as busy; says what went wrong. */
async function busy(button, work) {
  button?.setAttribute("aria-busy", "true");
  try {
    await work();
    trouble(null);
  } catch (error) {
    trouble(error instanceof TypeError ? "The server did not answer." : error.message);
  } finally {
    button?.removeAttribute("aria-busy");
  }
}

// ---- A slow report, and those with tags -------------------------------------------------------

const SOURCES = {
  hit: ["hit", "from the cache"],
  stale: ["stale", "a new one is being made"],
  made: ["miss", "made for this request"],
  joined: ["joined", "made by another request"],
};
let made = null;

function showReport(shown) {
  made = performance.now() - shown.age_ms;
  const [source, words] = SOURCES[shown.source];
  put("report-source", source);
  put("report-words", words);
  put("report-took", duration(shown.micros));
  put("report-total", shown.report.total);
  put("report-by", `process ${shown.report.pid}`);
  showAge();
}

function showAge() {
  if (made !== null) put("report-age", `${((performance.now() - made) / 1000).toFixed(1)} s`);
}

async function askReport() {
  showReport(await ask("/reports/year"));
}

let asking = false;
async function keepAsking() {
  if (asking) return;
  asking = true;
  while (by("keep-asking").checked) {
    const pause = new Promise((done) => setTimeout(done, 200));
    await busy(null, askReport);
    await pause;
  }
  asking = false;
}

async function askTagged() {
  const rows = [...document.querySelectorAll("[data-report]")];
  await Promise.all(rows.map(async (row) => {
    row.querySelector(".last").textContent = "asking…";
    const shown = await ask(`/reports/${row.dataset.report}`);
    row.querySelector(".last").textContent = `${shown.source}, ${duration(shown.micros)}`;
    const time = document.createElement("time");
    time.dataset.ago = Date.now() - shown.age_ms;
    row.querySelector(".state").replaceChildren("fresh, made ", time);
    showAgo();
  }));
}

async function invalidate(fields) {
  for (const [name, state] of await ask("/tags", fields)) {
    const row = document.querySelector(`[data-report="${name}"]`);
    if (row) row.querySelector(".state").textContent = state;
  }
}

// ---- 500 at once ------------------------------------------------------------------------------

let lastBurst = null;

async function burst(fields) {
  const outcome = await ask("/burst", fields);
  lastBurst = outcome;
  by("burst-result").hidden = false;
  put("burst-creations", outcome.creations);
  const words = outcome.creations === 1 ? "creation" : "creations";
  const way = outcome.through === "beaker" ? "through Beaker" : "without a cache";
  put("burst-words", `${words} for ${outcome.requests} requests, ${way}`);
  put("burst-requests", `${outcome.requests - outcome.failed} answered, ${outcome.failed} failed`);
  put("burst-p50", duration(outcome.quantiles.p50_micros));
  put("burst-p99", duration(outcome.quantiles.p99_micros));
  put("burst-wall", duration(outcome.wall_micros));
  drawBurst();
}

function drawBurst() {
  if (!lastBurst) return;
  const { micros, quantiles } = lastBurst;
  ranked(by("burst-plot"), micros, quantiles);
  const text = `Half of the requests took up to ${duration(quantiles.p50_micros)}, the slowest ${duration(quantiles.max_micros)}`;
  by("burst-plot").setAttribute("aria-label", text);
}

// ---- The visitor: counter, sessions, secret ---------------------------------------------------

let sent = 0;

async function count() {
  put("sent", ++sent);
  const { clicks } = await ask("/count", {});
  showClicks(clicks);
}

/** Answers of requests at the same time come in any order, and the counter never falls. */
function showClicks(clicks) {
  put("clicks", Math.max(clicks, Number(by("clicks").textContent)));
}

async function reveal(_fields, button) {
  const { secret } = await ask("/reveal", {});
  put("secret", secret);
  button.hidden = true;
}

/** What other tabs and browsers have done meanwhile. */
async function pollVisitor() {
  const loggedIn = document.querySelector("[data-visitor]") !== null;
  const visitor = await ask("/visitor");
  if ((visitor !== null) !== loggedIn) return location.reload();
  if (!visitor) return;
  showClicks(visitor.clicks);
  // Compared with what the page shows: a login may come after the page and before the first poll.
  const rows = [...document.querySelectorAll("#session-rows tr")];
  const shown = rows.map((row) => row.dataset.handle).sort().join();
  const now = visitor.devices.map((device) => device.handle).sort().join();
  if (shown !== now) await refresh("session-rows");
  for (const device of visitor.devices) {
    const row = document.querySelector(`tr[data-handle="${device.handle}"]`);
    row?.querySelector(".seen").setAttribute("data-ago", device.seen_ms);
  }
}

/** Takes an element anew from the page as the server has it now. */
async function refresh(id) {
  const page = await (await fetch("/")).text();
  const fresh = new DOMParser().parseFromString(page, "text/html").getElementById(id);
  if (fresh) by(id).replaceWith(document.adoptNode(fresh));
}

function showAgo() {
  for (const time of document.querySelectorAll("[data-ago]")) {
    const seconds = Math.max(0, Math.floor((Date.now() - time.dataset.ago) / 1000));
    time.textContent = seconds < 2 ? "now"
      : seconds < 120 ? `${seconds} s ago`
      : seconds < 7200 ? `${Math.floor(seconds / 60)} min ago`
      : `${Math.floor(seconds / 3600)} h ago`;
  }
}

// ---- The store --------------------------------------------------------------------------------

async function changeStore(fields) {
  showFacts(await ask("/store", fields));
  await poll();
}

function showFacts(facts) {
  const rows = facts.map(([name, value]) => {
    const row = document.createElement("div");
    for (const [tag, text] of [["dt", name], ["dd", value]]) {
      row.append(Object.assign(document.createElement(tag), { textContent: text }));
    }
    return row;
  });
  by("store-facts").replaceChildren(...rows);
}

// ---- The server: is it there, and is it the same process? -------------------------------------

let seen = Number(document.body.dataset.started);
let last = 0;
let list = [];
let restarts = 0;

async function poll() {
  let status;
  try {
    const url = `/status?since=${last}`;
    status = await (await fetch(url, { signal: AbortSignal.timeout(5000) })).json();
  } catch {
    by("server").classList.add("away");
    put("server-text", "the server is away; trying again");
    trouble("The server is away. This page asks for it every second.");
    return;
  }
  if (by("server").classList.contains("away")) trouble(null);
  by("server").classList.remove("away");
  const scheme = status.store.split(":")[0];
  put("server-text", `process ${status.pid} · up ${status.up_seconds} s · ${scheme}`);
  if (status.started_ms !== seen) restarted(status);
  put("restart-pid", status.pid);
  put("kill-pid", status.pid);
  put("restart-up", `${status.up_seconds} s`);
  showFacts(status.facts);
  if (status.samples.length > 0) {
    list = list.concat(status.samples).slice(-500);
    last = status.samples.at(-1).seq;
    drawSamples(status.quantiles);
  }
}

function restarted(status) {
  seen = status.started_ms;
  restarts += 1;
  last = 0;
  put("restart-seen", restarts);
  trouble(`The server was started again: it is process ${status.pid} now. What you did is still there.`);
  document.dispatchEvent(new Event("restarted"));
}

function drawSamples(quantiles) {
  samples(by("plot"), list);
  if (!quantiles) return;
  const { p50_micros: p50, p99_micros: p99, count } = quantiles;
  const text = `p50 ${duration(p50)} · p99 ${duration(p99)} · of ${count} requests`;
  put("quantiles", text);
  by("plot").setAttribute("aria-label", `Time of the latest requests: ${text}`);
}

// ---- Everything is wired here -----------------------------------------------------------------

const parts = {
  count,
  reveal,
  report: askReport,
  burst,
  tags: invalidate,
  store: changeStore,
  stop: async () => {
    // The answer never comes if it works.
    await ask("/stop", {}).catch((error) => { if (!(error instanceof TypeError)) throw error; });
    await poll();
  },
};

document.addEventListener("submit", (event) => {
  const part = parts[event.target.dataset.part];
  if (!part) return;
  event.preventDefault();
  const fields = new FormData(event.target, event.submitter);
  busy(event.submitter, () => part(fields, event.submitter));
});

for (const shown of document.querySelectorAll("[data-script]")) shown.hidden = false;
by("ask-all").addEventListener("click", (event) => busy(event.target, askTagged));
by("fifty").addEventListener("click", (event) => {
  busy(event.target, () => Promise.all(Array.from({ length: 50 }, count)));
});
by("keep-asking").addEventListener("change", keepAsking);
addEventListener("resize", () => { samples(by("plot"), list); drawBurst(); });
setInterval(showAge, 100);
setInterval(showAgo, 1000);
// So that a reload does not tell of the login again.
if (location.search) history.replaceState(null, "", location.pathname + location.hash);

samples(by("plot"), list);
(async () => {
  for (;;) {
    await poll();
    if (!document.hidden && !by("server").classList.contains("away")) await pollVisitor().catch(() => {});
    await new Promise((done) => setTimeout(done, 1000));
  }
})();
