"use strict";
// The panel of interests and the questions to a newcomer. Uses part, swap, say, reload and
// reloadRest of app.js.

const taste = (path = "") => `/v1/users/${encodeURIComponent(user())}/taste${path}`;

async function send(path, method, given) {
  const options = { method };
  if (given !== undefined) {
    options.headers = { "content-type": "application/json" };
    options.body = JSON.stringify(given);
  }
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Error(await problem(answer));
  return answer.json();
}

// One after another, like presses on cards: a list must not overtake the one after it.
function inTurn(work) {
  waiting += 1;
  queue = queue.then(work).catch((error) => say(`Not saved: ${error.message}`)).finally(() => { waiting -= 1; });
  return queue;
}

async function both(pressed, text, undo) {
  await reload();
  const delay = Math.round(performance.now() - pressed);
  body.dataset.delay = String(delay);
  say(`${text} · new list in ${delay} ms`, undo);
  await reloadRest();
}

const SAID = { more: (label) => `More of ${label}`, less: (label) => `Less of ${label}` };

function edit(kind, label) {
  const pressed = performance.now();
  return inTurn(async () => {
    const made = await send(taste("/edits"), "POST", { kind, label });
    await both(pressed, SAID[kind](label), () => unedit(made.num));
    document.querySelector(`[data-unedit="${made.num}"]`)?.focus({ preventScroll: true });
  });
}

function unedit(num) {
  const pressed = performance.now();
  return inTurn(async () => {
    await send(taste(`/edits/${num}`), "DELETE");
    await both(pressed, "Taken back");
  });
}

// --- lending -------------------------------------------------------------------------------------

const DAY_MS = 86_400_000;
const day = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 10);
const midnight = (text) => new Date(`${text}T00:00:00`).getTime();

function openLend(lastS) {
  const last = lastS * 1000 || Date.now();
  $("lend-from").value = day(last - 6 * DAY_MS);
  $("lend-to").value = day(last);
  $("lend-problem").textContent = "";
  $("lend").showModal();
}

function lend() {
  const [from, to] = [$("lend-from").value, $("lend-to").value];
  if (!from || !to || from > to) {
    $("lend-problem").textContent = "Choose a first day, and a last day that is not before it.";
    return;
  }
  $("lend").close();
  const pressed = performance.now();
  const given = { kind: "lent", start: midnight(from) / 1000, end: (midnight(to) + DAY_MS) / 1000 };
  inTurn(async () => {
    const made = await send(taste("/edits"), "POST", given);
    await both(pressed, "Left out what others watched", () => unedit(made.num));
  });
}

// --- onboarding ----------------------------------------------------------------------------------

const ANSWERED = { like: "Liked", dislike: "Not for you:", unknown: "Not known:" };

function answerAsked(node, said) {
  const pressed = performance.now();
  const { ask: item, title } = node.dataset;
  node.classList.add("card--going");
  return inTurn(async () => {
    const told = await send(`/v1/users/${encodeURIComponent(user())}/onboarding`, "POST", {
      answers: [{ item_id: item, answer: said }],
    });
    keepVisitor();
    const gone = told.answered[0].event_id;
    await both(pressed, `${ANSWERED[said]} ${title}`, () => takeBack(gone, title));
    document.querySelector("#asking [data-answer]")?.focus({ preventScroll: true });
  }).finally(() => node.classList.remove("card--going"));
}

function skipAsking() {
  sessionStorage.setItem(`skipped ${user()}`, "1");
  hideSkipped();
}

function hideSkipped() {
  const skipped = sessionStorage.getItem(`skipped ${user()}`) !== null;
  const asking = $("asking");
  if (asking) asking.hidden = skipped;
}

new MutationObserver(hideSkipped).observe($("home"), { childList: true });
hideSkipped();

document.addEventListener("click", (press) => {
  const button = press.target.closest("button");
  if (!button) return;
  const { edit: kind, unedit: num, answer: said } = button.dataset;
  if (kind) {
    button.disabled = true;
    edit(kind, button.closest("[data-label]").dataset.label);
  } else if (num) unedit(num);
  else if (said) answerAsked(button.closest("[data-ask]"), said);
  else if ("lend" in button.dataset) openLend(Number(button.dataset.last));
  else if ("skip" in button.dataset) skipAsking();
});
$("lend-form").addEventListener("submit", (press) => {
  press.preventDefault();
  lend();
});
