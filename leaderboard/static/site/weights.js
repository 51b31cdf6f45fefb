// The archive of weights that comes beside an image: sent by the same protocol, with the helpers of upload.js.
// It goes on after a lost line by itself, and after a reload when the same file is chosen again.
"use strict";

(() => {
  const input = form.elements.weights_file, choose = form.querySelector('[name="weights"][value="upload"]');
  const PIECE = 8 << 20, RETRIES = [...RETRY_SECONDS, ...Array(1000).fill(30)].map((seconds) => seconds * 1000);
  let client = null, marks = [];
  // Each state is announced once, and not each percent.
  const tell = (text, announced = text) => {
    part("weights-words").textContent = text;
    if (part("weights-status").textContent !== announced) part("weights-status").textContent = announced;
  };

  function show(name, percent) {
    part("weights").hidden = false;
    part("weights-name").textContent = name;
    part("weights-bar").hidden = percent === null;
    part("weights-bar").value = percent || 0;
  }

  function stop() {
    if (client) client.abort();
    client = null;
  }

  async function send(chosen) {
    stop();
    choose.checked = true;
    show(chosen.name, 0);
    tell("Starting");
    try {
      refuseLarge(chosen, form.dataset.maxImage);
      await refuseAnother(chosen, "weights");
      await keep();
      const fingerprint = await fingerprintOf(chosen), here = known.weights;
      const same = here && here.length === chosen.size && here.fingerprint === fingerprint;
      if (same && here.digest) await refresh();
      else await begin(chosen, fingerprint, same ? here.address : null);
    } catch (error) {
      failed(error.message);
    }
  }

  // Resolved when the server expects the file, or will not.
  function begin(chosen, fingerprint, address) {
    return new Promise((expected) => {
      marks = [];
      const mine = client = new tus.Upload(chosen, {
        endpoint: known.begin_upload, uploadUrl: address, chunkSize: PIECE, httpStack: new CheckedStack(),
        storeFingerprintForResuming: false, headers: { "X-CSRFToken": token() }, retryDelays: RETRIES,
        metadata: { filename: chosen.name, fingerprint, part: "weights" },
        onShouldRetry: (error) => {
          const status = error.originalResponse ? error.originalResponse.getStatus() : 0;
          const passes = !status || status >= 500 && status !== 507 || [408, 409, 423, 429, 460].includes(status);
          if (passes && mine === client) tell("The connection was lost. What the server has is safe; we try again by ourselves.");
          return passes;
        },
        onUploadUrlAvailable: expected,
        onProgress: (sent, total) => { if (mine === client) progress(sent, total); },
        onSuccess: () => { if (mine === client) { client = null; refresh(); } },
        onError: (error) => {
          expected();
          if (mine === client) failed(error.originalResponse ? error.originalResponse.getBody() : error.message);
        },
      });
      mine.start();
    });
  }

  function progress(sent, total) {
    const now = performance.now();
    marks = [...marks.filter(([at]) => now - at < 10000), [now, sent]];
    const [[first, from]] = marks, speed = now > first ? (sent - from) / (now - first) * 1000 : 0;
    const left = speed > 0 ? `, about ${Math.max(1, Math.round((total - sent) / speed / 60))} min left` : "";
    part("weights-bar").value = 100 * sent / total;
    tell(`${decimal(sent)} of ${decimal(total)}, ${decimal(speed)}/s${left}`, "Uploading the weights");
  }

  function failed(text) {
    stop();
    part("weights-bar").hidden = true;
    tell(text);
  }

  input.addEventListener("change", () => {
    if (input.files[0]) starting = Promise.all([starting, send(input.files[0])]);
  });
  addEventListener("beforeunload", (event) => { if (client) event.preventDefault(); });

  // What the server has of it, also where another program sent it.
  document.addEventListener("draft-known", () => {
    const here = known.weights, seen = form.elements.weights_seen;
    if (here && here.key !== seen.value) choose.checked = true;  // it came while this page was open
    seen.value = here ? here.key : "";
    if (!here || client) return;
    if (here.digest) {
      show(here.name, null);
      tell(`${decimal(here.length)} are here and whole. Compare with sha256sum: ${here.digest.slice(7)}`, `${here.name}: Complete`);
    } else {
      show(here.name, 100 * here.received / here.length);
      tell(`${decimal(here.received)} of ${decimal(here.length)} are safe on the server until ${instant(here.expires_at)}. Choose the same file again and it goes on there.`);
    }
  });
})();
