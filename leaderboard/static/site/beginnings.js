// What an archive surely is by its first bytes, before any of it is sent: as containers/intake/beginnings.py tells it,
// but for xz and zstd, which browsers do not inflate: of those the server says it at the first piece.
"use strict";

const beginnings = (() => {
  const LOOKED_AT = 64 << 10, BLOCK = 512, MOST_MEMBERS = 64;
  const LAYER = /^([0-9a-f]{64}\/(layer\.tar|VERSION)|blobs\/sha256\/[0-9a-f]{64})$/;
  const DOCUMENTS = { "oci-layout": '"imageLayoutVersion"', "index.json": '"schemaVersion"', "manifest.json": '"Config"' };
  const text = (bytes) => new TextDecoder("latin1").decode(bytes);
  const isGzip = (bytes) => bytes[0] === 0x1f && bytes[1] === 0x8b;
  const isMask = (name) => /\.nii(\.gz)?$/i.test(name);

  // What the first bytes inflate to; a stream that ends in its midst gives what came before.
  async function inflated(bytes, most) {
    if (!isGzip(bytes) || !window.DecompressionStream) return bytes.slice(0, most);
    const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")).getReader(), pieces = [];
    let size = 0;
    try {
      while (size < most) {
        const { done, value } = await reader.read();
        if (done) break;
        pieces.push(value);
        size += value.length;
      }
      await reader.cancel();
    } catch { /* it is cut off, as a beginning is */ }
    return new Uint8Array(await new Blob(pieces).arrayBuffer()).slice(0, most);
  }

  function* members(bytes) {
    for (let at = 0, count = 0; at + BLOCK <= bytes.length && count < MOST_MEMBERS; count++) {
      const header = bytes.slice(at, at + BLOCK), field = (from, to) => text(header.slice(from, to)).replace(/\0.*$/s, "");
      const size = parseInt(field(124, 136).trim() || "0", 8), sum = parseInt(field(148, 156).trim(), 8);
      const real = header.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
      if (real !== sum || !(size >= 0)) return;
      const prefix = field(257, 262) === "ustar" && header[262] === 0 ? field(345, 500) : "";
      const kind = text(header.slice(156, 157));
      yield { name: ((prefix && `${prefix}/`) + field(0, 100)).replace(/^\.\//, ""), isFile: kind === "0" || kind === "\0", data: bytes.slice(at + BLOCK, at + BLOCK + size), size };
      at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    }
  }

  async function ofMember({ name, data }) {
    if (LAYER.test(name)) return "image";
    if (name in DOCUMENTS) return text(data).includes(DOCUMENTS[name]) ? "image" : null;
    if (!isMask(name)) return null;
    const head = await inflated(data, 4), number = head.length === 4 ? new DataView(head.buffer) : null;
    return number && [348, 540].some((size) => number.getUint32(0, true) === size || number.getUint32(0) === size) ? "masks" : null;
  }

  return {
    async whatBeginsSo(file) {
      const first = new Uint8Array(await file.slice(0, LOOKED_AT).arrayBuffer());
      if (text(first.slice(0, 4)) === "PK\x03\x04") return isMask(text(first.slice(30, 30 + first[26] + 256 * first[27]))) ? "masks" : null;
      const found = [...members(await inflated(first, LOOKED_AT))].filter(({ isFile }) => isFile);
      if (found.some(({ name, size }) => name === ".dockerenv" && !size)) return "files of a container";
      for (const member of found) {
        const what = await ofMember(member);
        if (what) return what;
      }
      return null;
    },
  };
})();
