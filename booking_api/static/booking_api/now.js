"use strict";
/* Keeps the console's front page up to date while somebody looks: fetches its numbers every few
   seconds and changes what has changed, so that focus, selection and opened tables stay. Says how old
   the numbers are, when they could not be fetched and since when, and that a session has ended. */

(() => {
  const root = document.getElementById("now");
  if (!root) return;
  const status = document.getElementById("now-status");
  const controls = document.getElementById("now-controls");
  const pause = document.getElementById("now-pause");
  const everyMs = Number(root.dataset.everyS) * 1000;
  const PATIENCE_MS = 20_000;
  let timer = null;
  let asking = false;
  let isPaused = false;
  let hasEnded = false;

  /* ---- changing what has changed ---- */

  function copyAttributes(from, to) {
    for (const { name } of Array.from(to.attributes)) {
      // Whether a table is opened is its reader's.
      if (!from.hasAttribute(name) && name !== "open") to.removeAttribute(name);
    }
    for (const { name, value } of Array.from(from.attributes)) {
      if (to.getAttribute(name) !== value) to.setAttribute(name, value);
    }
  }

  function isSame(one, other) {
    return one.nodeType === other.nodeType && one.nodeName === other.nodeName && (one.id ?? "") === (other.id ?? "");
  }

  /** Return the nodes of an element without the line breaks between them. */
  function listNodes(element) {
    const isBreak = (node) => node.nodeType === Node.TEXT_NODE && /^\s*\n\s*$/.test(node.nodeValue);
    for (const node of Array.from(element.childNodes).filter(isBreak)) node.remove();
    return Array.from(element.childNodes);
  }

  /** Make the children of `to` those of `from`, keeping the nodes that are the same; what has an id is
      known again wherever it stands. */
  function copyChildren(from, to) {
    const wanted = listNodes(from);
    listNodes(to);
    for (const [place, node] of wanted.entries()) {
      const there = to.childNodes[place];
      const later = node.id && Array.from(to.childNodes).slice(place).find((each) => isSame(node, each));
      if (!there) to.appendChild(node);
      else if (later) {
        while (to.childNodes[place] !== later) to.removeChild(to.childNodes[place]);
        copyNode(node, later);
      } else if (there.id && wanted.slice(place + 1).some((each) => isSame(each, there))) to.insertBefore(node, there);
      else if (isSame(node, there)) copyNode(node, there);
      else to.replaceChild(node, there);
    }
    while (to.childNodes.length > wanted.length) to.removeChild(to.lastChild);
  }

  function copyNode(from, to) {
    if (from.nodeType !== Node.ELEMENT_NODE) {
      if (to.nodeValue !== from.nodeValue) to.nodeValue = from.nodeValue;
      return;
    }
    if (to.hasAttribute("data-kept")) return; // drawn by us
    copyAttributes(from, to);
    copyChildren(from, to);
  }

  /* ---- saying how it is ---- */

  function say(text, link) {
    status.hidden = text === "";
    root.classList.toggle("n-stale", text !== "");
    if (status.dataset.text === text) return; // said already; it would be read out again
    status.dataset.text = text;
    status.textContent = text;
    if (link) {
      const anchor = document.createElement("a");
      anchor.href = link;
      anchor.textContent = "Log in again";
      status.append(" ", anchor, ".");
    }
  }

  function shownAt() {
    return document.getElementById("as-of")?.textContent ?? "the page was loaded";
  }

  function draw() {
    const span = document.querySelector('input[name="now-span"]:checked')?.value ?? "hour";
    NowCharts.draw(root, span, root.dataset.zone);
  }

  /* ---- asking ---- */

  async function refresh() {
    if (asking || hasEnded) return;
    asking = true;
    clearTimeout(timer);
    const stop = new AbortController();
    const patience = setTimeout(() => stop.abort(), PATIENCE_MS);
    try {
      const answer = await fetch(root.dataset.address, {
        credentials: "same-origin", cache: "no-store", redirect: "manual", signal: stop.signal,
        headers: { Accept: "text/html" },
      });
      if (answer.type === "opaqueredirect" || answer.status === 403) {
        hasEnded = true;
        say(`You are not logged in any more. These numbers are those of ${shownAt()}.`, root.dataset.login);
      } else if (!answer.ok) {
        say(`Not refreshed since ${shownAt()}: ${answer.status === 503 ? "the database does not answer" : `the server answered ${answer.status}`}.`);
      } else {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        copyChildren(page.body, root);
        say("");
        draw();
      }
    } catch {
      say(`Not refreshed since ${shownAt()}: the server does not answer.`);
    } finally {
      clearTimeout(patience);
      asking = false;
      plan();
    }
  }

  function plan() {
    clearTimeout(timer);
    if (!document.hidden && !isPaused && !hasEnded) timer = setTimeout(refresh, everyMs);
  }

  /** Open the table that a link of this page leads to. */
  function openTarget() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) target.open = true;
  }

  /* ---- beginning ---- */

  window.addEventListener("hashchange", openTarget);
  openTarget();

  controls.hidden = false;
  document.getElementById("now-refresh").addEventListener("click", refresh);
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.setAttribute("aria-pressed", String(isPaused));
    if (isPaused) plan();
    else refresh();
  });
  for (const choice of document.querySelectorAll('input[name="now-span"]')) choice.addEventListener("change", draw);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else if (!isPaused) refresh();
  });
  new ResizeObserver(draw).observe(root);
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
  plan();
})();
