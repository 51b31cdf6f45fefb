// Shows what needs passkeys where the browser has them, and says in words when a key was not used.
// The ceremony itself is allauth's own script; a form names the function of it that it needs.

document.addEventListener("DOMContentLoaded", () => {
  if (!window.PublicKeyCredential) return;
  document.querySelectorAll("[data-without-passkeys]").forEach((part) => part.remove());
  document.querySelectorAll("[data-needs-passkeys]").forEach((part) => {
    part.hidden = false;
  });
  document.querySelectorAll("form[data-passkeys]").forEach((form) => {
    const button = form.querySelector("button").id;
    const passwordless = form.elements.passwordless?.id;
    const ids = { login: button, add: button, authenticate: button, passwordless, data: "js_data" };
    ids.credential = form.elements.credential.id;
    window.allauth.webauthn.forms[form.dataset.passkeys]({ ids });
  });
});

document.addEventListener("allauth.error", (event) => {
  event.preventDefault(); // what it would do by itself is to write to the console
  const words = document.getElementById("passkey-error");
  if (words) words.hidden = false;
});
