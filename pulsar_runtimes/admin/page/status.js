"use strict";

// Polls one JSON document and shows it. All text goes into the page as text: nothing here makes markup of a string.

const PERIOD_MS = 2000;
const PATIENCE_MS = 10000;
const ROWS = 200;
const GOOD = new Set(["running"]);
const BAD = new Set(["failed", "backoff"]);

const byId = (id) => document.getElementById(id);
const body = document.querySelector("#functions tbody");
const rows = new Map(); // by function: its rows, and whether its instances are shown
const rates = new Map(); // by instance: what was counted last, and what that made in a second
let overview = null;
let shownRows = ROWS;
let timer = 0;
let asking = null;
let lastAnswer = 0;

// Small things

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/** Leaves alone what is so already: a selection survives, and a reader of the screen says nothing. */
function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

function setClass(target, className) {
  if (target.className !== className) target.className = className;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const precise = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

function shortNumber(value) {
  if (value === null || value === undefined) return "–";
  return value >= 100 ? whole.format(value) : precise.format(value);
}

function milliseconds(value) {
  return value ? `${shortNumber(value)} ms` : "–";
}

function mebibytes(value) {
  return value === null || value === undefined ? "–" : `${shortNumber(value / 1048576)} MiB`;
}

function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

/** How long ago by the worker's clock, which need not be this machine's. */
function ago(ms) {
  return ms ? `${duration(overview.timestampMs - ms)} ago` : "never";
}

function lastLine(text) {
  return text.trim().split("\n").pop();
}

function sum(values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  return known.length ? known.reduce((total, value) => total + value, 0) : null;
}

// What is told, put together

function idOf(one) {
  return `${one.tenant}/${one.namespace}/${one.name}`;
}

/** With the worker: two may each have an instance of that number, of a function of their command lines. */
function keyOf(one, instance) {
  return `${idOf(one)}:${instance.instanceId}@${instance.workerId}`;
}

/** Messages in a second, from what this and the last different answer have counted. */
function takeRates(told) {
  const seen = new Set();
  for (const one of told.functions) {
    for (const instance of one.instances) {
      const key = keyOf(one, instance);
      const now = instance.figures;
      if (!now) continue;
      seen.add(key);
      const before = rates.get(key);
      if (before && before.countedMs === now.countedMs) continue;
      const seconds = before ? (now.countedMs - before.countedMs) / 1000 : 0;
      const goesOn = seconds > 0 && now.received >= before.received && now.processed >= before.processed;
      rates.set(key, {
        countedMs: now.countedMs,
        received: now.received,
        processed: now.processed,
        receivedRate: goesOn ? (now.received - before.received) / seconds : null,
        processedRate: goesOn ? (now.processed - before.processed) / seconds : null,
      });
    }
  }
  for (const key of rates.keys()) if (!seen.has(key)) rates.delete(key);
}

function rateOf(one, instance, name) {
  const rate = instance.figures && rates.get(keyOf(one, instance));
  return rate ? rate[name] : null;
}

function stateOf(instance) {
  if (GOOD.has(instance.state)) return "good";
  if (BAD.has(instance.state)) return "bad";
  return instance.state === "stopped" ? "" : "wait";
}

function summaryOf(one) {
  const figures = one.instances.map((instance) => instance.figures).filter(Boolean);
  const latencies = figures.filter((each) => each.latencyMs > 0);
  const exceptions = figures.map((each) => each.lastException).filter(Boolean);
  const latest = exceptions.sort((a, b) => a.timestampMs - b.timestampMs).pop();
  const troubled = one.instances.filter((instance) => stateOf(instance) === "bad");
  return {
    receivedRate: sum(one.instances.map((instance) => rateOf(one, instance, "receivedRate"))),
    processedRate: sum(one.instances.map((instance) => rateOf(one, instance, "processedRate"))),
    latency: latencies.length ? sum(latencies.map((each) => each.latencyMs)) / latencies.length : null,
    exceptions: sum(figures.map((each) => each.userExceptions + each.systemExceptions)),
    restarts: sum(one.instances.map((instance) => instance.restarts)) || 0,
    memory: sum(figures.map((each) => each.memoryBytes)),
    trouble: troubled.length > 0 || one.updateFailure !== "",
    news: one.updateFailure
      ? `update failed: ${one.updateFailure}`
      : troubled.length
        ? lastLine(troubled[0].reason || troubled[0].state)
        : latest
          ? `${lastLine(latest.exceptionString)} (${ago(latest.timestampMs)})`
          : "",
  };
}

function functionState(one) {
  const count = one.instances.length;
  const running = one.instances.filter((instance) => instance.state === "running").length;
  const kinds = one.instances.map(stateOf);
  const kind = kinds.includes("bad") ? "bad" : kinds.includes("wait") ? "wait" : running ? "good" : "";
  const others = new Set(one.instances.map((instance) => instance.state).filter((state) => state !== "running"));
  const words = [];
  if (running || !others.size) words.push(`${running} of ${count} running`);
  words.push(...others);
  if (one.updating) words.push("updating");
  return { kind, text: words.join(", ") };
}

// Rows

const COLUMNS = ["In / s", "Done / s", "Backlog", "Latency", "Exceptions", "Restarts", "Memory"];

function makeRow(id) {
  const row = element("tr");
  const name = element("th", "name");
  name.scope = "row";
  const button = element("button", "", id);
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  const news = element("p", "news");
  name.append(button, news);
  const state = element("td");
  state.dataset.label = "State";
  const pill = element("span", "state");
  state.append(pill);
  const cells = COLUMNS.map((label) => {
    const cell = element("td", "number");
    cell.dataset.label = label;
    return cell;
  });
  row.append(name, state, ...cells);
  const made = { row, button, news, pill, cells, more: null, instances: new Map() };
  button.addEventListener("click", () => toggle(id, made));
  return made;
}

function toggle(id, kept) {
  const opens = kept.more === null;
  kept.button.setAttribute("aria-expanded", String(opens));
  if (opens) {
    kept.more = element("tr", "more");
    const cell = element("td");
    cell.colSpan = COLUMNS.length + 2;
    kept.more.append(cell);
    kept.row.after(kept.more);
    const one = overview.functions.find((each) => idOf(each) === id);
    if (one) showInstances(one, kept);
  } else {
    kept.more.remove();
    kept.more = null;
    kept.instances.clear();
  }
}

function showRow(one, summary, kept) {
  const state = functionState(one);
  setClass(kept.pill, `state ${state.kind}`.trim());
  setText(kept.pill, state.text);
  setText(kept.news, summary.news);
  const texts = [
    shortNumber(summary.receivedRate),
    shortNumber(summary.processedRate),
    shortNumber(one.backlog),
    milliseconds(summary.latency),
    shortNumber(summary.exceptions),
    shortNumber(summary.restarts),
    mebibytes(summary.memory),
  ];
  texts.forEach((text, index) => setText(kept.cells[index], text));
  if (kept.more) showInstances(one, kept);
}

// Instances of a function that is open

const FACTS = ["Worker", "For", "In / s", "Done / s", "Received", "Done", "Exceptions", "Latency", "Last message", "Restarts", "Memory"];

function makeInstance(number) {
  const box = element("section", "instance");
  const title = element("h2", "", `Instance ${number}`);
  const pill = element("span", "state");
  const list = element("dl");
  const facts = FACTS.map((name) => {
    const pair = element("div");
    const fact = element("dd");
    pair.append(element("dt", "", name), fact);
    list.append(pair);
    return fact;
  });
  const reason = element("p");
  const extras = element("div");
  box.append(title, pill, list, reason, extras);
  return { box, pill, facts, reason, extras, told: "" };
}

function showInstances(one, kept) {
  const place = kept.more.firstChild;
  const keys = new Set();
  one.instances.forEach((instance, index) => {
    const key = keyOf(one, instance);
    keys.add(key);
    let shown = kept.instances.get(key);
    if (!shown) {
      shown = makeInstance(instance.instanceId);
      kept.instances.set(key, shown);
    }
    if (place.children[index] !== shown.box) place.insertBefore(shown.box, place.children[index] || null);
    showInstance(one, instance, shown);
  });
  for (const [key, shown] of kept.instances) {
    if (!keys.has(key)) {
      shown.box.remove();
      kept.instances.delete(key);
    }
  }
}

function showInstance(one, instance, shown) {
  const figures = instance.figures;
  const count = (name) => (figures ? whole.format(figures[name]) : "–");
  setClass(shown.pill, `state ${stateOf(instance)}`.trim());
  setText(shown.pill, instance.state);
  const texts = [
    instance.workerId || "–",
    instance.sinceMs ? duration(overview.timestampMs - instance.sinceMs) : "–",
    shortNumber(rateOf(one, instance, "receivedRate")),
    shortNumber(rateOf(one, instance, "processedRate")),
    count("received"),
    count("processed"),
    figures ? `${whole.format(figures.userExceptions)} user, ${whole.format(figures.systemExceptions)} system` : "–",
    milliseconds(figures && figures.latencyMs),
    figures ? ago(figures.lastInvocationMs) : "–",
    whole.format(instance.restarts || 0),
    mebibytes(figures && figures.memoryBytes),
  ];
  texts.forEach((text, index) => setText(shown.facts[index], text));
  setText(shown.reason, instance.state === "running" ? "" : instance.reason || "");
  const exception = figures && figures.lastException;
  const told = JSON.stringify([exception, instance.ends, instance.lastLines]);
  if (told === shown.told) return;
  shown.told = told;
  shown.extras.replaceChildren(...extrasOf(exception, instance));
}

function moment(ms) {
  return new Date(ms).toLocaleString();
}

function extrasOf(exception, instance) {
  const extras = [];
  if (exception) {
    extras.push(element("h3", "", `Last exception, ${moment(exception.timestampMs)}`));
    extras.push(block(exception.exceptionString));
  }
  const ends = [...(instance.ends || [])].reverse();
  if (ends.length) {
    extras.push(element("h3", "", "How the last lives ended, latest first"));
    const list = element("ol");
    for (const end of ends) {
      const code = end.exitCode === null ? "" : ` (${end.exitCode < 0 ? `signal ${-end.exitCode}` : `exit code ${end.exitCode}`})`;
      const item = element("li", "", `${moment(end.timestampMs)}: ${end.reason}${code}`);
      if (end.lastMessages.length) item.append(element("p", "", `took last: ${end.lastMessages.join(", ")}`));
      list.append(item);
    }
    extras.push(list);
  }
  if (instance.lastLines && instance.lastLines.length) {
    extras.push(element("h3", "", "Its last lines then"));
    extras.push(block(instance.lastLines.join("\n")));
  }
  return extras;
}

function block(text) {
  const made = element("pre", "", text);
  made.tabIndex = 0; // it may have to be scrolled with the keyboard
  return made;
}

// The whole page

function show() {
  const { worker, functions } = overview;
  setText(byId("worker"), `${worker.workerId} · version ${worker.version} · ${worker.runtime} runtime · up ${duration(overview.timestampMs - worker.startedMs)}`);
  const all = functions.map((one) => ({ id: idOf(one), one, summary: summaryOf(one) }));
  showTotals(all);
  showWorkers(functions);
  const wanted = byId("filter").value.trim().toLowerCase();
  const onlyTroubled = byId("troubled").checked;
  const fitting = all.filter(({ id, summary }) => id.toLowerCase().includes(wanted) && (!onlyTroubled || summary.trouble));
  const shown = fitting.slice(0, shownRows);
  showRows(shown);
  const none = byId("none");
  none.hidden = fitting.length > 0;
  setText(none, functions.length ? "No function is like that." : "No function is registered.");
  const more = byId("more");
  more.hidden = fitting.length <= shown.length;
  setText(more, `Show more: ${whole.format(fitting.length - shown.length)} are left`);
}

function showRows(shown) {
  const ids = new Set(shown.map(({ id }) => id));
  for (const [id, kept] of rows) {
    if (!ids.has(id)) {
      kept.row.remove();
      if (kept.more) kept.more.remove();
      rows.delete(id);
    }
  }
  let place = body.firstChild;
  for (const { id, one, summary } of shown) {
    let kept = rows.get(id);
    if (!kept) {
      kept = makeRow(id);
      rows.set(id, kept);
    }
    if (kept.row === place) place = place.nextSibling;
    else body.insertBefore(kept.row, place);
    if (kept.more) {
      if (kept.more === place) place = place.nextSibling;
      else body.insertBefore(kept.more, place);
    }
    showRow(one, summary, kept);
  }
}

function showTotals(all) {
  const instances = all.flatMap(({ one }) => one.instances);
  const running = instances.filter((instance) => instance.state === "running").length;
  const troubled = all.filter(({ summary }) => summary.trouble).length;
  const totals = [
    ["Functions", whole.format(all.length), false],
    ["Instances running", `${whole.format(running)} of ${whole.format(instances.length)}`, false],
    ["In trouble", whole.format(troubled), troubled > 0],
    ["In / s", shortNumber(sum(all.map(({ summary }) => summary.receivedRate))), false],
    ["Done / s", shortNumber(sum(all.map(({ summary }) => summary.processedRate))), false],
  ];
  const list = byId("totals");
  if (!list.children.length) {
    for (const [name] of totals) {
      const box = element("div");
      box.append(element("dt", "", name), element("dd"));
      list.append(box);
    }
  }
  totals.forEach(([, text, bad], index) => {
    setText(list.children[index].lastChild, text);
    setClass(list.children[index], bad ? "bad" : "");
  });
}

/** One worker needs no list. */
function showWorkers(functions) {
  const list = byId("workers");
  list.hidden = overview.workers.length < 2;
  const running = new Map();
  for (const { workerId, state } of functions.flatMap((one) => one.instances)) {
    if (state === "running") running.set(workerId, (running.get(workerId) || 0) + 1);
  }
  while (list.children.length > overview.workers.length) list.lastChild.remove();
  overview.workers.forEach(({ workerId, leads, problem }, index) => {
    const item = list.children[index] || list.appendChild(element("li"));
    const marks = [workerId === overview.worker.workerId ? "this one" : "", leads ? "leads" : ""].filter(Boolean);
    const told = problem || `${whole.format(running.get(workerId) || 0)} running`;
    setText(item, `${workerId}${marks.length ? ` (${marks.join(", ")})` : ""}: ${told}`);
    setClass(item, problem ? "bad" : "");
  });
}

function tell(text, lost) {
  setText(byId("live"), text);
  setClass(byId("live"), lost ? "lost" : "");
}

// Polling

function tokenHeaders() {
  const token = sessionStorage.getItem("token");
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function ask() {
  if (asking || document.hidden) return;
  asking = new AbortController();
  const patience = setTimeout(() => asking.abort(), PATIENCE_MS);
  try {
    const answer = await fetch("admin/v3/overview", { headers: tokenHeaders(), signal: asking.signal, cache: "no-store" });
    byId("sign-in").hidden = answer.status !== 401;
    if (!answer.ok) throw new Error((await answer.json()).reason || `status ${answer.status}`);
    overview = await answer.json();
    lastAnswer = Date.now();
    takeRates(overview);
    show();
    tell("live", false);
  } catch (error) {
    const since = lastAnswer ? `, these figures are ${duration(Date.now() - lastAnswer)} old` : "";
    tell(`no answer (${error.message})${since}`, true);
  } finally {
    clearTimeout(patience);
    asking = null;
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(ask, PERIOD_MS);
  }
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (document.hidden) tell("paused", false);
  else ask();
});

byId("filter").addEventListener("input", () => overview && show());
byId("troubled").addEventListener("change", () => overview && show());
byId("more").addEventListener("click", () => {
  shownRows += ROWS;
  show();
});
byId("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", byId("token").value.trim());
  byId("token").value = "";
  ask();
});

ask();
