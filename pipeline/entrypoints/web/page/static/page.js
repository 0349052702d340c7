// Keep the page up to date: listen for state changes, and fetch the parts that show them.
"use strict";

const at = (id) => document.getElementById(id);
const main = document.querySelector("main");
const dialog = at("dialog");
const SOON_MS = 250;
const SPEAK_MS = 4000;
let still = false;
let connected = false;
const spoken = [];
// Where the words of people who trade differ from the values in JSON.
const WORDS = { held: "waiting", unknown: "may be at the broker", dead: "needs you" };

// Parts are replaced row by row, so that focus, selection and open details stay.

function same(a, b) {
  return a.isEqualNode(b);
}

function keyed(node) {
  return node.nodeType === Node.ELEMENT_NODE && node.id ? node.id : null;
}

function merge(old, fresh) {
  if (same(old, fresh)) return;
  if (old.nodeName !== fresh.nodeName || old.nodeType !== Node.ELEMENT_NODE) {
    old.replaceWith(fresh);
    return;
  }
  for (const name of old.getAttributeNames()) {
    const theirs = old.nodeName === "DETAILS" && name === "open";
    if (!fresh.hasAttribute(name) && !theirs) old.removeAttribute(name);
  }
  for (const name of fresh.getAttributeNames()) {
    if (old.getAttribute(name) !== fresh.getAttribute(name)) old.setAttribute(name, fresh.getAttribute(name));
  }
  const byId = new Map([...old.childNodes].filter(keyed).map((child) => [child.id, child]));
  const wanted = new Set([...fresh.childNodes].map(keyed));
  let here = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    while (here && keyed(here) && !wanted.has(here.id)) {
      const over = here;
      here = here.nextSibling;
      over.remove();
    }
    const known = byId.get(keyed(next));
    if (known) {
      if (known === here) here = here.nextSibling;
      else old.insertBefore(known, here);
      merge(known, next);
    } else if (!keyed(next) && here && !keyed(here)) {
      const mine = here;
      here = here.nextSibling;
      merge(mine, next);
    } else {
      old.insertBefore(next, here);
    }
  }
  while (here) {
    const over = here;
    here = here.nextSibling;
    over.remove();
  }
}

async function fetched(url) {
  const answer = await fetch(url, { credentials: "same-origin" });
  if (answer.redirected && new URL(answer.url).pathname === "/login") {
    location.assign("/login");
    throw new Error("the session is over");
  }
  return { ok: answer.ok, page: new DOMParser().parseFromString(await answer.text(), "text/html") };
}

class Part {
  constructor(element) {
    this.element = element;
    this.url = element.dataset.part;
    this.asking = false;
    this.again = false;
    if (this.url === "/parts/signals") this.url += location.search;
    setInterval(() => this.refresh(), element.dataset.every * 1000);
    this.askSoon();
  }

  // A part that is still being counted has data-soon.
  askSoon() {
    if (this.element.querySelector("[data-soon]")) setTimeout(() => this.refresh(), SOON_MS * 2);
  }

  async refresh() {
    if (still || document.hidden) return;
    if (this.asking) {
      this.again = true;
      return;
    }
    this.asking = true;
    try {
      const { ok, page } = await fetched(this.url);
      if (ok && !this.element.contains(typing())) {
        const fresh = this.element.cloneNode(false);
        fresh.append(...page.body.childNodes);
        merge(this.element, fresh);
      }
    } catch {
      // The next refresh tries again.
    }
    this.asking = false;
    this.askSoon();
    if (this.again) {
      this.again = false;
      setTimeout(() => this.refresh(), SOON_MS);
    }
  }
}

// A part is not replaced while a person types into it.
function typing() {
  const focused = document.activeElement;
  return focused && focused.matches("input, textarea, select") ? focused : null;
}

// The stream of state changes.

function say(text, on) {
  at("live-says").textContent = text;
  at("live").classList.toggle("off", !on);
}

function listen(parts) {
  let soon = null;
  const stream = new EventSource(`/api/v1/events?after=${main.dataset.after}`);
  const refreshSoon = () => {
    soon ??= setTimeout(() => {
      soon = null;
      parts.filter((part) => "moves" in part.element.dataset).forEach((part) => part.refresh());
    }, SOON_MS);
  };
  stream.addEventListener("open", () => {
    connected = true;
    if (!still) say("live", true);
  });
  stream.addEventListener("error", () => {
    connected = false;
    say("connection lost: reconnecting", false);
    if (stream.readyState === EventSource.CLOSED) location.reload();
  });
  stream.addEventListener("move", (event) => {
    const move = JSON.parse(event.data);
    spoken.push(`${move.executor_id}: ${move.action} ${move.symbol} ${WORDS[move.status] ?? move.status.replaceAll("_", " ")}`);
    refreshSoon();
  });
  stream.addEventListener("reset", refreshSoon);
}

function speak() {
  if (!spoken.length || still) return;
  const last = spoken.at(-1);
  at("spoken").textContent = spoken.length > 3 ? `${spoken.length} moves, the last one: ${last}` : spoken.join("; ");
  spoken.length = 0;
}

// The dialog: links with data-dialog open in it. Without this script they are pages.

async function open(link) {
  const from = link.id;
  let page;
  try {
    ({ page } = await fetched(link.href));
  } catch {
    location.assign(link.href);
    return;
  }
  const shown = page.querySelector("main");
  at("in-dialog").replaceChildren(...shown.childNodes);
  if (!dialog.open) {
    dialog.dataset.from = from;
    dialog.showModal();
  }
  dialog.scrollTop = 0;
  const wanted = dialog.querySelector("[autofocus]") ?? at("top-of-dialog");
  if (wanted === at("top-of-dialog")) wanted.tabIndex = -1;
  wanted.focus();
  dialog.querySelector(".wanted")?.scrollIntoView({ block: "nearest" });
}

function follow(event) {
  const link = event.target.closest("a[data-dialog]");
  const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
  if (!link || !plain) return;
  event.preventDefault();
  open(link);
}

function closed() {
  // The row may have been replaced meanwhile.
  at(dialog.dataset.from)?.focus();
  at("in-dialog").replaceChildren();
}

function hold() {
  const button = at("pause-updates");
  still = !still;
  button.setAttribute("aria-pressed", String(still));
  say(still ? "updates paused" : connected ? "live" : "connection lost: reconnecting", !still && connected);
}

const parts = [...document.querySelectorAll("[data-part]")].map((element) => new Part(element));
at("pause-updates").hidden = false;
at("pause-updates").addEventListener("click", () => {
  hold();
  if (!still) parts.forEach((part) => part.refresh());
});
document.addEventListener("click", follow);
document.addEventListener("visibilitychange", () => parts.forEach((part) => part.refresh()));
dialog.addEventListener("close", closed);
setInterval(speak, SPEAK_MS);
at("done")?.focus();
listen(parts);
