// Everything within two seconds of a finding: operations, faults, roles and log lines, in the order of time.

const NEAR_S = 2;
const PAGE_ROWS = 60;

const around = (result, timeline, t, wanted) => {
  const { data } = timeline;
  const [from, to] = [t - NEAR_S, t + NEAR_S];
  const rows = [];
  data.start.forEach((us, i) => {
    if (us / 1e6 > to || (us + data.length[i]) / 1e6 < from || (wanted && !wanted[i])) return;
    rows.push({ t: us / 1e6, who: data.lanes[data.lane[i]].name, what: timeline.told(i), task: data.task[i], sort: "op", i });
  });
  for (const fault of result.faults) {
    const whom = fault.struck.join(", ") || fault.target;
    if (fault.start >= from && fault.start <= to) rows.push({ t: fault.start, who: "nemesis", what: `▲ ${fault.kind} strikes ${whom}`, sort: "fault" });
    if (fault.end !== null && fault.end >= from && fault.end <= to) rows.push({ t: fault.end, who: "nemesis", what: `△ ${fault.kind} of ${whom} is over`, sort: "fault" });
  }
  for (const change of roleChanges(result)) if (change.t >= from && change.t <= to) rows.push({ ...change, sort: "role" });
  for (const log of result.logs) {
    for (const [at, text] of log.lines) if (at !== null && at >= from && at <= to) rows.push({ t: at, who: log.name, what: text, sort: "log" });
  }
  return rows.sort((a, b) => a.t - b.t);
};

const SORTS = [["all", "all"], ["op", "operations", "operation"], ["fault", "faults", "event of a fault", "events of faults"],
  ["role", "roles", "change of a role", "changes of roles"], ["log", "logs", "log line"]];

// A panel that is filled when it is first opened; pages open on the moment of the finding.
const aroundOf = (result, timeline, selection, finding, filter) => {
  if (finding.t === null || !timeline) return null;
  const t = finding.t;
  const holder = h("div");
  let sort = "all";
  let page = null;
  const draw = () => {
    const all = around(result, timeline, t, filter.wanted);
    const rows = sort === "all" ? all : all.filter((row) => row.sort === sort);
    const pages = Math.max(1, Math.ceil(rows.length / PAGE_ROWS));
    const first = rows.findIndex((row) => row.t >= t);
    page ??= Math.floor(Math.max(0, (first < 0 ? rows.length - 1 : first) - PAGE_ROWS / 2) / PAGE_ROWS);
    page = Math.min(page, pages - 1);
    const counts = SORTS.slice(1).map(([name, , one, many]) => {
      const count = all.filter((row) => row.sort === name).length;
      return count === 1 || !many ? plural(count, one) : `${number(count)} ${many}`;
    });
    const body = rows.slice(page * PAGE_ROWS, (page + 1) * PAGE_ROWS).map((row) =>
      h(`tr.around-${row.sort}${finding.tasks.includes(row.task) ? ".evidence" : ""}`, null,
        h("td.n", null, `${row.t < t ? "−" : "+"}${Math.abs(row.t - t).toFixed(3)}`), h("td.n", null, moment(row.t)),
        h("td.mono", null, row.who), h("td", null, row.what)));
    const here = h("tr.here", null, h("td", { colspan: "4" }, `▼ ${moment(t)}: the finding`));
    const offset = first < 0 ? rows.length : first;
    if (offset >= page * PAGE_ROWS && offset <= (page + 1) * PAGE_ROWS) body.splice(offset - page * PAGE_ROWS, 0, here);
    const turn = (by, words) => button(words, () => { page += by; draw(); }, { disabled: page + by < 0 || page + by >= pages });
    holder.replaceChildren(
      h("div.tools", null,
        SORTS.map(([name, words]) => button(words, () => { sort = name; page = null; draw(); }, { "aria-pressed": String(sort === name) })),
        turn(-1, "‹ earlier"), turn(1, "later ›"), h("span.quiet", null, `page ${page + 1} of ${pages}`)),
      h("p.quiet", { role: "status" }, `${counts.join(", ")}${selection.query && `; operations as filtered: ${selection.query}`}`),
      table([["from it, s", true], ["time", true], ["who"], ["what"]], body, "Everything within 2 s of the finding"));
    const box = holder.querySelector(".scroll");
    box.scrollTop = here.offsetTop - box.clientHeight / 2;
  };
  const node = h("details.small.around", null, h("summary", null, `Everything within ± ${NEAR_S} s of it`), holder);
  node.addEventListener("toggle", () => { if (node.open) draw(); });
  selection.on("query", () => { if (node.open && node.isConnected) { page = null; draw(); } });
  return node;
};
