// Shows what needs passkeys where the browser has them, and says in words when a key was not used.
// The ceremony itself is allauth's own script.

document.addEventListener("DOMContentLoaded", () => {
  if (!window.PublicKeyCredential) return;
  document.querySelectorAll("[data-without-passkeys]").forEach((part) => part.remove());
  document.querySelectorAll("[data-needs-passkeys]").forEach((part) => {
    part.hidden = false;
  });
});

document.addEventListener("allauth.error", (event) => {
  event.preventDefault(); // what it would do by itself is to write to the console
  const words = document.getElementById("passkey-error");
  if (words) words.hidden = false;
});
