// The submission form: how a description will look, and a PDF that is kept with the draft as soon as it is chosen.
// After upload.js, whose draft and form these are. Without this file both work as any form does.
"use strict";

part("preview-button").addEventListener("click", async (event) => {
  event.preventDefault();
  const place = part("preview"), button = event.currentTarget;
  try {
    const answer = await post(button.formAction);
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
    place.replaceChildren(...new DOMParser().parseFromString(await answer.text(), "text/html").body.childNodes);
    button.textContent = "Preview again";
  } catch (error) {
    place.textContent = `No preview: ${error.message}`;
  }
  place.hidden = false;
  place.focus({ preventScroll: true });
});

const pdf = form.elements.pdf;
if (pdf) {
  const kept = part("pdf-kept"), words = part("pdf-words"), remove = part("pdf-remove");
  pdf.required = false;  // the draft may have it

  const send = async (name, value) => {
    const data = new FormData();
    data.append(name, value);
    if (!draft) await keep();
    const answer = await post(`/uploads${draft}pdf/`, data);
    if (answer.ok) return;
    const isText = (answer.headers.get("Content-Type") || "").startsWith("text/plain");
    throw new Error(isText ? await answer.text() : `The server answered ${answer.status}.`);
  };
  const keepPdf = async (chosen) => {
    const most = Number(pdf.dataset.maxBytes);
    kept.hidden = false;
    remove.hidden = true;
    words.textContent = `Sending ${chosen.name} …`;
    try {
      if (chosen.size > most) throw new Error(`The PDF has ${decimal(chosen.size)}; up to ${decimal(most)} are taken.`);
      await send("pdf", chosen);
      words.textContent = `Kept with the draft: ${chosen.name}, ${decimal(chosen.size)}.`;
      remove.hidden = false;
    } catch (error) {
      pdf.value = "";
      words.textContent = `Not kept: ${error.message}`;
      throw error;
    }
  };
  pdf.addEventListener("change", () => {
    if (!pdf.files[0]) return;
    // A form that is sent meanwhile waits for it, and is not sent without it.
    const both = starting = Promise.all([starting, keepPdf(pdf.files[0])]);
    both.catch(() => { if (starting === both) starting = Promise.resolve(); });
  });
  remove.addEventListener("click", async () => {
    try {
      await send("remove", "1");
      pdf.value = "";
      kept.hidden = true;
    } catch (error) {
      words.textContent = `Not removed: ${error.message}`;
    }
  });
}
