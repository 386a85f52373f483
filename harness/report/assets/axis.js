// The stretch of time in view, shared by a result's timeline and plots. Seconds since the run's first event.

const NARROWEST = 20e-6;

class Axis {
  constructor(end) {
    this.end = Math.max(end * 1.005, 0.01);
    this.min = 0;
    this.max = this.end;
    this.listeners = [];
  }

  listen(callback) { this.listeners.push(callback); }

  set(min, max) {
    const width = Math.min(Math.max(max - min, NARROWEST), this.end);
    const start = Math.min(Math.max(min, 0), this.end - width);
    if (start === this.min && start + width === this.max) return;
    this.min = start;
    this.max = start + width;
    for (const callback of this.listeners) callback();
  }

  zoom(factor, at = (this.min + this.max) / 2) {
    this.set(at - (at - this.min) * factor, at + (this.max - at) * factor);
  }

  pan(seconds) { this.set(this.min + seconds, this.max + seconds); }

  reset() { this.set(0, this.end); }

  // Show [from, to] with some room around it.
  reveal(from, to) {
    const room = Math.max((to - from) * 0.15, 0.01);
    this.set(from - room, to + room);
  }

  // Round moments in view, about `count` of them.
  ticks(count) {
    const rough = (this.max - this.min) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((factor) => power * factor >= rough);
    const first = Math.ceil(this.min / step);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const list = [];
    for (let i = first; i * step <= this.max && list.length < 100; i++) list.push([i * step, (i * step).toFixed(digits)]);
    return list;
  }
}
