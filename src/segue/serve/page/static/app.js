"use strict";
// The server renders every part; this script posts what a person did, swaps the new parts in and
// moves the cards to their new places.

const body = document.body;
const $ = (id) => document.getElementById(id);
const user = () => body.dataset.user;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const session = crypto.randomUUID();
let queue = Promise.resolve();

async function part(path, parameters, options = {}) {
  const answer = await fetch(`${path}?${new URLSearchParams(parameters)}`, options);
  if (!answer.ok) throw new Error(await problem(answer));
  const template = document.createElement("template");
  template.innerHTML = await answer.text();
  return template.content;
}

async function problem(answer) {
  try {
    return (await answer.json()).error.message;
  } catch {
    return `the server answered ${answer.status}`;
  }
}

async function post(itemId, kind, extra = {}) {
  const event = {
    event_id: crypto.randomUUID(), user_id: user(), item_id: itemId, kind,
    platform: "page", session, model_version: body.dataset.model, ...extra,
  };
  const answer = await fetch("/v1/events", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ events: [event] }),
  });
  if (!answer.ok) throw new Error(await problem(answer));
  keepVisitor();
  return event.event_id;
}

// A visitor who did something keeps the name in the address, so that a reload finds the same list.
function keepVisitor() {
  const address = new URL(location.href);
  if (address.searchParams.get("user") === user()) return;
  address.searchParams.set("user", user());
  history.replaceState(null, "", address);
}

function say(text, undo) {
  const toast = $("toast");
  toast.replaceChildren(text);
  if (undo) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Undo";
    button.addEventListener("click", undo, { once: true });
    toast.append(" ", button);
  }
  toast.classList.add("toast--on");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => toast.classList.remove("toast--on"), 6000);
}

// --- moving cards -------------------------------------------------------------------------------

const railOf = (node) => node.closest("[data-rail]")?.dataset.rail ?? "";
const keyOf = (card) => `${railOf(card)}/${card.dataset.item}`;

function cardsIn(root) {
  return new Map([...root.querySelectorAll(".rail .card")].map((card) => [keyOf(card), card]));
}

// A card that stays keeps its node: its picture does not flicker, only what is said about it changes.
function reuse(fresh, old) {
  for (const [key, card] of cardsIn(fresh)) {
    const kept = old.get(key);
    if (!kept) continue;
    const open = kept.querySelector(".why")?.open;
    kept.querySelector(".card__body").replaceWith(card.querySelector(".card__body"));
    kept.dataset.place = card.dataset.place;
    kept.classList.remove("card--going");
    if (open && kept.querySelector(".why")) kept.querySelector(".why").open = true;
    card.replaceWith(kept);
  }
}

const railsIn = (root) => (root.matches?.(".rail") ? [root] : [...root.querySelectorAll(".rail")]);

// Puts `fresh` where `root` (one rail, or the whole home) stands; what stays glides to its place.
function swap(root, fresh) {
  const old = cardsIn(root);
  const before = new Map([...old].map(([key, card]) => [key, card.getBoundingClientRect()]));
  const scrolled = new Map(
    railsIn(root).map((rail) => [rail.dataset.rail, rail.querySelector(".rail__list").scrollLeft]),
  );
  const active = document.activeElement;
  reuse(fresh, old);
  const rails = railsIn(fresh);
  if (root.matches(".rail")) root.replaceWith(fresh);
  else root.replaceChildren(fresh);
  for (const rail of rails) rail.querySelector(".rail__list").scrollLeft = scrolled.get(rail.dataset.rail) ?? 0;
  if (active !== document.activeElement && active.isConnected) active.focus({ preventScroll: true });
  const cards = rails.flatMap((rail) => [...cardsIn(rail)]);
  const moves = cards.map(([key, card]) => [card, before.get(key), card.getBoundingClientRect()]);
  if (!calm.matches) for (const move of moves) animate(...move);
}

function animate(card, from, to) {
  if (!from) {
    card.animate([{ opacity: 0, transform: "scale(.92)" }, { opacity: 1, transform: "none" }], { duration: 380, easing: "ease-out" });
    return;
  }
  const [dx, dy] = [from.left - to.left, from.top - to.top];
  if (Math.abs(dx) + Math.abs(dy) < 1) return;
  card.animate([{ transform: `translate(${dx}px, ${dy}px)` }, { transform: "none" }], { duration: 460, easing: "cubic-bezier(.2,.8,.2,1)" });
}

// --- acting --------------------------------------------------------------------------------------

const DONE = { like: "Liked", dislike: "Less like", hide: "Hidden:", complete: "Finished" };

let waiting = 0; // presses that have not been answered yet

// The first row is what a press waits for; the others follow unless the next press makes them old.
async function reload() {
  const first = await part("/page/first", { user: user() });
  const row = document.querySelector("[data-rail='for-you']");
  if (row && railsIn(first).length) swap(row, first);
}

async function reloadRest() {
  if (waiting > 1) return;
  swap($("home"), await part("/page/rails", { user: user() }));
}

function refocus(rail, place) {
  const list = document.querySelector(`[data-rail="${CSS.escape(rail)}"] .rail__list`);
  const cards = list ? list.querySelectorAll(".card") : [];
  cards[Math.min(place, cards.length - 1)]?.querySelector(".act--like")?.focus({ preventScroll: true });
}

function enqueue(node, kind) {
  const pressed = performance.now();
  waiting += 1;
  queue = queue.then(() => act(node, kind, pressed)).finally(() => { waiting -= 1; });
}

async function act(node, kind, pressed) {
  const { item, title, place } = node.dataset;
  const rail = railOf(node);
  node.classList.add("card--going");
  try {
    const extra = place === undefined || place === "" ? {} : { position: Number(place) };
    const eventId = await post(item, kind, extra);
    await reload();
    const delay = Math.round(performance.now() - pressed);
    if (rail) refocus(rail, Number(place));
    else if (node.classList.contains("card")) node.remove();
    say(`${DONE[kind]} ${title} · new list in ${delay} ms`, () => takeBack(eventId, title));
    body.dataset.delay = String(delay);
    await reloadRest();
  } catch (error) {
    node.classList.remove("card--going");
    say(`Not saved: ${error.message}`);
  }
}

async function takeBack(eventId, title) {
  const pressed = performance.now();
  try {
    const answer = await fetch(`/v1/events/${encodeURIComponent(eventId)}`, { method: "DELETE" });
    if (!answer.ok) throw new Error(await problem(answer));
    await reload();
    say(`Took back ${title} · new list in ${Math.round(performance.now() - pressed)} ms`);
    await reloadRest();
  } catch (error) {
    say(`Not taken back: ${error.message}`);
  }
}

async function openItem(itemId, startS) {
  try {
    $("item-body").replaceChildren(await part("/page/item", { item: itemId, user: user() }));
  } catch (error) {
    say(error.message);
    return;
  }
  watchPlayer(itemId);
  if (!$("item").open) $("item").showModal();
  $("item").scrollTop = 0;
  if (startS !== undefined) seek(Number(startS));
}

// What is played is behaviour too: a start is stored, an end reorders the list.
function watchPlayer(itemId) {
  const player = $("item-body").querySelector("[data-player]");
  if (player) {
    player.addEventListener("play", () => post(itemId, "play").catch((error) => say(error.message)), { once: true });
    player.addEventListener("ended", () => {
      const node = player.closest("[data-item]");
      enqueue(node, "complete");
    });
  }
  $("item-body").querySelector("[data-read]")?.addEventListener("click", () => {
    post(itemId, "click").catch((error) => say(error.message));
  });
}

// Plays from a scene or a line of the transcript.
function seek(seconds) {
  const player = $("item-body").querySelector("[data-player]");
  if (!player) return;
  player.currentTime = seconds;
  player.play().catch((error) => say(error.message));
  player.scrollIntoView({ block: "nearest", behavior: calm.matches ? "auto" : "smooth" });
}

document.addEventListener("click", (press) => {
  const button = press.target.closest("button");
  if (!button) return;
  const node = button.closest("[data-item]");
  if (button.dataset.seek !== undefined) seek(Number(button.dataset.seek));
  else if (button.dataset.act) {
    if (button.closest("dialog")) $("item").close();
    enqueue(node, button.dataset.act);
  } else if ("open" in button.dataset) openItem(node.dataset.item, button.dataset.at);
  else if ("close" in button.dataset) button.closest("dialog").close();
  else if (button.dataset.scroll) {
    const list = button.closest(".rail").querySelector(".rail__list");
    list.scrollBy({ left: Number(button.dataset.scroll) * list.clientWidth * 0.85, behavior: calm.matches ? "auto" : "smooth" });
  }
});

// An opened reason widens its card: keep it in view.
document.addEventListener("toggle", (change) => {
  if (change.target.matches?.(".card .why[open]")) {
    change.target.closest(".card").scrollIntoView({ inline: "nearest", block: "nearest" });
  }
}, true);

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (press) => {
    if (press.target === dialog) dialog.close();
  });
}
$("item").addEventListener("close", () => $("item-body").replaceChildren());

// --- searching -----------------------------------------------------------------------------------

// Typing asks at once but only the newest answer is shown.
function live(input, wait, ask) {
  let timer;
  let running = new AbortController();
  input.addEventListener("input", () => {
    clearTimeout(timer);
    running.abort();
    running = new AbortController();
    const { signal } = running;
    timer = setTimeout(async () => {
      try {
        await ask(input.value.trim(), signal);
      } catch (error) {
        if (error.name !== "AbortError") say(error.message);
      }
    }, wait);
  });
}

function show(searching) {
  $("results").hidden = !searching;
  $("home").hidden = searching;
}

live($("search"), 140, async (words, signal) => {
  if (words) $("results").replaceChildren(await part("/page/search", { q: words }, { signal }));
  show(words !== "");
});
document.querySelector("form.search").addEventListener("submit", (press) => press.preventDefault());

async function listPeople(words, signal) {
  $("people-list").replaceChildren(await part("/page/people", { q: words }, { signal }));
}
live($("people-search"), 120, listPeople);
$("choose").addEventListener("click", () => {
  $("people").showModal();
  $("people-search").focus();
  listPeople($("people-search").value.trim()).catch((error) => say(error.message));
});

document.addEventListener("keydown", (press) => {
  if (press.key !== "/" || press.target.closest("input, dialog")) return;
  press.preventDefault();
  $("search").focus();
});
