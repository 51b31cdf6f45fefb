// A service worker that holds the chosen file of a draft while its page is loaded again: a page forgets it, this does not.
// Nothing of it is stored; when the browser ends, so does it.
"use strict";

const files = new Map();

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("message", ({ data, ports }) => {
  if (data.keep) files.set(data.keep, data.file);
  else if (data.forget) files.delete(data.forget);
  else if (data.find) ports[0].postMessage(files.get(data.find) ?? null);
});
