// What the pages do better with a script; each of them works without it.
// Loaded before the body, so that these elements are filled while the page is being laid out and nothing jumps.
"use strict";

document.documentElement.classList.add("js");

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (n) => String(n).padStart(2, "0");

// <local-time datetime="…Z">: the instant by the visitor's clock. Says nothing where that clock is UTC.
customElements.define("local-time", class extends HTMLElement {
  connectedCallback() {
    const at = new Date(this.getAttribute("datetime"));
    const offset = -at.getTimezoneOffset();
    if (Number.isNaN(offset) || offset === 0) return;
    const hours = Math.trunc(Math.abs(offset) / 60), minutes = Math.abs(offset) % 60;
    const zone = `UTC${offset < 0 ? "−" : "+"}${hours}${minutes ? ":" + two(minutes) : ""}`;
    this.textContent = `${MONTHS[at.getMonth()]} ${at.getDate()}, ${two(at.getHours())}:${two(at.getMinutes())} your time (${zone})`;
  }
});

// <time-left until="…Z" now="…Z">: counts down by the server's clock, whatever the visitor's says.
customElements.define("time-left", class extends HTMLElement {
  connectedCallback() {
    const ahead = new Date(this.getAttribute("now")) - Date.now();
    const until = new Date(this.getAttribute("until"));
    const show = () => {
      const minutes = Math.floor((until - Date.now() - ahead) / 60000);
      if (minutes < 1) { this.textContent = minutes < 0 ? "no time" : "less than 1 min"; return; }
      const d = Math.floor(minutes / 1440), h = Math.floor(minutes / 60) % 24, m = minutes % 60;
      this.textContent = [d && `${d} d`, (d || h) && `${h} h`, (m || !(d || h)) && `${m} min`].filter(Boolean).join(" ");
    };
    this.timer = setInterval(show, 10000);
  }
  disconnectedCallback() { clearInterval(this.timer); }
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
