// What is chosen of one result, and its place in the address, so that whoever gets the address sees the same.

class Selection {
  constructor(result, axis) {
    this.result = result;
    this.axis = axis;
    this.chosen = null;
    this.query = "";
    this.listeners = { choose: [], query: [] };
    // Every listed finding, and the moments of those that are not, in the order of time.
    this.stops = result.clusters.flatMap((cluster, c) => cluster.findings.map((finding, f) => ({ cluster, finding, c, f, t: finding.t })));
    const listed = new Set(this.stops.map((stop) => stop.t));
    const unlisted = result.timeline.findings.filter((t) => !listed.has(t)).map((t) => ({ t }));
    this.inTime = [...this.stops.filter((stop) => stop.t !== null), ...unlisted].sort((a, b) => a.t - b.t);
    axis.listen(() => this.tell());
  }

  on(name, callback) { this.listeners[name].push(callback); }

  emit(name) {
    for (const callback of this.listeners[name]) callback();
    this.tell();
  }

  choose(stop) {
    if (!stop || this.chosen === stop) return;
    this.chosen = stop;
    this.emit("choose");
  }

  setQuery(query) {
    if (query === this.query) return;
    this.query = query;
    this.emit("query");
  }

  // The finding after or before the chosen one. The first press of a key goes to the chosen one itself.
  next(direction) {
    if (!this.inTime.length) return null;
    const at = this.inTime.indexOf(this.jumped ? this.chosen ?? this.jumped : null);
    let stop = this.inTime.at((at + direction + this.inTime.length) % this.inTime.length);
    if (!this.jumped) stop = this.inTime.includes(this.chosen) ? this.chosen : this.inTime.at(direction > 0 ? 0 : -1);
    this.jumped = stop;
    return stop;
  }

  // The address is told once things have come to rest, and only where a person has moved something.
  tell() {
    if (!this.ready) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => history.replaceState(null, "", this.address()), 120);
  }

  address() {
    const { axis } = this;
    const parts = new URLSearchParams();
    if (this.chosen?.finding) parts.set("finding", `${this.chosen.c}.${this.chosen.f}`);
    if (axis.min > 0 || axis.max < axis.end) {
      parts.set("from", axis.min.toFixed(6));
      parts.set("to", axis.max.toFixed(6));
    }
    if (this.query) parts.set("filter", this.query);
    const rest = parts.toString();
    return `#${this.result.id}${rest && `&${rest}`}`;
  }

  // Take over what an address says; what is none of ours in it is passed over.
  restore(text) {
    const parts = new URLSearchParams(text);
    const [c, f] = (parts.get("finding") || "").split(".").map(Number);
    const stop = this.stops.find((each) => each.c === c && each.f === f);
    this.choose(stop);
    this.setQuery(parts.get("filter") || "");
    const [from, to] = [Number(parts.get("from")), Number(parts.get("to"))];
    if (to > from) this.axis.set(from, to);
  }
}
