// `task:17 worker:consumer-1 op:dequeue anomaly:lost !op:execute`: which operations a reader wants to see.

const FIELDS = ["task", "worker", "op", "anomaly"];

const tasksByAnomaly = (result) => {
  const tasks = new Map();
  for (const cluster of result.clusters) {
    const set = tasks.get(cluster.anomaly) || new Set();
    for (const finding of cluster.findings) for (const task of finding.tasks) set.add(task);
    tasks.set(cluster.anomaly, set);
  }
  return tasks;
};

// A function of a span's index that says whether it is wanted, with what is wrong with the query's words; null for all.
const filterOf = (query, result) => {
  const { lanes, lane, kinds, kind, task } = result.timeline;
  const anomalies = tasksByAnomaly(result);
  const wrong = [];
  const terms = (query.match(/\S+/g) || []).map((word) => {
    const not = word.startsWith("!");
    const bare = not ? word.slice(1) : word;
    const [, field, value] = /^(?:([a-z]+):)?(.*)$/s.exec(bare.toLowerCase());
    const holds = {
      task: (i) => String(task[i]) === value,
      worker: (i) => lanes[lane[i]].name.toLowerCase().includes(value),
      op: (i) => kinds[kind[i]].replaceAll("_", "-").startsWith(value.replaceAll("_", "-")),
      anomaly: (i) => [...anomalies].some(([name, tasks]) => name.replaceAll(" ", "-").startsWith(value.replaceAll("_", "-")) && tasks.has(task[i])),
    };
    if (field && !FIELDS.includes(field)) {
      wrong.push(`“${field}:” is no field; there are ${FIELDS.map((name) => `${name}:`).join(" ")}`);
      return () => true;
    }
    if (field && !value) return () => true;
    const one = field ? holds[field] : (i) => FIELDS.some((name) => holds[name](i));
    return not ? (i) => !one(i) : one;
  });
  if (!terms.length) return { test: null, wrong };
  return { test: (i) => terms.every((term) => term(i)), wrong };
};

class FilterBox {
  constructor(result, selection) {
    Object.assign(this, { result, selection });
    this.input = h("input.filter", {
      type: "search", "aria-label": "Filter operations", spellcheck: "false", autocomplete: "off",
      placeholder: "filter: task:17 worker:consumer-1 op:dequeue anomaly:lost !op:execute",
      oninput: () => selection.setQuery(this.input.value),
    });
    this.words = h("span.quiet.found", { role: "status" });
    this.node = h("div.tools", null, h("label.grow", null, this.input), this.words);
    selection.on("query", () => this.apply());
    this.wanted = null;
  }

  apply() {
    const { query } = this.selection;
    if (this.input.value !== query) this.input.value = query;
    const { test, wrong } = filterOf(query, this.result);
    const count = this.result.timeline.start.length;
    this.wanted = test && Uint8Array.from({ length: count }, (_, i) => (test(i) ? 1 : 0));
    const kept = this.wanted ? this.wanted.reduce((sum, each) => sum + each, 0) : count;
    this.words.textContent = wrong.length ? wrong.join("; ") : query ? `${number(kept)} of ${plural(count, "operation")}` : "";
  }
}
