// What the pages do better with a script; each of them works without it.
// Loaded before the body, so that these elements are filled while the page is being laid out and nothing jumps.
"use strict";

document.documentElement.classList.add("js");

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (n) => String(n).padStart(2, "0");

// <local-time datetime="…Z" until="…Z">: the instant, or from when to when, by the visitor's clock. Says nothing where
// that clock is UTC. The offset is that of the instant itself: summer time may begin or end before it.
customElements.define("local-time", class extends HTMLElement {
  connectedCallback() {
    const at = new Date(this.getAttribute("datetime"));
    const until = new Date(this.getAttribute("until") ?? at);
    const offset = -until.getTimezoneOffset();
    if (Number.isNaN(offset) || offset === 0) return;
    const hours = Math.trunc(Math.abs(offset) / 60), minutes = Math.abs(offset) % 60;
    const zone = `UTC${offset < 0 ? "−" : "+"}${hours}${minutes ? ":" + two(minutes) : ""}`;
    const day = (one) => `${MONTHS[one.getMonth()]} ${one.getDate()}, `;
    const hour = (one) => `${two(one.getHours())}:${two(one.getMinutes())}`;
    const to = until > at ? ` to ${day(until) === day(at) ? "" : day(until)}${hour(until)}` : "";
    this.textContent = `${day(at)}${hour(at)}${to} your time (${zone})`;
  }
});

// The server's clock. A page says when it was made (now="…Z"), but it may come out of a cache or from before the
// machine slept, and the visitor's own clock may be wrong, or be put right meanwhile. So the server is asked again when
// the page did not come from it just now, when it comes back to sight, and when the two clocks that a browser has
// disagree about how much time went by.
const serverClock = {
  ahead: null, // milliseconds by which the server's clock is before the visitor's
  drift: () => Date.now() - performance.now(),
  now() { return Date.now() + this.ahead; },
  begin(madeAt) {
    if (this.ahead !== null) return;
    const [{ responseStart, transferSize, type } = {}] = performance.getEntriesByType("navigation");
    const sinceAnswer = responseStart ? performance.now() - responseStart : 0;
    this.ahead = madeAt - (Date.now() - sinceAnswer);
    this.drifted = this.drift();
    if (type === "back_forward" || transferSize === 0) this.ask();
    for (const event of ["pageshow", "online"]) addEventListener(event, ({ persisted }) => { if (persisted !== false) this.ask(); });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.ask(); });
  },
  check() { if (Math.abs(this.drift() - this.drifted) > 2000) this.ask(); },
  async ask() {
    const step = this.drift() - this.drifted; // by so much the visitor's clock was moved, or the machine slept
    this.drifted += step;
    try {
      const sent = performance.now();
      const answer = await fetch("/clock", { cache: "no-store", credentials: "omit" });
      const at = new Date((await answer.text()).trim());
      if (answer.ok && !Number.isNaN(at.getTime())) this.ahead = at - (Date.now() - (performance.now() - sent) / 2);
    } catch { /* not connected: the visitor's clock has to do */ }
    dispatchEvent(new Event("server-clock"));
  },
};

// What the server's clock changes, looked at as each of its seconds begins, all at once.
const byTheClock = {
  shown: new Set(),
  look() {
    serverClock.check();
    for (const one of byTheClock.shown) one.show(serverClock.now());
  },
  wait() {
    setTimeout(() => { byTheClock.look(); byTheClock.wait(); }, 1000 - (serverClock.now() % 1000));
  },
  begin() {
    byTheClock.wait();
    addEventListener("server-clock", byTheClock.look);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) byTheClock.look(); });
    // While the page is parsed, what the server wrote inside is still to come, and would stand beside a new text.
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", byTheClock.look, { once: true });
  },
};

class ByTheClock extends HTMLElement {
  connectedCallback() {
    const isFirst = serverClock.ahead === null;
    serverClock.begin(new Date(this.getAttribute("now")));
    byTheClock.shown.add(this);
    if (isFirst) byTheClock.begin();
    if (document.readyState !== "loading") this.show(serverClock.now());
  }
  disconnectedCallback() { byTheClock.shown.delete(this); }
  at(name) { return this.hasAttribute(name) ? new Date(this.getAttribute(name)) : null; }
}

// <time-left until="…Z" now="…Z" over="words">: counts down by the server's clock, whatever the visitor's says.
// In the same words as `span` in leaderboard/templatetags/show.py.
const inWords = (seconds) => {
  const d = Math.floor(seconds / 86400), h = Math.floor(seconds / 3600) % 24;
  const m = Math.floor(seconds / 60) % 60, s = seconds % 60;
  if (d || h) return [d && `${d} d`, `${h} h`, m && `${m} min`].filter(Boolean).join(" ");
  return m ? `${m} min ${two(s)} s` : s ? `${s} s` : "less than 1 s";
};
customElements.define("time-left", class extends ByTheClock {
  show(now) {
    const left = this.at("until") - now;
    const shown = left <= 0 ? this.getAttribute("over") : inWords(Math.floor(left / 1000));
    if (this.textContent !== shown) this.textContent = shown;
  }
});

// <during-time since="…Z" until="…Z" now="…Z">: what holds from one instant to the other, and is shown then alone.
customElements.define("during-time", class extends ByTheClock {
  show(now) {
    const since = this.at("since"), until = this.at("until");
    this.hidden = Boolean((since && now < since) || (until && now >= until));
  }
});

// <copy-button for="id">: a button that exists only where it works.
customElements.define("copy-button", class extends HTMLElement {
  connectedCallback() {
    if (this.firstChild || !navigator.clipboard) return;
    const button = document.createElement("button");
    const words = this.getAttribute("words") || "Copy";
    button.type = "button";
    button.className = "btn small";
    button.textContent = words;
    button.addEventListener("click", async () => {
      const source = document.getElementById(this.getAttribute("for"));
      await navigator.clipboard.writeText(source.value ?? source.textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = words; }, 2000);
    });
    this.append(button);
  }
});

// A part that asks for itself says since when nobody answers, and takes for an answer only what brings the part again:
// who was signed out meanwhile is sent to a page of another kind.
const notAnswered = ({ target }) => {
  const words = target.querySelector("[data-not-connected]");
  if (!words || !words.hidden) return;
  const now = new Date();
  words.querySelector("[data-since]").textContent = `${two(now.getHours())}:${two(now.getMinutes())}`;
  words.hidden = false;
  target.querySelector("[data-live]").hidden = true;
};
for (const name of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) document.addEventListener(name, notAnswered);
document.addEventListener("htmx:beforeSwap", (event) => {
  const { target, serverResponse } = event.detail;
  if (!target.querySelector("[data-not-connected]") || serverResponse.includes(`id="${target.id}"`)) return;
  event.detail.shouldSwap = false;
  notAnswered({ target });
});
document.addEventListener("htmx:afterRequest", ({ target, detail }) => {
  const words = target.querySelector("[data-not-connected]");
  if (!words || !detail.successful || detail.xhr.status !== 204) return;
  words.hidden = true;
  target.querySelector("[data-live]").hidden = false;
});

// A panel that changes is told so by a stream (server-sent events), and asks then. It asks by itself, every few seconds,
// where there is no stream: refused, broken, or between two tries.
let stream = null;
const followed = () => document.querySelector("[data-events]");
const follow = () => {
  const address = followed()?.dataset.events;
  if (stream && stream.address === address && stream.readyState !== EventSource.CLOSED) return;
  stream?.close();
  stream = null;
  if (!address) return;
  stream = Object.assign(new EventSource(address), { address });
  stream.addEventListener("change", (event) => {
    const panel = followed();
    if (panel && !panel.dataset.seen.endsWith(`-${JSON.parse(event.data).seen}`)) htmx.trigger(panel, "changed");
  });
  stream.addEventListener("end", ({ target }) => target.close());
  // A browser gives a stream up that was refused; there may be room for it later.
  stream.addEventListener("error", ({ target }) => {
    if (target.readyState === EventSource.CLOSED) setTimeout(follow, 30000);
  });
};
document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt, requestConfig } = event.detail;
  const asksByItself = elt.dataset.events && requestConfig.triggeringEvent?.type !== "changed";
  if (asksByItself && stream?.readyState === EventSource.OPEN) event.preventDefault();
});
document.addEventListener("DOMContentLoaded", follow);
document.addEventListener("htmx:afterSettle", () => { if (!followed()) follow(); });

// A panel that is swapped keeps what the reader did with it: how far a log is scrolled, what is unfolded.
// A log (.tail) opens at its end by its style, where its scrollTop is 0; above the end it is negative, and what comes
// in at the end must not move what is being read.
const kept = new Map();
const fromTop = (element) => element.matches(".tail")
  ? element.scrollHeight - element.clientHeight + element.scrollTop : element.scrollTop;
document.addEventListener("htmx:beforeSwap", () => {
  kept.clear();
  for (const element of document.querySelectorAll("[data-keep][id]")) {
    kept.set(element.id, { top: fromTop(element), atEnd: element.matches(".tail") && element.scrollTop > -4, open: element.open });
  }
});
document.addEventListener("htmx:afterSwap", () => {
  for (const [id, before] of kept) {
    const element = document.getElementById(id);
    if (!element) continue;
    if (before.open !== undefined) element.open = before.open;
    if (element.matches(".tail")) {
      element.scrollTop = before.atEnd ? 0 : before.top - (element.scrollHeight - element.clientHeight);
    } else element.scrollTop = before.top;
  }
});
