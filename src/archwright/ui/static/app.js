// The pages of the dashboard. They ask the server for what has changed about each second. Names and texts of a search
// may come from anybody: they are put into the page as text, never as markup.

import { chart, short } from "/static/chart.js";

const EVERY = 1000, AFTER_ERROR = 3000, HEIGHT = 32, SPARE = 12;
const main = document.getElementById("main"), banner = document.getElementById("banner");
const state = { key: null, trial: null, run: null, view: null };

// ------------------------------------------------------------------ small things

function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((each) => each !== null && each !== undefined && each !== ""));
  return made;
}

const put = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

function figure(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return Array.isArray(value) ? value.join(", ") || "none" : String(value);
  if (Number.isInteger(value)) return Math.abs(value) < 1e15 ? value.toLocaleString("en") : value.toExponential(2);
  const size = Math.abs(value);
  if (size >= 1e4 && size < 1e15) return Math.round(value).toLocaleString("en");
  return size < 1e-3 || size >= 1e15 ? value.toExponential(2) : value.toPrecision(4);
}

function clock(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 0.1) return "<0.1 s";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds), two = (number) => String(number).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours ? `${hours.toLocaleString("en")}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

const date = (text) => (text ? new Date(text).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : "");
const badge = (name, text = name) => h("span", { class: `badge ${name}` }, text);
const pairs = (metrics) => Object.entries(metrics ?? {}).map(([name, value]) => `${name} ${figure(value)}`).join(", ");

function tell(text) {
  banner.hidden = !text;
  put(banner, text || "");
}

async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const answer = await fetch(path, { ...options, signal: AbortSignal.timeout(60000) });
  const isJson = (answer.headers.get("content-type") ?? "").startsWith("application/json");
  const found = isJson ? await answer.json() : { error: await answer.text() };
  if (!answer.ok) throw Object.assign(new Error(found.error), { status: answer.status });
  return found;
}

// ------------------------------------------------------------------ the list of runs

function runsView() {
  document.title = "Archwright";
  const body = h("tbody"), note = h("p", { class: "mute" });
  const filter = h("input", { type: "search", placeholder: "Filter by name, strategy or space", "aria-label": "Filter runs" });
  const heads = ["run", "state", "best", "trials", "time", "objective", "strategy", "space", "started"];
  const table = h("table", { class: "runs" },
    h("thead", {}, h("tr", {}, heads.map((name) => h("th", { class: ["best", "trials", "time"].includes(name) ? "n" : null }, name)))), body);
  const wide = h("div", { class: "scroll" }, table), empty = h("div", { class: "card empty", hidden: true });
  main.replaceChildren(h("div", { class: "head" }, h("h1", {}, "Runs"), note), h("div", { class: "filters" }, filter), wide, empty);
  let found = { runs: [] };
  const show = () => {
    const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const runs = found.runs.filter((run) => {
      const text = `${run.name} ${run.state} ${run.strategy ?? ""} ${run.space ?? ""} ${run.aim ?? ""}`.toLowerCase();
      return wanted.every((each) => text.includes(each));
    });
    const rank = (run) => (run.state === "running" ? 0 : 1);
    runs.sort((a, b) => rank(a) - rank(b) || Date.parse(b.created ?? 0) - Date.parse(a.created ?? 0) || a.name.localeCompare(b.name));
    const focused = document.activeElement?.dataset?.key;
    body.replaceChildren(...runs.map(runRow));
    if (focused) body.querySelector(`[data-key="${focused}"]`)?.focus();
    put(note, found.runs.length ? counted(runs.length, "run") : "");
    wide.hidden = !found.runs.length;
    empty.hidden = Boolean(found.runs.length);
    if (!empty.hidden && !empty.childNodes.length)
      empty.append(h("p", {}, "There are no runs here yet. They appear as soon as a search begins:"),
        h("pre", {}, "archwright search digits --minutes 1 --out runs/digits"));
  };
  filter.addEventListener("input", show);
  return {
    get every() { return found.runs.some((run) => run.state === "loading") ? 200 : 1500; },
    async update() {
      found = await ask("/api/runs");
      put(document.getElementById("place"), found.place);
      tell(found.problem);
      show();
    },
  };
}

function runRow(run) {
  const go = () => { location.hash = `#/${run.key}`; };
  const link = h("a", { href: `#/${run.key}`, "data-key": run.key }, run.name);
  if (run.problem || run.state === "loading") {
    const told = run.problem ?? "being read …";
    return h("tr", { class: "row", onclick: go }, h("td", {}, link), h("td", {}, badge(run.state)),
      h("td", { colspan: 7, class: "mute", title: told }, told));
  }
  const best = run.best && run.best.values[0] !== null ? figure(run.best.values[0]) : "";
  return h("tr", { class: "row", onclick: go },
    h("td", { title: run.name }, link), h("td", {}, badge(run.state)), h("td", { class: "n" }, best),
    h("td", { class: "n" }, run.trials.toLocaleString("en")), h("td", { class: "n" }, clock(run.seconds)),
    h("td", { title: run.aim }, run.aim), h("td", {}, run.strategy), h("td", {}, run.space), h("td", {}, date(run.created)));
}

// ------------------------------------------------------------------ a run

const NUMBER = 0, STATE = 1, ENDED = 2, SHARE = 3, SECONDS = 4, GIVEN = 5, ORIGIN = 6, CAUSE = 7, VALUES = 8, METRICS = 9, DECISIONS = 10;

function runView(key) {
  const title = h("h1", {}, "…"), status = h("span", {}), line = h("p", { class: "mute now" });
  const stop = h("button", { class: "stop", hidden: true, onclick: askToStop }, "Stop …");
  const resume = h("button", { class: "main", hidden: true, onclick: askToResume }, "Resume …");
  const why = h("span", { class: "mute" });
  const full = h("a", { href: `/report/${key}`, target: "_blank", rel: "noopener" }, "Full report");
  const filled = h("div"), bar = h("div", { class: "bar", role: "progressbar", "aria-label": "share of the budget" }, filled);
  const progress = h("p", { class: "now" }), now = h("div", { "aria-live": "off" }), problem = h("p", { class: "bad now", hidden: true });
  const tiles = h("div", { class: "tiles" }), charts = h("div", { class: "charts" });
  const history = h("div"), front = h("div");
  const frontCard = h("section", { class: "card", hidden: true }, h("h2", {}, "Pareto front"), front);
  charts.append(h("section", { class: "card" }, h("h2", {}, "Best so far"), history), frontCard);
  const trials = trialTable();
  const rest = h("div", { hidden: true }, tiles, charts, h("section", { class: "card" }, h("h2", {}, "Trials"), trials.node));
  main.replaceChildren(h("nav", {}, h("a", { href: "#/" }, "← All runs")),
    h("div", { class: "head" }, title, status, h("div", { class: "actions" }, full, why, stop, resume)),
    line, bar, progress, now, problem, rest);
  const dialog = h("dialog");
  main.append(dialog);

  const known = { epoch: 0, revision: 0, rows: [], varied: [], first: [] };
  const view = { every: EVERY, known, key, run: null, isStopping: false, panel: null, update, showTrial };

  async function update() {
    const run = await ask(`/api/run/${key}?epoch=${known.epoch}&since=${known.revision}`);
    const isNews = take(run);
    view.run = run;
    document.title = `${run.name} – Archwright`;
    put(title, run.name);
    tell("");
    problem.hidden = !run.problem && !run.resume_problem;
    put(problem, run.problem ?? (run.resume_problem ? `It could not be continued: ${run.resume_problem}` : ""));
    rest.hidden = full.hidden = bar.hidden = Boolean(run.problem);
    status.replaceChildren(badge(run.state, run.state === "running" && run.phase !== "search" ? phases[run.phase] ?? run.state : run.state));
    if (run.problem) {
      for (const each of [line, progress]) put(each, "");
      now.replaceChildren();
      stop.hidden = resume.hidden = true;
      return;
    }
    if (run.state !== "running") view.isStopping = false;
    put(line, `${run.aim}${run.constraints.length ? `, subject to ${run.constraints.join(", ")}` : ""} · ${run.space} · ${run.strategy}` +
      `${run.budget ? ` · budget ${run.budget}` : ""} · seed ${run.seed} · started ${date(run.created)}`);
    stop.hidden = run.stop !== null;
    stop.disabled = view.isStopping;
    put(stop, view.isStopping ? "Stopping …" : "Stop …");
    resume.hidden = run.state === "running" || (run.resume !== null && !run.is_starting);
    resume.disabled = Boolean(run.is_starting);
    resume.classList.toggle("main", run.state === "interrupted");
    put(resume, run.is_starting ? "Starting …" : "Resume …");
    put(why, run.state === "interrupted" && resume.hidden ? "cannot be resumed here" : "");
    why.title = run.resume ?? "";
    bar.hidden = run.share === null;
    bar.className = `bar ${run.state}`;
    filled.style.width = `${100 * (run.share ?? 0)}%`;
    bar.setAttribute("aria-valuenow", Math.round(100 * (run.share ?? 0)));
    const left = run.left !== null && run.state === "running" ? ` · about ${clock(run.left)} left` : "";
    put(progress, [counted(run.trials, "trial"), clock(run.seconds)].join(" · ") + left + (run.reason ? ` · ${run.reason}` : "") +
      (run.share !== null ? ` · ${Math.round(100 * run.share)} % of the budget` : ""));
    showNow(run);
    showTiles(run);
    if (isNews || view.width !== charts.clientWidth) showCharts(run);
    view.width = charts.clientWidth;
    trials.update(run, known, isNews);
    if (state.trial !== null) await view.showTrial(state.trial, isNews);
  }

  const phases = { supernet: "training the supernet", final: "final training" };

  function take(run) {
    if (run.problem || run.state === "loading") return false;
    let isNews = run.epoch !== known.epoch;
    if (isNews) Object.assign(known, { rows: [], varied: [], first: [] });
    known.epoch = run.epoch;
    known.revision = run.revision;
    for (const row of run.rows) {
      if (row[ENDED] === null && known.rows[row[NUMBER]]) row[ENDED] = known.rows[row[NUMBER]][ENDED];
      known.rows[row[NUMBER]] = row;
      for (let place = 0; place < run.decisions.length; place++) {
        const told = JSON.stringify(row[DECISIONS][place]);
        if (!(place in known.first)) known.first[place] = known.rows.length > 1 && row[NUMBER] ? undefined : told;
        if (known.first[place] !== told) known.varied[place] = true;
      }
      isNews = true;
    }
    return isNews;
  }

  function showNow(run) {
    const lines = run.running.slice(0, 6).map((each) => {
      const told = each.report ? `step ${figure(each.report.step)}: ${pairs(each.report.metrics)}` : "running";
      return h("p", { class: "now" }, h("a", { href: `#/${key}/${each.number}` }, `trial ${each.number}`), `${each.given ? ` (${each.given})` : ""}: ${told}`);
    });
    if (run.running.length > 6) lines.push(h("p", { class: "now mute" }, `and ${run.running.length - 6} more`));
    if (run.phase && run.phase !== "search") {
      const where = run.doing.trial === undefined ? "" : ` of trial ${run.doing.trial}`;
      const step = run.doing.step === undefined ? "" : `, step ${figure(run.doing.step)}: ${pairs(run.doing.metrics)}`;
      lines.unshift(h("p", { class: "now" }, `${phases[run.phase]}${where}${step}`));
    }
    if (run.last_problem) lines.push(h("p", { class: "now warn" }, run.last_problem.split("·")[0].slice(0, 400)));
    if (now.textContent !== lines.map((each) => each.textContent).join("") && !now.contains(document.activeElement)) now.replaceChildren(...lines);
  }

  function showTiles(run) {
    const found = [];
    const best = run.best;
    const aims = run.objectives.map((each) => each.name);
    if (best) {
      const told = [h("a", { href: `#/${key}/${best.trial}` }, `trial ${best.trial}`), best.given ? ` (${best.given})` : "", best.state === "complete" ? "" : ` (${best.state})`];
      found.push(tile(`best ${aims[0]}`, figure(best.values[0] ?? Object.values(best.metrics)[0]), told));
      const test = Object.entries(best.test ?? {}).find(([name]) => name === `test_${aims[0]}`) ?? Object.entries(best.test ?? {}).find(([name]) => name.startsWith("test_"));
      if (test) found.push(tile(test[0], figure(test[1]), ["after the final training"]));
    } else found.push(tile("best", "–", ["no trial is complete yet"]));
    if (run.front) found.push(tile("Pareto front", String(run.front.length), [run.front.length === 1 ? "network" : "networks"]));
    const states = Object.entries(run.states);
    found.push(tile("trials", run.trials.toLocaleString("en"), [states.map(([name, number]) => `${number.toLocaleString("en")} ${name}`).join(", ")]));
    found.push(tile("time", clock(run.seconds), [run.left !== null && run.state === "running" ? `about ${clock(run.left)} left` : "of the search"]));
    const text = found.map((each) => each.textContent).join("|");
    if (text !== tiles.dataset.text) tiles.replaceChildren(...found);
    tiles.dataset.text = text;
  }

  const tile = (name, value, told) => h("div", { class: "card tile" }, h("span", {}, name), h("b", {}, value), h("span", {}, told));

  const pick = (number) => { location.hash = `#/${key}/${number}`; };

  function about(number) {
    const row = known.rows[number], run = view.run;
    const values = run.objectives.map((each, place) => `${each.name} ${figure(row[VALUES][place])}`);
    return [`trial ${number}, ${row[STATE]}${row[GIVEN] ? ` (${row[GIVEN]})` : ""}`, ...values].join("\n");
  }

  function showCharts(run) {
    const rows = known.rows, aim = run.objectives[0];
    const complete = rows.filter((row) => row[STATE] === "complete" && row[VALUES][0] !== null);
    const share = complete.reduce((most, row) => Math.max(most, row[SHARE]), 0);
    const byEnd = complete.filter((row) => row[SHARE] === share).sort((a, b) => a[ENDED] - b[ENDED]);
    const dots = byEnd.map((row) => [row[ENDED] + 1, row[VALUES][0], row[NUMBER]]), best = [];
    for (const [x, y] of dots) if (!best.length || (aim.maximise ? y > best.at(-1)[1] : y < best.at(-1)[1])) best.push([x, y]);
    const ended = rows.reduce((most, row) => Math.max(most, (row[ENDED] ?? -1) + 1), 1);
    chart(history, {
      label: best.length ? `Best ${aim.name} so far: ${figure(best.at(-1)[1])} after ${counted(ended, "trial")}` : "no trial is complete yet",
      x: { name: share && share < 1 ? "trials that have ended; those of the highest fidelity are shown" : "trials that have ended" },
      y: { name: aim.name, best: aim.maximise ? "high" : "low", log: !aim.maximise },
      series: [{ look: "dots", points: dots }, { look: "step", points: best }],
      end: ended, picked: state.trial, pick, tell: about,
    });
    frontCard.hidden = !run.front;
    if (!run.front) return;
    const [one, other] = run.objectives;
    const pair = (row) => [row[VALUES][1], row[VALUES][0], row[NUMBER]];
    const measured = (name) => rows.filter((row) => row[STATE] === name && row[VALUES][0] !== null && row[VALUES][1] !== null);
    const members = run.front.map((number) => rows[number]).filter((row) => row && row[VALUES][0] !== null && row[VALUES][1] !== null);
    const line = run.objectives.length === 2 ? members.map(pair).sort((a, b) => a[0] - b[0]).map(([x, y]) => [x, y]) : [];
    chart(front, {
      label: `Pareto front of ${counted(members.length, "network")}: ${one.name} and ${other.name}; the filter "Pareto front" of the table lists them`,
      x: { name: other.name, best: other.maximise ? "high" : "low", log: true },
      y: { name: one.name, best: one.maximise ? "high" : "low", log: !one.maximise },
      series: [{ look: "infeasible", points: measured("infeasible").map(pair) }, { look: "dots", points: measured("complete").map(pair) },
        { look: "step faint", points: line }, { look: "front", points: members.map(pair) }],
      picked: state.trial, pick, tell: about,
    });
  }

  // ---------------------------------------------------------------- stop and resume

  function confirmed(heading, text, action, look, call, field) {
    const told = h("p", { class: "bad", hidden: true });
    const go = h("button", { class: look, onclick: async () => {
      go.disabled = true;
      try { await call(); dialog.close(); beat(); }
      catch (error) { told.hidden = false; put(told, error.message); go.disabled = false; }
    } }, action);
    dialog.replaceChildren(h("h2", {}, heading), h("p", {}, text), field ?? "", told,
      h("div", { class: "actions" }, h("button", { onclick: () => dialog.close() }, "Cancel"), go));
    dialog.showModal();
  }

  function askToStop() {
    confirmed("Stop this search?", "It ends as with Ctrl-C. The trials that run are interrupted, and run again when the search is resumed.",
      "Stop the search", "stop", async () => { await ask(`/api/stop/${key}`, {}); view.isStopping = true; });
  }

  function askToResume() {
    const trials = h("input", { type: "number", min: 1, step: 1, placeholder: "as before" });
    confirmed("Resume this search?", `archwright resume continues it in a process of its own, on this machine${view.run.budget ? `, with the budget of ${view.run.budget}` : ""}.`,
      "Resume the search", "main", () => ask(`/api/resume/${key}`, trials.value ? { trials: Number(trials.value) } : {}),
      h("label", {}, "New budget in trials, those on record included: ", trials));
  }

  // ---------------------------------------------------------------- a trial

  async function showTrial(number, isNews = true) {
    if (number === null) { closePanel(view); return; }
    view.panel ??= trialPanel(view);
    await view.panel.show(number, isNews);
    trials.mark(number);
  }

  view.redraw = () => { if (view.run && !view.run.problem) { showCharts(view.run); trials.mark(state.trial); } };
  return view;
}

// ------------------------------------------------------------------ the table of trials

function trialTable() {
  const search = h("input", { type: "search", placeholder: "Filter: accuracy>0.9 kernel=3 text", "aria-label": "Filter trials" });
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Show" }), count = h("span", { class: "mute", role: "status" });
  const head = h("tr"), body = h("tbody"), table = h("table", {}, h("thead", {}, head), body);
  const scroll = h("div", { class: "scroll rows", tabindex: 0, role: "region", "aria-label": "Trials" }, table);
  const node = h("div", {}, h("div", { class: "filters" }, search, chips, count), scroll);
  let run = null, known = null, columns = [], shown = [], kind = "all", order = null, marked = null, frame = 0;

  function columnsOf() {
    const aims = run.objectives.map((each) => each.name);
    const found = [
      { name: "trial", get: (row) => row[NUMBER], isNumber: true },
      { name: "state", get: stateOf },
      ...run.objectives.map((each, place) => ({ name: each.name, get: (row) => row[VALUES][place], isNumber: true, best: each.maximise ? -1 : 1 })),
    ];
    const others = run.metrics.map((name, place) => ({ name, place })).filter((each) => !aims.includes(each.name));
    others.sort((a, b) => a.name.startsWith("train_") - b.name.startsWith("train_"));
    for (const { name, place } of others.slice(0, 8)) found.push({ name, get: (row) => row[METRICS][place], isNumber: true });
    found.push({ name: "time", get: (row) => row[SECONDS] || null, show: (row) => (row[SECONDS] ? clock(row[SECONDS]) : ""), isNumber: true });
    if (known.rows.some((row) => row[GIVEN])) found.push({ name: "fidelity", get: (row) => row[SHARE], show: (row) => row[GIVEN] || "full" });
    run.decisions.forEach((name, place) => {
      if (known.varied[place]) found.push({ name, get: (row) => row[DECISIONS][place], isDecision: true });
    });
    if (known.rows.some((row) => row[CAUSE])) found.push({ name: "reason", get: (row) => row[CAUSE] });
    return found;
  }

  const stateOf = (row) => (row[STATE] === "running" && run.state !== "running" ? "interrupted" : row[STATE]);
  const shownIn = (column, row) => (column.show ? column.show(row) : figure(column.get(row)));

  function textOf(row) {
    row.text ??= [row[NUMBER], row[GIVEN], row[CAUSE], ...Object.entries(row[DECISIONS]).map(([place, value]) => `${run.decisions[place]}=${figure(value)}`)].join(" ").toLowerCase();
    return `${stateOf(row)} ${row.text}`;
  }

  function condition(term) {
    const parts = /^(.+?)(<=|>=|!=|=|<|>)(.+)$/.exec(term);
    if (parts) {
      const [, name, sign, value] = parts, low = name.toLowerCase();
      const getters = [...columns, ...run.decisions.map((each, place) => ({ name: each, get: (row) => row[DECISIONS][place] })),
        ...run.metrics.map((each, place) => ({ name: each, get: (row) => row[METRICS][place] }))];
      const column = getters.find((each) => each.name.toLowerCase() === low) ?? getters.find((each) => each.name.toLowerCase().includes(low));
      if (column) {
        const number = Number(value.replaceAll(",", ""));
        return (row) => {
          const held = column.get(row);
          if (held === undefined || held === null) return false;
          if (sign === "=" || sign === "!=") {
            const same = typeof held === "number" && !Number.isNaN(number) ? held === number : figure(held).toLowerCase() === value.toLowerCase();
            return same === (sign === "=");
          }
          if (typeof held !== "number" || Number.isNaN(number)) return false;
          return sign === "<" ? held < number : sign === ">" ? held > number : sign === "<=" ? held <= number : held >= number;
        };
      }
    }
    return (row) => textOf(row).includes(term.toLowerCase());
  }

  function select() {
    const conditions = search.value.split(/\s+/).filter(Boolean).map(condition);
    const members = kind === "front" ? new Set(run.front) : null;
    shown = known.rows.filter((row) => row && (kind === "all" || (members ? members.has(row[NUMBER]) : stateOf(row) === kind)) && conditions.every((each) => each(row)));
    const column = columns.find((each) => each.name === order.name) ?? columns[0];
    const keyed = shown.map((row) => [column.get(row), row]);
    const isMissing = (value) => value === null || value === undefined || value === "";
    keyed.sort(([a, one], [b, other]) => {
      if (isMissing(a) || isMissing(b)) return isMissing(a) - isMissing(b) || one[NUMBER] - other[NUMBER];
      const by = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
      return by * order.sign || one[NUMBER] - other[NUMBER];
    });
    shown = keyed.map((each) => each[1]);
    put(count, shown.length === known.rows.length ? "" : `${shown.length.toLocaleString("en")} of ${counted(known.rows.length, "trial")}`);
    table.setAttribute("aria-rowcount", shown.length + 1);
    paint(true);
  }

  function headers() {
    const text = columns.map((each) => each.name).join("\n");
    if (head.dataset.text !== text) {
      head.dataset.text = text;
      head.replaceChildren(...columns.map((column) => h("th", { class: column.isNumber ? "n" : null, title: column.name, scope: "col" }, h("button", { onclick: () => {
        order = order.name === column.name ? { name: column.name, sign: -order.sign } : { name: column.name, sign: column.best ?? 1 };
        headers();
        select();
      } }, column.name))));
    }
    columns.forEach((column, place) => {
      const sorted = column.name === order.name ? (order.sign > 0 ? "ascending" : "descending") : "none";
      head.children[place].setAttribute("aria-sort", sorted);
    });
  }

  function showChips() {
    const states = {};
    for (const row of known.rows) states[stateOf(row)] = (states[stateOf(row)] ?? 0) + 1;
    const wanted = [["all", `all ${known.rows.length.toLocaleString("en")}`], ...Object.entries(states).map(([name, number]) => [name, `${name} ${number.toLocaleString("en")}`])];
    if (run.front) wanted.push(["front", `Pareto front ${run.front.length}`]);
    if (!wanted.some(([name]) => name === kind)) kind = "all";
    const names = wanted.map((each) => each[0]).join();
    if (chips.dataset.names !== names) {
      chips.dataset.names = names;
      chips.replaceChildren(...wanted.map(([name]) => h("button", { class: "chip", onclick: () => { kind = name; showChips(); select(); } })));
    }
    wanted.forEach(([name, text], place) => {
      put(chips.children[place], text);
      chips.children[place].setAttribute("aria-pressed", name === kind);
    });
  }

  // Only the rows in sight are in the page, so that 10,000 trials scroll as 10 do.
  let painted = "";
  function paint(isNew) {
    const first = Math.max(0, Math.floor(scroll.scrollTop / HEIGHT) - SPARE);
    const last = Math.min(shown.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / HEIGHT) + SPARE);
    if (!isNew && painted === `${first},${last}`) return;
    painted = `${first},${last}`;
    const focused = document.activeElement?.dataset?.trial;
    const gap = (rows) => { const cell = h("td", { colspan: columns.length }); cell.style.height = `${rows * HEIGHT}px`; return h("tr", { class: "gap", "aria-hidden": true }, cell); };
    const best = run.best?.trial;
    const rows = shown.slice(first, last).map((row, place) => {
      const number = row[NUMBER];
      const cells = columns.map((column) => {
        const text = shownIn(column, row);
        if (column.name === "trial") return h("td", { class: "n" }, h("a", { href: `#/${run.key}/${number}`, "data-trial": number }, String(number)));
        if (column.name === "state") return h("td", {}, badge(text));
        return h("td", { class: column.isNumber ? "n" : null, title: text.length > 24 ? text : null }, text);
      });
      const look = `row${number === marked ? " on" : ""}${number === best ? " best" : ""}`;
      return h("tr", { class: look, "aria-rowindex": first + place + 2, onclick: () => { location.hash = `#/${run.key}/${number}`; } }, cells);
    });
    if (first) rows.unshift(gap(first));
    if (last < shown.length) rows.push(gap(shown.length - last));
    if (!shown.length) rows.push(h("tr", {}, h("td", { colspan: columns.length, class: "mute" }, known.rows.length ? "no trial is like that" : "no trials yet")));
    body.replaceChildren(...rows);
    if (focused) body.querySelector(`[data-trial="${focused}"]`)?.focus({ preventScroll: true });
  }

  search.addEventListener("input", select);
  scroll.addEventListener("scroll", () => { cancelAnimationFrame(frame); frame = requestAnimationFrame(() => paint(false)); });
  let before = "";
  return {
    node,
    update(newRun, newKnown, isNews) {
      [run, known] = [newRun, newKnown];
      order ??= run.state === "running" || !run.best ? { name: "trial", sign: -1 } : { name: run.objectives[0].name, sign: run.objectives[0].maximise ? -1 : 1 };
      if (!isNews && before === run.state) return;
      before = run.state;
      columns = columnsOf();
      headers();
      showChips();
      select();
    },
    mark(number) { if (marked !== number) { marked = number; if (run) paint(true); } },
  };
}

// ------------------------------------------------------------------ the panel of a trial

function trialPanel(view) {
  const key = view.key, title = h("h2", {}), body = h("div");
  const step = (by) => {
    const next = Math.min(view.known.rows.length - 1, Math.max(0, state.trial + by));
    location.hash = `#/${key}/${next}`;
  };
  const close = () => { location.hash = `#/${key}`; };
  const node = h("aside", { "aria-label": "Trial" },
    h("div", { class: "head" }, title, h("div", { class: "actions" },
      h("button", { "aria-label": "Previous trial", onclick: () => step(-1) }, "←"), h("button", { "aria-label": "Next trial", onclick: () => step(1) }, "→"),
      h("button", { "aria-label": "Close", onclick: close }, "✕"))), body);
  document.body.append(node);
  document.body.classList.add("panel");
  let before = "", number = null, drawing = null, metric = null;

  async function show(wanted, isNews) {
    const isOther = wanted !== number;
    const row = view.known.rows[wanted];
    if (!isOther && !isNews && !(row && row[STATE] === "running")) return;
    number = wanted;
    let trial;
    try { trial = await ask(`/api/trial/${key}?number=${wanted}`); }
    catch (error) { if (error.status === undefined) throw error; trial = { problem: error.message }; }
    if (state.trial !== wanted) return;
    const text = JSON.stringify(trial);
    if (text === before) return;
    before = text;
    if (isOther) { drawing = null; node.scrollTop = 0; }
    const top = node.scrollTop;
    put(title, `Trial ${wanted}`);
    body.replaceChildren(...(trial.problem ? [h("p", { class: "bad" }, trial.problem)] : parts(trial)));
    node.scrollTop = top;
  }

  const rows = (held) => h("table", {}, h("tbody", {}, Object.entries(held).map(([name, value]) => h("tr", {}, h("td", {}, name), h("td", {}, figure(value))))));

  function parts(trial) {
    const found = [h("p", {}, badge(trial.state), trial.is_best ? h("b", {}, "  best so far") : "", h("span", { class: "mute" },
      [` ${trial.seconds ? clock(trial.seconds) : ""}`, trial.given, trial.attempts > 1 ? `attempt ${trial.attempts}` : ""].filter((each) => each.trim()).join(" · ")),
      trial.origin === null ? "" : h("span", {}, " · continues or inherits from ", h("a", { href: `#/${key}/${trial.origin}` }, `trial ${trial.origin}`)))];
    if (trial.error) {
      const lines = trial.error.trimEnd().split("\n");
      found.push(h("h3", {}, "Reason"), h("p", { class: "bad" }, lines.at(-1).slice(0, 2000)));
      if (lines.length > 1) found.push(h("details", {}, h("summary", {}, "Traceback"), h("pre", {}, trial.error)));
    }
    if (Object.keys(trial.metrics).length) found.push(h("h3", {}, "Metrics"), rows(trial.metrics));
    if (trial.final) found.push(h("h3", {}, "After the final training"), rows(trial.final));
    found.push(h("h3", {}, `Decisions (architecture ${trial.id})`), rows(trial.decisions));
    const names = [...new Set(trial.curve.flatMap((point) => Object.keys(point)))].filter((name) => name !== "step");
    if (names.length) {
      const aim = view.run.objectives[0];
      if (!names.includes(metric)) metric = names.includes(aim.name) ? aim.name : names[0];
      const place = h("div"), choice = h("select", { "aria-label": "Metric of the learning curve", onchange: () => { metric = choice.value; plot(); } },
        names.map((name) => h("option", { value: name, selected: name === metric }, name)));
      const plot = () => {
        const points = trial.curve.filter((point) => typeof point[metric] === "number").map((point, index) => [point.step, point[metric], index]);
        chart(place, { label: `Learning curve: ${metric} over ${counted(points.length, "step")}`, x: { name: "step" }, y: { name: metric },
          series: [{ look: "line", points }, { look: "dots", points }], picked: null,
          tell: (index) => `step ${short(points[index][0])}\n${metric} ${figure(points[index][1])}` });
      };
      found.push(h("h3", {}, "Learning curve"), choice, place);
      requestAnimationFrame(plot);
    }
    if (trial.drawn) {
      drawing ??= h("img", { class: "drawing", src: `/drawing/${key}?number=${trial.number}`, alt: `The network of trial ${trial.number}`, onerror: async () => {
        const answer = await fetch(drawing.src).then((each) => each.json()).catch(() => ({}));
        drawing.replaceWith(h("p", { class: "mute" }, `It cannot be drawn: ${answer.error ?? "the server does not answer"}`));
      } });
      found.push(h("h3", {}, "Network"), h("div", { class: "wide" }, drawing));
    }
    if (trial.log.length) found.push(h("h3", {}, "Printed (the end)"), h("pre", {}, trial.log.join("\n")));
    found.push(h("p", { class: "mute" }, `seed ${trial.seed}${trial.worker ? ` · ran in ${trial.worker}` : ""}`));
    return found;
  }

  return { node, show };
}

function closePanel(view) {
  view?.panel?.node.remove();
  if (view) view.panel = null;
  document.body.classList.remove("panel");
}

// ------------------------------------------------------------------ where we are, and when to ask

let timer = 0, turn = 0;

async function beat() {
  clearTimeout(timer);
  const mine = ++turn, view = state.view;
  let wait = EVERY;
  try { await view.update(); wait = view.every; }
  catch (error) {
    if (mine !== turn) return;
    wait = AFTER_ERROR;
    tell(error.status === undefined ? "The server of the dashboard does not answer; trying again …" : error.message);
    if (error.status === undefined && !(error instanceof TypeError || error.name === "TimeoutError")) console.error(error);
  }
  if (mine === turn && !document.hidden) timer = setTimeout(beat, wait);
}

function route() {
  const [, key, trial] = /^#\/([0-9a-f]+)(?:\/(\d+))?$/.exec(location.hash) ?? [];
  const number = trial === undefined ? null : Number(trial);
  state.trial = number;
  if (state.view && (key ?? null) === state.key) {
    if (key) {
      state.view.showTrial(number).catch((error) => tell(error.message));
      state.view.redraw();
    }
    return;
  }
  closePanel(state.view);
  state.key = key ?? null;
  state.view = key ? runView(key) : runsView();
  scrollTo(0, 0);
  beat();
}

addEventListener("hashchange", route);
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && state.trial !== null && !document.querySelector("dialog[open]")) location.hash = `#/${state.key}`;
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) beat(); });
route();
