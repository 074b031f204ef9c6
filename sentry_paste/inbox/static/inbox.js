// Live updates and shortcuts. Without scripts the pages work by links and reloads.
"use strict";

(() => {
  const NEXT = 2000; // ms between updates of the list
  const SOON = 300; // ms, while the server is still reading files
  const LATER = 10000; // ms, while the server does not answer

  // Times: the server renders them in UTC, or how long ago they were; the script shows local times, and keeps
  // relative ones current. The title keeps UTC.

  function ago(then) {
    const seconds = (Date.now() - then) / 1000;
    if (seconds < 2) return "just now";
    if (seconds < 60) return `${Math.floor(seconds)} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
    return null; // keep the server's date
  }

  const padded = (number, digits = 2) => String(number).padStart(digits, "0");

  function clock(time) {
    return [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => padded(part)).join(":");
  }

  function moment(time) {
    const date = `${time.getFullYear()}-${padded(time.getMonth() + 1)}-${padded(time.getDate())}`;
    return `${date} ${clock(time)}.${padded(time.getMilliseconds(), 3)}`;
  }

  function updateTimes(within = document) {
    for (const time of within.querySelectorAll("time[data-ago]")) {
      const text = ago(Date.parse(time.dateTime));
      if (text !== null && text !== time.textContent) time.textContent = text;
    }
    for (const time of within.querySelectorAll("time[data-local]")) {
      const found = new Date(time.dateTime);
      if (!isNaN(found)) time.textContent = time.dataset.local === "clock" ? clock(found) : moment(found);
    }
  }

  // The list: load it again when it has changed.

  const ROWS = "[id^='row-']"; // of lists, tables and log lines
  let waits = 0;

  function ids(live) {
    return new Set([...live.querySelectorAll(ROWS)].map((row) => row.id));
  }

  function put(fetched, live) {
    const before = ids(live);
    const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
    updateTimes(fetched);
    live.replaceWith(fetched);
    showCount(fetched);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    const fresh = [...fetched.querySelectorAll(ROWS)].filter((row) => !before.has(row.id));
    // On an empty list, or while the server is still reading files, new rows are not highlighted.
    if (!live.dataset.unread && before.size) {
      for (const row of fresh) row.classList.add("fresh");
      if (fresh.length) {
        say(`${fresh.length} new: ${(fresh[0].querySelector(".row-title, .log-message") ?? fresh[0]).textContent.trim()}`);
      }
    }
  }

  // The tab's title begins with the number of errors.
  function showCount(live) {
    const count = Number(live.dataset.count);
    if (live.dataset.count === undefined) return;
    document.title = `${count ? `(${count}) ` : ""}${document.title.replace(/^\([\d\s\u202f]+\) /, "")}`;
  }

  async function look() {
    waits = 0;
    const live = document.getElementById("live");
    if (!live || document.hidden) return;
    let next = NEXT;
    try {
      const answer = await fetch(live.dataset.src, {
        cache: "no-store",
        headers: { "If-None-Match": `"${live.dataset.tag}"` },
      });
      if (answer.status === 200) {
        const text = await answer.text();
        const fetched = new DOMParser().parseFromString(text, "text/html").getElementById("live");
        if (fetched) put(document.importNode(fetched, true), live);
      }
      live.removeAttribute("data-gone");
    } catch {
      live.setAttribute("data-gone", "");
      next = LATER;
    }
    wait(document.getElementById("live").dataset.unread ? SOON : next);
  }

  function wait(time) {
    clearTimeout(waits);
    waits = setTimeout(look, time);
  }

  // The trace: show the details of a span next to the waterfall, without leaving the page.

  // On a phone the details of a span cover the lower half of the page: scroll its bar into view.
  function uncover(bar) {
    const span = document.getElementById("span").getBoundingClientRect();
    const covered = bar ? bar.getBoundingClientRect().bottom - span.top : 0;
    if (bar && span.left < bar.getBoundingClientRect().right && covered > 0) window.scrollBy(0, covered + 8);
  }

  async function choose(address, { isBack = false, isFocused = false } = {}) {
    const split = document.querySelector("[data-swap]");
    const answer = await fetch(address, { cache: "no-store" });
    const fetched = new DOMParser().parseFromString(await answer.text(), "text/html");
    const span = fetched.getElementById("span");
    if (!answer.ok || !span) {
      location.assign(address);
      return;
    }
    document.getElementById("span").replaceWith(document.importNode(span, true));
    for (const bar of split.querySelectorAll("a.bar")) {
      const other = fetched.getElementById(bar.id);
      if (other?.getAttribute("aria-current")) bar.setAttribute("aria-current", "true");
      else bar.removeAttribute("aria-current");
    }
    if (!isBack) history.pushState(null, "", address);
    uncover(split.querySelector("a.bar[aria-current]"));
    if (isFocused) document.getElementById("span").focus({ preventScroll: true });
  }

  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target.closest("a");
    const split = link?.closest("[data-swap]");
    if (!split || !(link.matches(".bar") || link.closest(".span-close"))) return;
    event.preventDefault();
    const href = link.getAttribute("href");
    const address = new URL(href, location.href);
    const isClose = !link.matches(".bar");
    // After the keyboard (detail is 0), the focus moves to where the link leads, as it does without scripts.
    choose(address, { isFocused: !isClose && !event.detail }).then(() => {
      if (isClose) document.querySelector(address.hash)?.focus();
    }, () => location.assign(address));
  });

  window.addEventListener("popstate", () => {
    if (document.querySelector("[data-swap]")) choose(location.href, { isBack: true }).catch(() => location.reload());
  });

  // Copying: the link leads to the text, which is fetched and put into the clipboard.

  function say(text) {
    document.getElementById("news").textContent = text;
  }

  async function copy(link) {
    const text = fetch(link.href, { cache: "no-store" }).then((answer) => {
      if (!answer.ok) throw new Error(answer.statusText);
      return answer.text();
    });
    // Given a promise, because a browser may allow writing only while the click is handled.
    if (window.ClipboardItem) {
      const blob = text.then((found) => new Blob([found], { type: "text/plain" }));
      await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
    } else {
      await navigator.clipboard.writeText(await text);
    }
    const label = link.textContent;
    link.style.minWidth = `${link.offsetWidth}px`; // by the object model, which the policy allows
    link.textContent = "Copied";
    link.setAttribute("data-done", "");
    say(`Copied as ${label}`);
    setTimeout(() => {
      link.textContent = label;
      link.style.minWidth = "";
      link.removeAttribute("data-done");
    }, 1500);
  }

  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target.closest("a[data-copy]");
    // Without a secure connection there is no clipboard, and the link is followed.
    if (!link || link.hasAttribute("data-done") || !navigator.clipboard) return;
    event.preventDefault();
    copy(link).catch(() => location.assign(link.href));
  });

  // Keys.

  function rows() {
    return [...document.querySelectorAll("main a.row, main a[data-row]")];
  }

  // The place in the list is that of the focus.
  function step(by) {
    const all = rows();
    if (!all.length) return false;
    const place = all.indexOf(document.activeElement);
    const next = all[place < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(place + by, 0), all.length - 1)];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
    return true;
  }

  const follow = (selector) => {
    const link = document.querySelector(selector);
    if (link) link.click();
    return Boolean(link);
  };

  function search() {
    const field = document.querySelector("[data-shortcut='/']");
    if (!field) return false;
    field.focus();
    field.select();
    return true;
  }

  function help() {
    document.getElementById("help").showModal();
    return true;
  }

  const KEYS = {
    j: () => step(1) || follow("main a[rel=next]"),
    k: () => step(-1) || follow("main a[rel=prev]"),
    o: () => (document.activeElement.matches("main a.row, main a[data-row]") ? (document.activeElement.click(), true) : follow("main a[data-editor]")),
    u: () => follow("#back"),
    "/": search,
    "?": help,
  };

  document.addEventListener("keydown", (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || event.isComposing) return;
    const close = event.key === "Escape" && document.querySelector("[data-swap] .span-close a");
    if (close && !document.querySelector("dialog[open]")) close.click();
    if (event.target.closest("input, textarea, select, [contenteditable], dialog")) return;
    if (Object.hasOwn(KEYS, event.key) && KEYS[event.key]()) event.preventDefault();
  });

  const keys = document.getElementById("keys");
  keys.hidden = false;
  keys.addEventListener("click", help);

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && document.getElementById("live")) wait(0);
  });

  updateTimes();
  setInterval(() => updateTimes(), 5000);
  const live = document.getElementById("live");
  if (live) showCount(live);
  if (live) wait(live.dataset.unread ? SOON : NEXT);
})();
