// The submission form with a draft that is kept as it is typed, and an upload that goes on where it stopped.
// Without this file the form works as any form does. The uploads' protocol is tus 1.0, spoken by tus-js-client.
"use strict";

const form = document.getElementById("submission-form");
const file = form.elements.image;
const part = (id) => document.getElementById(id);
// As containers/protocol/sizes.py says them: in three digits, and what rounds to a whole unit in that one.
const digits = (value) => value < 10 ? 2 : value < 100 ? 1 : 0;
function decimal(bytes) {
  if (bytes === 1) return "1 byte";
  if (bytes < 1000) return `${Math.round(bytes)} bytes`;
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let power = 1;
  const scaled = () => bytes / 1000 ** power;
  while (Number(scaled().toFixed(digits(scaled()))) >= 1000 && power < 4) power++;
  return `${Number(scaled().toFixed(digits(scaled())))} ${units[power]}`;
}
const instant = (text) => `${new Date(text).toLocaleDateString("en-US", { month: "short", day: "numeric", year: "numeric", timeZone: "UTC" })} ${new Date(text).toISOString().slice(11, 16)} UTC`;
const token = () => form.elements.csrfmiddlewaretoken.value;

const FIRST_PIECE = 64 << 10, LEAST_PIECE = 256 << 10, LARGEST_PIECE = 16 << 20, SECONDS_A_PIECE = 3;
const SAVE_AFTER = 800, RETRY_SECONDS = [1, 2, 4, 8, 15, 30];

// --- the draft ----------------------------------------------------------------------------------------------------

let draft = form.dataset.draft || "";  // its address; none until there is something to keep
let known = null;  // what the server last said of it
let saving = Promise.resolve(), timer = 0, unsaved = false;

const files = ["image", "weights_file", "pdf"];
const words = () => { const data = new FormData(form); files.forEach((name) => data.delete(name)); return data; };

async function post(address, body = words()) {
  return fetch(address, { method: "POST", body, headers: { "X-CSRFToken": token(), "X-Requested-With": "fetch" } });
}

async function keep() {
  clearTimeout(timer);
  const before = saving;
  saving = (async () => {
    await before.catch(() => {});
    unsaved = false;
    const answer = await post(draft || form.dataset.begin);
    const said = await answer.json();
    if (said.refusal && !said.draft) throw Object.assign(new Error(said.refusal), { isFinal: true });
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
    if (!draft) {
      draft = `/drafts/${said.draft}/`;
      history.replaceState(null, "", `?draft=${said.draft}`);
    }
    known = said;
    saved(said.sent ? "Submitted already: take it back to change it." : `Saved ${new Date(said.saved_at).toISOString().slice(11, 16)} UTC.`);
  })();
  return saving;
}

function saved(text) { part("draft-saved").textContent = text; }

form.addEventListener("input", (event) => {
  if (event.target.type === "file") return;
  unsaved = true;
  clearTimeout(timer);
  timer = setTimeout(() => keep().catch((error) => { unsaved = true; saved(`Not saved: ${error.message}`); }), SAVE_AFTER);
});
addEventListener("pagehide", () => {
  if (unsaved && draft) { const data = words(); navigator.sendBeacon(draft, data); }
});
addEventListener("beforeunload", (event) => { if (upload && !upload.done) event.preventDefault(); });

// --- the file -----------------------------------------------------------------------------------------------------

let upload = null;  // what is under way: {client, done, samples}
let starting = Promise.resolve();  // until the server expects the chosen file, or has refused it

async function sha256(blob) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
  return hash;
}
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const base64 = (bytes) => btoa(String.fromCharCode(...bytes));

// By this a file is known when it is chosen again: its length, its first and its last bytes.
async function fingerprintOf(chosen) {
  if (!crypto.subtle) return `${chosen.size}-${chosen.lastModified}`;
  return hex(await sha256(new Blob([String(chosen.size), chosen.slice(0, 1 << 20), chosen.slice(-(1 << 20))])));
}

// tus-js-client sends pieces as they are; this says of each what its hash is, so that a byte that changed on its way
// is noticed now and not after hours.
class CheckedStack {
  constructor() { this.inner = new tus.DefaultHttpStack(); }
  getName() { return "checked"; }
  createRequest(method, address) {
    const request = this.inner.createRequest(method, address), send = request.send.bind(request);
    request.send = async (body) => {
      if (body && method === "PATCH" && crypto.subtle) request.setHeader("Upload-Checksum", `sha256 ${base64(await sha256(body))}`);
      return send(body);
    };
    return request;
  }
}

// What is handed in by the main file, as the form says now.
const isOfMasks = () => (form.elements.entry ? form.elements.entry.value : form.dataset.takes) === "masks";

function refuseLarge(chosen, most) {
  if (chosen.size > Number(most)) throw new Error(`The file has ${decimal(chosen.size)}; this phase takes up to ${decimal(Number(most))}.`);
}

// What it surely is by its first bytes, and is not wanted for, is said before any of it is sent.
async function refuseAnother(chosen, wanted) {
  const found = await beginnings.whatBeginsSo(chosen), words = JSON.parse(form.dataset.sentAsAnother)[`${wanted}: ${found}`];
  if (words) throw new Error(words);
}

async function start(chosen) {
  stop();
  if (part("source")) part("source").hidden = true;  // this file takes the place of the image that is here
  say("Starting");
  panel("run", chosen.name);
  try {
    refuseLarge(chosen, isOfMasks() ? form.dataset.maxMasks : form.dataset.maxImage);
    await refuseAnother(chosen, isOfMasks() ? "masks" : "image");
    await keep();
    const fingerprint = await fingerprintOf(chosen), here = known.upload;
    const same = here && here.length === chosen.size && here.fingerprint === fingerprint;
    remember(chosen);
    if (same && here.digest) { complete(); return; }
    await begin(chosen, fingerprint, same ? here.address : null);
  } catch (error) {
    failed(error.message);
  }
}

// Resolved when the server expects the file, or will not.
function begin(chosen, fingerprint, address) {
  const mine = upload = { done: false, samples: [], began: 0, client: null };
  const expected = new Promise((resolve) => { mine.expected = resolve; });
  const options = {
    endpoint: known.begin_upload, uploadUrl: address, chunkSize: FIRST_PIECE, httpStack: new CheckedStack(), storeFingerprintForResuming: false,
    headers: { "X-CSRFToken": token() }, metadata: { filename: chosen.name, fingerprint }, retryDelays: null,
    onBeforeRequest: () => { mine.began = performance.now(); },
    onProgress: (sent, total) => { if (mine === upload) progress(mine, sent, total); },
    onChunkComplete: (size) => {
      mine.tries = 0;
      // Pieces of some seconds: what a lost connection costs is little, and so is what each piece costs.
      const seconds = Math.max(.05, (performance.now() - mine.began) / 1000);
      mine.client.options.chunkSize = Math.max(LEAST_PIECE, Math.min(LARGEST_PIECE, Math.round(size / seconds * SECONDS_A_PIECE)));
    },
    onUploadUrlAvailable: () => mine.expected(),
    onSuccess: () => { if (mine === upload) complete(); },
    onError: (error) => { mine.expected(); if (mine === upload) again(mine, error); },
  };
  mine.client = new tus.Upload(chosen, options);
  mine.client.start();
  return expected;
}

// What passes by itself is tried again for as long as the page is open; what does not is said.
function again(mine, error) {
  const answer = error.originalResponse, status = answer ? answer.getStatus() : 0;
  const passes = !status || status >= 500 && status !== 507 || [408, 409, 423, 429, 460].includes(status);
  if (!passes) {
    failed(answer.getBody() || `The server answered ${status}.`);
    if ([404, 410, 422].includes(status)) refresh();
    return;
  }
  mine.tries = (mine.tries || 0) + 1;
  const wait = RETRY_SECONDS[Math.min(mine.tries, RETRY_SECONDS.length) - 1];
  const at = new Date().toISOString().slice(11, 16);
  panel("warn");
  say(`${status ? `The server answered ${status}` : "The connection was lost"} at ${at} UTC. What the server has is safe; we try again in ${wait} s.`);
  mine.retry = () => { clearTimeout(mine.timer); if (mine === upload) { panel("run"); mine.client.start(); } };
  mine.timer = setTimeout(mine.retry, wait * 1000);
}
addEventListener("online", () => upload && upload.retry && !upload.done && upload.retry());
part("upload-retry").addEventListener("click", () => upload && upload.retry && upload.retry());

function stop() {
  if (!upload) return;
  clearTimeout(upload.timer);
  const client = upload.client;
  upload = null;
  if (client) client.abort();
}
part("upload-stop").addEventListener("click", () => {
  stop();
  panel("held");
  refresh();
});
part("upload-resume").addEventListener("click", async () => {
  const kept = file.files[0] || await find();
  if (kept) start(kept); else file.click();
});

function progress(mine, sent, total) {
  const now = performance.now();
  mine.samples = [...mine.samples.filter(([at]) => now - at < 10000), [now, sent]];
  const [[first, from]] = mine.samples, speed = now > first ? (sent - from) / (now - first) * 1000 : 0;
  const percent = 100 * sent / total, left = speed > 0 ? (total - sent) / speed : Infinity;
  panel("run");
  part("upload-bar").value = percent;
  part("upload-words").textContent = "";
  const minutes = Math.round(left / 60);
  readout([[`of ${decimal(total)}`, decimal(sent)], ["done", `${percent.toFixed(1)} %`], ["speed, last 10 s", `${decimal(speed)}/s`],
    ["left", !Number.isFinite(left) ? "…" : minutes < 1 ? "< 1 min" : minutes < 120 ? `about ${minutes} min` : `about ${(left / 3600).toFixed(1)} h`]]);
}

function readout(facts) {
  part("upload-facts").replaceChildren(...facts.map(([name, value]) => {
    const pair = document.createElement("div"), dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name; dd.textContent = value;
    pair.append(dt, dd);
    return pair;
  }));
}

async function complete() {
  if (upload) upload.done = true;
  panel("ok");
  readout([]);
  part("upload-bar").value = 100;
  await refresh();
}

function failed(text) {
  stop();
  panel("bad");
  readout([]);
  say(text);
  announce(`${STATES.bad}: ${text}`);
}

const say = (text) => { part("upload-words").textContent = text; };
// To screen readers each state once, and nothing of the last one when another began.
function announce(text) { if (part("upload-status").textContent !== text) part("upload-status").textContent = text; }
const STATES = { run: "Uploading", warn: "Waiting for the connection", held: "Not complete", ok: "Complete", bad: "Not uploaded" };
function panel(state, name) {
  part("upload").hidden = false;
  if (name) part("upload-name").textContent = name;
  part("upload-state").textContent = STATES[state];
  if (state !== "bad") announce(`${part("upload-name").textContent}: ${STATES[state]}`);
  part("upload-bar").hidden = state === "bad" || state === "ok";
  part("upload-stop").hidden = state !== "run" && state !== "warn";
  part("upload-retry").hidden = state !== "warn";
  part("upload-resume").hidden = state !== "held";
}

// --- what the server knows of it ------------------------------------------------------------------------------------

async function refresh() {
  if (!draft) return false;
  const answer = await fetch(draft, { headers: { Accept: "application/json" } });
  if (!answer.ok) return false;
  const said = await answer.json();
  if (said.submission) { forget(); unsaved = false; upload = null; location.assign(said.submission); return true; }
  known = said;
  document.dispatchEvent(new Event("draft-known"));
  const here = said.upload;
  if (said.refusal) fail(`When it was last submitted: ${said.refusal}`);
  part("sent").hidden = !said.sent;
  part("submit-button").disabled = said.sent;
  if (!here || upload && !upload.done) return false;
  if (here.digest) {
    panel("ok", here.name);
    say(`${decimal(here.length)} are here and whole. Compare with sha256sum: ${here.digest.slice(7)}`);
  } else if (!upload) {
    panel("held", here.name);
    part("upload-bar").value = 100 * here.received / here.length;
    say(`${decimal(here.received)} of ${decimal(here.length)} are safe on the server until ${instant(here.expires_at)}. ${file.files[0] ? "Press “Go on”" : "Choose the same file again"} and it goes on there.`);
  }
  return false;
}

// --- the file of before a reload -------------------------------------------------------------------------------------

const keeper = navigator.serviceWorker ? navigator.serviceWorker.register(form.dataset.keeper).then(async (registration) => {
  const worker = registration.active || registration.waiting || registration.installing;
  if (worker.state !== "activated") await new Promise((resolve) => worker.addEventListener("statechange", () => worker.state === "activated" && resolve()));
  return registration.active;
}).catch(() => null) : Promise.resolve(null);

async function remember(chosen) {
  const worker = await keeper;
  if (worker) worker.postMessage({ keep: draft, file: chosen });
}
async function forget() { const worker = await keeper; if (worker) worker.postMessage({ forget: draft }); }
async function find() {
  const worker = await keeper;
  if (!worker || !draft) return null;
  const channel = new MessageChannel();
  const found = new Promise((resolve) => { channel.port1.onmessage = ({ data }) => resolve(data); setTimeout(() => resolve(null), 2000); });
  worker.postMessage({ find: draft }, [channel.port2]);
  return found;
}
setInterval(async () => { if (upload && !upload.done) { const worker = await keeper; if (worker) worker.postMessage({ ping: true }); } }, 10000);

setInterval(() => { if (known && known.sent && !(upload && !upload.done)) refresh(); }, 5000);

// --- Submit ---------------------------------------------------------------------------------------------------------

// Masks are not tried out: the choice that stays is the other one.
function chooseRunForMasks() {
  const chosen = form.querySelector('[name="kind"]:checked'), other = form.querySelector('[name="kind"]:not([value="try_out"]):not(:disabled)');
  if (isOfMasks() && chosen && chosen.value === "try_out" && other) other.checked = true;
}

// What was refused for being another thing than was said is sent once the right thing is said.
form.addEventListener("change", (event) => {
  if (event.target.name !== "entry") return;
  chooseRunForMasks();
  if (file.files[0]) starting = start(file.files[0]);  // it is looked at again, and goes on where it was
});
file.addEventListener("change", () => { if (file.files[0]) starting = start(file.files[0]); });

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  part("submit-button").disabled = true;
  try {
    await starting;
    if (!draft || unsaved) await keep();
    const answer = await post(`${draft}send/`);
    if (answer.status === 422 && showErrors(await answer.text())) { refresh(); return; }
    if (answer.redirected) { location.assign(answer.url); return; }
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
    part("summary").replaceChildren();
    await refresh();
  } catch (error) {
    // It may have been accepted by a server that died before it could say so.
    if (await refresh().catch(() => false)) return;
    fail(error.isFinal ? error.message : `${error.message} Your text is still here: try again. It never counts twice.`);
  } finally {
    part("submit-button").disabled = Boolean(known && known.sent);
  }
});

part("take-back").addEventListener("click", async () => {
  try {
    const answer = await post(`${draft}take-back/`);
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
    saved("");
    await refresh();  // which its last byte may just have handed in
  } catch (error) {
    saved(`Not taken back: ${error.message}`);
  }
});

function fail(text) {
  const note = document.createElement("div"), kind = document.createElement("p"), body = document.createElement("p");
  note.className = "note is-bad";
  kind.className = "kind";
  kind.textContent = "Not submitted";
  body.textContent = text;
  note.append(kind, body);
  part("summary").replaceChildren(note);
  part("summary").focus();
}

// The server sent the whole page with its errors: take over each field's errors, and nothing else. False if it did not.
function showErrors(html) {
  const answer = new DOMParser().parseFromString(html, "text/html");
  const theirs = answer.getElementById("submission-form");
  if (!theirs) return false;
  const summary = answer.getElementById("summary");
  // The focus is moved below; a browser that is asked twice says that it did not.
  summary.querySelectorAll("[autofocus]").forEach((one) => one.removeAttribute("autofocus"));
  part("summary").replaceChildren(...summary.childNodes);
  for (const field of form.querySelectorAll("[data-field]")) {
    const twin = theirs.querySelector(`[data-field="${field.dataset.field}"]`);
    if (!twin) continue;  // the phase asks for it no more
    field.className = twin.className;
    field.querySelectorAll(".errors").forEach((old) => old.remove());
    const errors = twin.querySelector(".errors");
    if (errors) field.querySelector("label, legend").after(errors);
    for (const input of field.querySelectorAll("input[id], textarea[id]")) {
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

// --- errors that were put right ---------------------------------------------------------------------------------------

// A field whose error was shown is clear again as soon as the browser finds it filled in: then nothing of it is left,
// in the summary neither. What only the server can judge is judged again at Submit.
function clearErrors(field) {
  const inputs = [...field.querySelectorAll("input, textarea")], errors = field.querySelector(".errors");
  if (!errors || !inputs.every((input) => input.validity.valid)) return;
  errors.remove();
  field.classList.remove("wrong", "choices-bad");
  for (const input of inputs) {
    input.removeAttribute("aria-invalid");
    const others = (input.getAttribute("aria-describedby") || "").split(" ").filter((id) => id !== errors.id).join(" ");
    if (others) input.setAttribute("aria-describedby", others); else input.removeAttribute("aria-describedby");
  }
  const summary = part("summary"), ids = [field.id, ...inputs.map((input) => input.id)].filter(Boolean);
  for (const link of summary.querySelectorAll("a")) if (ids.includes(link.hash.slice(1))) link.closest("p").remove();
  if (!summary.querySelector("p:not(.kind)")) summary.replaceChildren();
}
for (const name of ["input", "change"]) {
  form.addEventListener(name, ({ target }) => {
    const field = target.closest("[data-field]");
    if (field) clearErrors(field);
    if (field && field.dataset.field === "weights_file") clearErrors(part("id_weights"));  // where it says to choose one
  });
}

// --- a page that is opened on a draft ---------------------------------------------------------------------------------

file.required = false;
(async () => {
  await refresh();
  const kept = known && known.upload && !known.upload.digest ? await find() : null;
  if (kept) start(kept);
})();
