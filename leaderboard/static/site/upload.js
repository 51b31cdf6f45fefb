// The submission form with a progress bar. Without this file the form works as any form does.
// An answer that reports errors changes only what it must: typed text and the chosen file stay.
"use strict";

const form = document.getElementById("submission-form");
const file = form.elements.image;
const part = (id) => document.getElementById(id);
const decimal = (bytes) => bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e3)} kB`;

// An upload that is sent again, because no answer came, has the same ticket: the server takes it once.
let ticket = "";
const address = () => `${form.action}?ticket=${ticket}`;
const newTicket = () => { ticket = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("-"); };
window.addEventListener("pageshow", newTicket);

file.addEventListener("change", () => {
  newTicket();
  const tooLarge = file.files[0] && file.files[0].size > Number(form.dataset.maxBytes);
  file.setCustomValidity(tooLarge ? `The file has ${decimal(file.files[0].size)}; this phase takes up to ${form.dataset.maxWords}.` : "");
  if (tooLarge) file.reportValidity();
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const request = new XMLHttpRequest();
  const began = performance.now();
  let announced = -1;
  const say = (words) => { part("upload-words").textContent = words; };

  request.upload.addEventListener("progress", ({ loaded, total }) => {
    const percent = 100 * loaded / total, speed = loaded / (performance.now() - began) * 1000;
    const left = Math.round((total - loaded) / speed / 60);
    part("upload-bar").value = percent;
    say(`${decimal(loaded)} of ${decimal(total)}, ${percent.toFixed(1)} %, ${decimal(speed)}/s, ${left < 1 ? "less than a minute" : `about ${left} min`} left`);
    if (Math.floor(percent / 10) > announced) {
      announced = Math.floor(percent / 10);
      part("upload-status").textContent = `${announced * 10} % uploaded`;
    }
  });
  request.upload.addEventListener("load", () => say("The upload is complete. The server is checking the form."));
  request.addEventListener("load", () => {
    if (request.status === 507 && showErrors(request.responseText)) { busy(false); return; }
    if (request.status >= 500) { askWhatBecameOfIt(`The server answered ${request.status}.`); return; }
    if (request.status < 300) { location.assign(request.responseURL); return; }
    busy(false);
    if (request.status === 422 && showErrors(request.responseText)) return;
    if (request.status === 422) { location.reload(); return; }  // the form itself is not offered any more: its address says why
    fail(wordsOf(request.responseText) || `The server answered ${request.status}. Nothing was submitted. Try again.`);
  });
  request.addEventListener("error", () => askWhatBecameOfIt("The connection was lost."));
  request.addEventListener("abort", () => { busy(false); fail("You stopped the upload. Nothing was submitted."); });
  part("upload-stop").onclick = () => request.abort();

  part("upload-name").textContent = file.files[0] ? file.files[0].name : "";
  part("upload-bar").value = 0;
  say("Starting");
  busy(true);
  request.open("POST", address());
  request.send(new FormData(form));
});

function busy(is) {
  part("upload").hidden = !is;
  part("submit-button").disabled = is;
}

// The server may have accepted the upload and died before it could say so.
async function askWhatBecameOfIt(what) {
  try {
    const answer = await fetch(address());
    if (/\/runs\/\d+\/$/.test(answer.url)) { location.assign(answer.url); return; }
    fail(`${what} ${answer.ok ? "Nothing was submitted. " : ""}Your text and the chosen file are still here: try again. It never counts twice.`);
  } catch {
    fail(`${what} Your text and the chosen file are still here: try again. If it had arrived, it does not count twice.`);
  } finally {
    busy(false);
  }
}

function fail(words) {
  const note = document.createElement("div"), kind = document.createElement("p"), text = document.createElement("p");
  note.className = "note is-bad";
  kind.className = "kind";
  kind.textContent = "Not submitted";
  text.textContent = words;
  note.append(kind, text);
  part("summary").replaceChildren(note);
  part("summary").focus();
}

// What a page of the server's says under its heading: too slow, too many at once, too large.
function wordsOf(html) {
  const lede = new DOMParser().parseFromString(html, "text/html").querySelector(".lede");
  return lede ? lede.textContent.trim().replace(/\s+/g, " ") : "";
}

// The server sent the whole page with its errors: take over each field's errors, and nothing else. False if it did not.
function showErrors(html) {
  const answer = new DOMParser().parseFromString(html, "text/html");
  const theirs = answer.getElementById("submission-form");
  if (!theirs) return false;
  part("summary").replaceChildren(...answer.getElementById("summary").childNodes);
  for (const field of form.querySelectorAll("[data-field]")) {
    const twin = theirs.querySelector(`[data-field="${field.dataset.field}"]`);
    field.className = twin.className;
    field.querySelectorAll(".errors").forEach((old) => old.remove());
    const errors = twin.querySelector(".errors");
    if (errors) field.querySelector("label, legend").after(errors);
    for (const input of field.querySelectorAll("input, textarea")) {
      const other = twin.querySelector(`#${CSS.escape(input.id)}`);
      for (const name of ["aria-invalid", "aria-describedby"]) {
        if (other && other.hasAttribute(name)) input.setAttribute(name, other.getAttribute(name));
        else input.removeAttribute(name);
      }
    }
  }
  part("summary").focus();
  return true;
}
